// Records one by one. What a peer may send behind its Finished is little; anything else ends the connection
// with an alert (RFC 8446 §6.2).
#include "tls/record_layer.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <utility>

namespace kage::tls {

struct Suite {
  std::uint16_t id;
  const char* cipher;
  const char* digest;
  std::size_t key_size;     ///< octets
  std::size_t secret_size;  ///< octets: the digest's
};

/// RFC 8446 §6.
enum class RecordLayer::Alert : std::uint8_t {
  close_notify = 0,
  unexpected_message = 10,
  bad_record_mac = 20,
  record_overflow = 22,
  illegal_parameter = 47,
  decode_error = 50,
  internal_error = 80,
  user_canceled = 90,
};

/// RFC 8446 §5.1.
enum class RecordLayer::Content : std::uint8_t { alert = 21, handshake = 22, application_data = 23 };

namespace {

constexpr std::array<Suite, 3> kSuites{{{0x1301, "AES-128-GCM", "SHA256", 16, 32},
                                        {0x1302, "AES-256-GCM", "SHA384", 32, 48},
                                        {0x1303, "ChaCha20-Poly1305", "SHA256", 32, 32}}};

constexpr std::size_t kHeader = 5;
constexpr std::size_t kMaxContent = 16UL * 1024;     // RFC 8446 §5.1
constexpr std::size_t kMaxBody = kMaxContent + 256;  // §5.2
constexpr unsigned char kNewSessionTicket = 4;       // §4: HandshakeType
constexpr unsigned char kKeyUpdate = 24;
constexpr std::size_t kHandshakeHeader = 4;
constexpr std::size_t kKeyUpdateSize = 5;
constexpr unsigned kMaxEmptyRecords = 32;  // in a row, without data: nobody has a reason for more

const EVP_CIPHER* cipher_of(const Suite& suite) {
  static const std::array<EVP_CIPHER*, kSuites.size()> fetched = [] {
    std::array<EVP_CIPHER*, kSuites.size()> all{};
    for (std::size_t i = 0; i < all.size(); ++i)
      all[i] = EVP_CIPHER_fetch(nullptr, kSuites[i].cipher, nullptr);
    return all;
  }();
  return fetched[static_cast<std::size_t>(&suite - kSuites.data())];
}

const unsigned char* octets(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

std::size_t body_size(std::string_view header) {
  return static_cast<std::size_t>(octets(header)[3]) << 8U | octets(header)[4];
}

std::array<unsigned char, kHeader> header_for(std::size_t body) {
  return {23, 3, 3, static_cast<unsigned char>(body >> 8U), static_cast<unsigned char>(body & 0xffU)};
}

}  // namespace

const Suite* find_suite(std::uint16_t id) {
  const auto* const found = std::ranges::find(kSuites, id, &Suite::id);
  return found == kSuites.end() ? nullptr : found;
}

RecordKeys::RecordKeys(const Suite& suite, const Secret& secret, Use use, std::uint64_t sequence)
    : suite_(suite), secret_(secret), sequence_(sequence), use_(use), good_(derive()) {}

RecordKeys::~RecordKeys() {
  OPENSSL_cleanse(key_.data(), key_.size());
  OPENSSL_cleanse(iv_.data(), iv_.size());
}

bool RecordKeys::derive() {
  context_.reset();
  return secret_.octets().size() == suite_.secret_size &&
         expand_label(suite_.digest, secret_, "key", std::span(key_).first(suite_.key_size)) &&
         expand_label(suite_.digest, secret_, "iv", iv_);
}

bool RecordKeys::update() {
  Secret next;
  good_ = good_ && expand_label(suite_.digest, secret_, "traffic upd", next.resize(secret_.octets().size()));
  secret_ = next;
  sequence_ = 0;
  good_ = good_ && derive();
  return good_;
}

/// Sets the nonce (RFC 8446 §5.3) and the additional data.
bool RecordKeys::begin(std::span<const unsigned char> header) {
  if (!good_) return false;
  const int encrypts = use_ == Use::sealing ? 1 : 0;
  if (!context_) {
    context_.reset(EVP_CIPHER_CTX_new());
    good_ = context_ && EVP_CipherInit_ex2(context_.get(), cipher_of(suite_), key_.data(), nullptr, encrypts,
                                           nullptr) == 1;
    if (!good_) return false;
  }
  auto nonce = iv_;
  for (std::size_t i = 0; i < sizeof sequence_; ++i) {
    unsigned char& octet = nonce[nonce.size() - 1 - i];
    octet = static_cast<unsigned char>(octet ^ (sequence_ >> (8 * i) & 0xffU));
  }
  ++sequence_;
  int count = 0;
  return EVP_CipherInit_ex2(context_.get(), nullptr, nullptr, nonce.data(), encrypts, nullptr) == 1 &&
         EVP_CipherUpdate(context_.get(), nullptr, &count, header.data(), static_cast<int>(header.size())) ==
             1;
}

bool RecordKeys::seal(std::span<const unsigned char> header, std::string_view content, std::uint8_t type,
                      unsigned char* out) {
  int count = 0;
  int last = 0;
  const auto size = static_cast<int>(content.size());
  return begin(header) && EVP_EncryptUpdate(context_.get(), out, &count, octets(content), size) == 1 &&
         count == size && EVP_EncryptUpdate(context_.get(), out + size, &last, &type, 1) == 1 && last == 1 &&
         EVP_EncryptFinal_ex(context_.get(), out + size + 1, &last) == 1 && last == 0 &&
         EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_GET_TAG, kTag, out + size + 1) == 1;
}

bool RecordKeys::open(std::span<const unsigned char> header, std::string_view body, unsigned char* out) {
  std::array<unsigned char, kTag> tag{};
  std::ranges::copy(body.substr(body.size() - kTag), tag.begin());
  body.remove_suffix(kTag);
  int count = 0;
  int last = 0;
  const auto size = static_cast<int>(body.size());
  return begin(header) && EVP_DecryptUpdate(context_.get(), out, &count, octets(body), size) == 1 &&
         count == size && EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_SET_TAG, kTag, tag.data()) == 1 &&
         EVP_DecryptFinal_ex(context_.get(), out + size, &last) == 1 && last == 0;
}

RecordLayer::RecordLayer(const Suite& suite, const TrafficSecrets& secrets, Role role, Progress progress,
                         std::uint64_t records_a_key)
    : role_(role),
      reading_(suite, role == Role::server ? secrets.client : secrets.server, RecordKeys::Use::opening,
               progress.received),
      writing_(suite, role == Role::server ? secrets.server : secrets.client, RecordKeys::Use::sealing,
               progress.sent),
      records_a_key_(records_a_key) {}

Protection::Step RecordLayer::open(CipherText& text, std::span<char> room, std::size_t& size) {
  size = 0;
  Step step = failed() ? Step::failed : peer_ended_ ? Step::ended : Step::more;
  while (step == Step::more) {
    const auto record = next_record(text);
    if (!record) {
      if (failed()) step = Step::failed;
      break;
    }
    if (record->size() > room.size() - size) {
      step = Step::full;
      break;
    }
    step = open_record(text, *record, room.data() + size, size);
    if (partial_.empty()) {
      text.input.remove_prefix(record->size());
    } else {
      partial_ = {};
    }
  }
  // One answer for all that asked (RFC 8446 §4.6.3). It may wait for our next data, so it does while a peer
  // that reads nothing makes output wait.
  const bool answers = key_update_asked_ && text.output.empty() && !failed() && !ended_;
  return answers && !renew_writing_keys(text) ? Step::failed : step;
}

/// The first record there is, which is still in the input or in `partial_`; nothing: more must come.
std::optional<std::string_view> RecordLayer::next_record(CipherText& text) {
  std::string_view& input = text.input;
  if (partial_.empty()) {
    if (input.size() >= kHeader) {
      if (!is_sound(text, input)) return std::nullopt;
      const std::size_t whole = kHeader + body_size(input);
      if (input.size() >= whole) return input.substr(0, whole);
    }
    partial_ = std::exchange(input, {});
    return std::nullopt;
  }
  const auto gather = [&](std::size_t wanted) {
    const std::size_t count = std::min(wanted - std::min(wanted, partial_.size()), input.size());
    partial_ += input.substr(0, count);
    input.remove_prefix(count);
    return partial_.size() >= wanted;
  };
  if (!gather(kHeader) || !is_sound(text, partial_)) return std::nullopt;
  if (!gather(kHeader + body_size(partial_))) return std::nullopt;
  return partial_;
}

/// Judges a header before its body is waited for. The version means nothing (RFC 8446 §5.2).
bool RecordLayer::is_sound(CipherText& text, std::string_view header) {
  if (static_cast<Content>(octets(header)[0]) != Content::application_data) {
    stop(text, Alert::unexpected_message, "unencrypted record");
  } else if (body_size(header) > kMaxBody) {
    stop(text, Alert::record_overflow, "record too long");
  } else if (body_size(header) <= RecordKeys::kTag) {
    stop(text, Alert::decode_error, "record too short");
  }
  return !failed();
}

Protection::Step RecordLayer::open_record(CipherText& text, std::string_view record, char* room,
                                          std::size_t& size) {
  const std::string_view body = record.substr(kHeader);
  if (!reading_.open({octets(record), kHeader}, body, reinterpret_cast<unsigned char*>(room))) {
    return stop(text, Alert::bad_record_mac, "record not authentic");
  }
  std::string_view content(room, body.size() - RecordKeys::kTag);
  while (!content.empty() && content.back() == '\0') content.remove_suffix(1);  // padding, §5.4
  if (content.empty()) return stop(text, Alert::unexpected_message, "record without type");
  const auto type = static_cast<Content>(content.back());
  content.remove_suffix(1);
  if (content.size() > kMaxContent) return stop(text, Alert::record_overflow, "record too long");
  if (ticket_left_ > 0 && type != Content::handshake) {  // §5.1: messages are not interleaved
    return stop(text, Alert::unexpected_message, "message cut short");
  }
  if (type == Content::application_data && !content.empty()) {
    empty_records_ = 0;
    size += content.size();
    return Step::more;
  }
  if (++empty_records_ > kMaxEmptyRecords) {
    return stop(text, Alert::unexpected_message, "too many records without data");
  }
  switch (type) {
    case Content::application_data:
      return Step::more;
    case Content::alert:
      return take_alert(text, content);
    case Content::handshake:
      return take_handshake(text, content);
  }
  return stop(text, Alert::unexpected_message, "unknown type of record");
}

Protection::Step RecordLayer::take_alert(CipherText& text, std::string_view content) {
  if (content.empty()) return stop(text, Alert::unexpected_message, "empty alert");  // RFC 8446 §5.4
  if (content.size() != 2) return stop(text, Alert::decode_error, "malformed alert");
  switch (static_cast<Alert>(content[1])) {
    case Alert::close_notify:
      peer_ended_ = true;
      return Step::ended;
    case Alert::user_canceled:  // RFC 8446 §6.1: a close_notify follows
      return Step::more;
    default:
      ended_ = true;  // an alert is not answered
      fail_with("alert from the peer");
      return Step::failed;
  }
}

/// Key updates, and a server's tickets, which come too late here to be kept: a connection is not handed over
/// before the server has sent data, and servers send their tickets first. Nothing else was asked for.
Protection::Step RecordLayer::take_handshake(CipherText& text, std::string_view content) {
  if (content.empty()) return stop(text, Alert::unexpected_message, "empty handshake record");  // §5.4
  const auto skip_ticket = [&] {
    const std::size_t count = std::min(ticket_left_, content.size());
    ticket_left_ -= count;
    content.remove_prefix(count);
    return content.empty();
  };
  if (ticket_left_ > 0 && skip_ticket()) return Step::more;
  while (role_ == Role::client && content.size() >= kHandshakeHeader &&
         octets(content)[0] == kNewSessionTicket) {
    for (std::size_t i = 1; i < kHandshakeHeader; ++i) ticket_left_ = ticket_left_ << 8U | octets(content)[i];
    content.remove_prefix(kHandshakeHeader);
    if (skip_ticket()) return Step::more;
  }
  const bool is_key_update = content.size() == kKeyUpdateSize && octets(content)[0] == kKeyUpdate &&
                             content.substr(1, 3) == std::string_view("\0\0\1", 3);
  if (!is_key_update) return stop(text, Alert::unexpected_message, "unexpected handshake message");
  const unsigned char request = octets(content)[kHandshakeHeader];
  if (request > 1) return stop(text, Alert::illegal_parameter, "malformed key update");
  if (!reading_.update()) return stop(text, Alert::internal_error, "no new keys");
  key_update_asked_ = key_update_asked_ || request == 1;
  return Step::more;
}

Protection::Step RecordLayer::stop(CipherText& text, Alert alert, std::string reason) {
  constexpr char kFatal = 2;
  if (!ended_) {
    ended_ = true;
    const std::array<char, 2> content{kFatal, static_cast<char>(alert)};
    (void)write_record(text, Content::alert, {content.data(), content.size()});
  }
  fail_with(std::move(reason));
  return Step::failed;
}

bool RecordLayer::seal(CipherText& text, std::string_view data) {
  if (failed() || ended_) return false;
  // All records of a write: growing with each would copy the ones before.
  const std::size_t records = (data.size() + kMaxContent - 1) / kMaxContent;
  text.output.reserve(text.output.size() + data.size() + records * (kHeader + 1 + RecordKeys::kTag));
  while (!data.empty()) {
    const bool renews = key_update_asked_ || writing_.sequence() >= records_a_key_;
    if (renews && !renew_writing_keys(text)) return false;
    const std::string_view content = data.substr(0, kMaxContent);
    if (!write_record(text, Content::application_data, content)) return false;
    data.remove_prefix(content.size());
  }
  return true;
}

void RecordLayer::end(CipherText& text) {
  constexpr char kWarning = 1;
  if (failed() || std::exchange(ended_, true)) return;
  const std::array<char, 2> content{kWarning, static_cast<char>(Alert::close_notify)};
  (void)write_record(text, Content::alert, {content.data(), content.size()});
}

bool RecordLayer::write_record(CipherText& text, Content type, std::string_view content) {
  const std::size_t body = content.size() + 1 + RecordKeys::kTag;
  const auto header = header_for(body);
  const std::size_t begin = text.output.size();
  const std::size_t end = begin + kHeader + body;
  bool sealed = false;
  text.output.resize_and_overwrite(end, [&](char* out, std::size_t /*room*/) {
    auto* const record = reinterpret_cast<unsigned char*>(out) + begin;
    std::ranges::copy(header, record);
    sealed = writing_.seal(header, content, static_cast<std::uint8_t>(type), record + kHeader);
    return sealed ? end : begin;
  });
  if (!sealed) fail_with("cannot encrypt");
  return sealed;
}

/// RFC 8446 §4.6.3: the last record under the old keys tells of the new ones; ours are asked for no more.
bool RecordLayer::renew_writing_keys(CipherText& text) {
  constexpr std::string_view kNotRequested("\x18\0\0\1\0", kKeyUpdateSize);
  key_update_asked_ = false;
  if (!write_record(text, Content::handshake, kNotRequested)) return false;
  if (writing_.update()) return true;
  fail_with("no new keys");
  return false;
}

bool RecordLayer::holds_data() const {
  return partial_.size() >= kHeader && partial_.size() >= kHeader + body_size(partial_);
}

void RecordLayer::rest() {
  reading_.rest();
  writing_.rest();
}

}  // namespace kage::tls
