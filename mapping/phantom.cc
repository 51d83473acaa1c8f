// Phantoms, sealed message ids, bounce addresses. Layouts are written here and nowhere else.
#include "mapping/phantom.h"

#include <algorithm>
#include <array>
#include <memory>
#include <span>

#include "base/random.h"
#include "base/text.h"
#include "mapping/keys/openssl_support.h"
#include "message/address_text.h"
#include "message/utf8.h"

namespace kage::mapping {
namespace {

constexpr std::size_t kPhantomOctets = 10;  // contract R4.1: 80 bits
constexpr std::size_t kPhantomChars = 16;
constexpr char kValueVersion = 1;
constexpr char kSeenVersion = 2;
constexpr std::size_t kDayOctets = 2;
constexpr std::size_t kNameOctets = 32;  // keeps a phantom below 200 octets of Redis' memory
constexpr std::size_t kIdOctets = 8;
constexpr std::size_t kLongestMsgId = 500;
constexpr std::size_t kBlock = std::tuple_size_v<BlockCipher::Block>;
constexpr std::size_t kBounceChars = 27;  // 'b' and 128 bits
constexpr std::int64_t kBounceDays = 60;
constexpr std::int64_t kDaySeconds = 86400;
constexpr unsigned char kBounceVersion = 1;

std::string number_octets(std::uint64_t number, std::size_t count) {
  std::string out(count, '\0');
  for (std::size_t i = count; i-- > 0; number >>= 8U) out[i] = static_cast<char>(number & 0xffU);
  return out;
}

std::uint64_t octets_number(std::string_view octets) {
  std::uint64_t number = 0;
  for (const char c : octets) number = (number << 8U) | static_cast<unsigned char>(c);
  return number;
}

/// A label, and NUL, keep uses of one key apart.
constexpr std::string_view kPhantomLabel("phantom\0", 8);
constexpr std::string_view kMsgIdLabel("msgid\0", 6);

/// What a phantom's value is sealed with.
std::string phantom_context(std::string_view phantom_local) {
  return std::string(kPhantomLabel) + lower(phantom_local);
}

/// What an id is sealed with: the label, and the domain in lower case.
class MsgIdContext {
 public:
  explicit MsgIdContext(std::string_view domain) : size_(kMsgIdLabel.size() + domain.size()) {
    require(domain.size() <= message::kMaxDomain, "domain of an id");
    std::ranges::transform(domain, std::ranges::copy(kMsgIdLabel, octets_.begin()).out, to_lower);
  }
  operator std::string_view() const { return {octets_.data(), size_}; }

 private:
  std::array<char, kMsgIdLabel.size() + message::kMaxDomain> octets_;
  std::size_t size_;
};

/// What a member's number is hidden with in an id: differs for every id, and comes from its synthetic IV.
MemberId owner_mask(const MasterKeys& master, std::string_view iv) {
  const BlockCipher::Block block = master.tag().encrypt(iv);
  return octets_number({block.data(), kIdOctets});
}

/// Control characters, line separators, and what changes the direction of writing: none may reach a terminal
/// or a spreadsheet.
bool is_invisible(std::int32_t code) {
  return code < 0x20 || (code >= 0x7f && code < 0xa0) || (code >= 0x200b && code <= 0x200f) ||
         (code >= 0x2028 && code <= 0x202e) || (code >= 0x2060 && code <= 0x206f) || code == 0xfeff;
}

std::uint64_t day_of(std::int64_t unix_seconds) {
  return static_cast<std::uint64_t>(unix_seconds / kDaySeconds) & 0xffffU;
}

}  // namespace

std::string phantom_local(const Member& member, std::string_view canonical_address) {
  const Mac hash = hmac_sha256(member.keys.phantom_key(), {kPhantomLabel, canonical_address});
  return base32(hash.first(kPhantomOctets));
}

std::string phantom_address(const Member& member, std::string_view canonical_address) {
  return phantom_local(member, canonical_address) + "@" + member.address->domain->phantom_domain;
}

bool looks_like_phantom(std::string_view local) {
  return local.size() == kPhantomChars && base32_decode(local).has_value();
}

std::string kept_name(std::string_view utf8) {
  if (!message::find_addresses(utf8).empty()) return {};
  std::string name;
  for (std::size_t at = 0; at < utf8.size();) {
    const std::size_t begin = at;
    const std::int32_t code = message::next_code_point(utf8, at);
    if (code == '@' || code == 0xff20 || code == 0xfe6b) return {};
    if (is_invisible(code)) continue;
    if (name.size() + (at - begin) > kNameOctets) break;
    name.append(utf8.substr(begin, at - begin));
  }
  return std::string(trim(name));
}

std::string seal_phantom_value(const Member& member, std::string_view phantom_local,
                               std::string_view spelling, const std::optional<Sighting>& seen) {
  std::string out(1, seen ? kSeenVersion : kValueVersion);
  out += number_octets(member.id, kIdOctets);
  std::string text(spelling);
  if (seen) {
    out += number_octets(seen->first, kDayOctets);
    // A spelling holds no NUL: it went through a parser of addresses.
    text = number_octets(seen->last, kDayOctets) + text + '\0' + seen->name;
  }
  out += member.keys.seal().seal(phantom_context(phantom_local), text);
  return out;
}

std::optional<MemberId> phantom_value_member(std::string_view value) {
  static_assert(kPhantomOwnerOctets == 1 + kIdOctets);
  if (value.size() < kPhantomOwnerOctets || (value[0] != kValueVersion && value[0] != kSeenVersion)) {
    return std::nullopt;
  }
  return octets_number(value.substr(1, kIdOctets));
}

std::optional<PhantomValue> open_phantom_value(const RouteTable& routes, std::string_view phantom_local,
                                               std::string_view value) {
  const auto id = phantom_value_member(value);
  if (!id) return std::nullopt;
  const Member* const member = routes.find_member(*id);
  if (member == nullptr) return std::nullopt;
  const bool with_days = value[0] == kSeenVersion;
  value.remove_prefix(1 + kIdOctets);
  std::optional<Sighting> seen;
  if (with_days) {
    if (value.size() < kDayOctets) return std::nullopt;
    seen.emplace().first = static_cast<std::uint16_t>(octets_number(value.substr(0, kDayOctets)));
    value.remove_prefix(kDayOctets);
  }
  const auto text = member->keys.seal().open(phantom_context(phantom_local), value);
  if (!text) return std::nullopt;
  std::string_view spelling = *text;
  if (seen) {
    const std::size_t end = spelling.find('\0', kDayOctets);
    if (end == std::string_view::npos) return std::nullopt;
    seen->last = static_cast<std::uint16_t>(octets_number(spelling.substr(0, kDayOctets)));
    seen->name = spelling.substr(end + 1);
    spelling = spelling.substr(kDayOctets, end - kDayOctets);
  }
  auto address = message::parse_address(spelling);
  if (!address) return std::nullopt;
  return PhantomValue{member, std::move(*address), std::move(seen)};
}

void append_sealed_msg_id(std::string& out, const MasterKeys& master, const Member& member,
                          std::string_view msg_id, std::string_view domain) {
  const MsgIdContext context(domain);
  if (msg_id.empty() || msg_id.size() > kLongestMsgId) {
    out.push_back('x');
    append_base64url(out, hmac_sha256(member.keys.phantom_key(), {context, {"\0", 1}, msg_id}));
  } else {
    std::array<char, kIdOctets + Siv::kOverhead + kLongestMsgId> room;
    const std::string_view octets(room.data(), kIdOctets + Siv::kOverhead + msg_id.size());
    member.keys.seal().seal(context, msg_id, std::span(room).first(octets.size()).subspan(kIdOctets));
    const MemberId mask = owner_mask(master, octets.substr(kIdOctets, Siv::kOverhead));
    std::ranges::copy(number_octets(member.id ^ mask, kIdOctets), room.begin());
    append_base64url(out, octets);
  }
  out.push_back('@');
  out.append(domain);
}

std::string seal_msg_id(const MasterKeys& master, const Member& member, std::string_view msg_id,
                        std::string_view domain) {
  std::string out;
  append_sealed_msg_id(out, master, member, msg_id, domain);
  return out;
}

std::optional<SealedMsgId> open_msg_id(const RouteTable& routes, std::string_view msg_id,
                                       std::string_view domain) {
  const std::size_t at = msg_id.rfind('@');
  if (at == std::string_view::npos || !equals_nocase(msg_id.substr(at + 1), domain)) return std::nullopt;
  // Base64 is 4 characters for 3 octets; a longer one is none of ours.
  if (at > (kIdOctets + Siv::kOverhead + kLongestMsgId) * 4 / 3 + 1) return std::nullopt;
  if (domain.size() > message::kMaxDomain) return std::nullopt;
  const auto octets = base64url_decode(msg_id.substr(0, at));
  if (!octets || octets->size() <= kIdOctets + Siv::kOverhead) return std::nullopt;
  const std::string_view sealed = std::string_view(*octets).substr(kIdOctets);
  const MemberId hidden = octets_number(std::string_view(*octets).substr(0, kIdOctets));
  const MemberId mask = owner_mask(routes.master(), sealed.substr(0, Siv::kOverhead));
  const Member* const member = routes.find_member(hidden ^ mask);
  if (member == nullptr) return std::nullopt;
  auto original = member->keys.seal().open(MsgIdContext(domain), sealed);
  if (!original) return std::nullopt;
  return SealedMsgId{member, std::move(*original)};
}

std::string bounce_local(const MasterKeys& master, BounceOf what, const Member& member,
                         std::int64_t unix_seconds) {
  const auto kind = static_cast<unsigned char>(kBounceVersion << 4U | static_cast<unsigned char>(what));
  std::string block(1, static_cast<char>(kind));
  block += number_octets(day_of(unix_seconds), 2);
  block += number_octets(member.id, kIdOctets);
  block += random_bytes(kBlock - block.size());
  const BlockCipher::Block hidden = master.bounce().encrypt(block);
  return "b" + base32({hidden.data(), hidden.size()});
}

std::optional<Bounce> open_bounce(const RouteTable& routes, std::string_view local,
                                  std::int64_t unix_seconds) {
  if (!looks_like_bounce(local)) return std::nullopt;
  const auto octets = base32_decode(local.substr(1));
  if (!octets || octets->size() != kBlock) return std::nullopt;
  const BlockCipher::Block opened = routes.master().bounce().decrypt(*octets);
  const std::string_view block(opened.data(), opened.size());
  const auto kind = static_cast<unsigned char>(block[0]);
  if (kind >> 4U != kBounceVersion) return std::nullopt;
  const unsigned what = kind & 0x0fU;
  if (what != 1 && what != 2) return std::nullopt;
  // Days count modulo 2^16. One day of another node's clock running ahead is forgiven.
  const std::uint64_t made = octets_number(block.substr(1, 2));
  const std::uint64_t age = (day_of(unix_seconds) - made + 1) & 0xffffU;
  if (age > kBounceDays + 1) return std::nullopt;
  const Member* const member = routes.find_member(octets_number(block.substr(3, kIdOctets)));
  if (member == nullptr) return std::nullopt;
  return Bounce{static_cast<BounceOf>(what), member};
}

bool looks_like_bounce(std::string_view local) {
  return local.size() == kBounceChars && to_lower(local[0]) == 'b' &&
         base32_decode(local.substr(1)).has_value();
}

}  // namespace kage::mapping
