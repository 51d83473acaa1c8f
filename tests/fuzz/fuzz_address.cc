// Addresses: lists, single ones, and those in free text.
#include <algorithm>
#include <string>
#include <vector>

#include "message/address.h"
#include "message/address_list.h"
#include "message/address_text.h"
#include "message/encoded_word.h"
#include "message/msg_id.h"
#include "message/utf8.h"
#include "tests/fuzz/fuzz.h"

namespace {

using kage::fuzz::require;
using namespace kage::message;

void check_address(const Address& address) {
  const std::string canonical = address.canonical();
  const std::size_t at_sign = canonical.rfind('@');
  require(at_sign != std::string::npos, "canonical has an '@'");
  const Address again{
      .local = canonical.substr(0, at_sign), .domain = canonical.substr(at_sign + 1), .spelling = canonical};
  require(again.canonical() == canonical, "canonical of canonical is itself");
  require(again.canonical_domain() == address.canonical_domain(), "canonical domain is a part of canonical");
  if (const auto parsed = parse_address(address.quoted())) {
    require(parsed->canonical() == canonical, "quoted is the same address");
  }
}

void check_list(std::string_view body) {
  const auto items = parse_address_list(body);
  if (!items) return;
  const char* at = body.data();
  int depth = 0;
  for (const ListItem& item : *items) {
    if (!item.raw.empty()) {
      require(item.raw.data() >= at && item.raw.data() + item.raw.size() <= body.data() + body.size(),
              "items are in order and inside the body");
      const std::string_view between(at, static_cast<std::size_t>(item.raw.data() - at));
      require(between.find_first_not_of(" \t\r\n,;") == std::string_view::npos,
              "nothing between items is lost");
      at = item.raw.data() + item.raw.size();
    }
    require(item.address.has_value() == (item.kind == ListItem::Kind::mailbox), "mailboxes have an address");
    if (item.address) {
      check_address(*item.address);
      require(item.address->local.size() <= 256 && item.address->domain.size() <= 255,
              "addresses are bounded");
    }
    depth += item.kind == ListItem::Kind::group_start ? 1 : 0;
    depth -= item.kind == ListItem::Kind::group_end ? 1 : 0;
    require(depth == 0 || depth == 1, "groups are balanced");
  }
  const std::string_view rest(at, static_cast<std::size_t>(body.data() + body.size() - at));
  require(rest.find_first_not_of(" \t\r\n,;") == std::string_view::npos, "nothing behind the items is lost");
  require(depth == 0, "groups are ended");
}

/// A mailbox written anew is read as that mailbox.
void check_rewrite(std::string_view body) {
  const auto items = parse_address_list(body);
  if (!items) return;
  for (const ListItem& item : *items) {
    if (!item.address) continue;
    const std::string name = encode_phrase(decode_words(item.phrase, true));
    const std::string text = name + (name.empty() ? "<" : " <") + "x@y.example>";
    const auto again = parse_address_list(text);
    require(again && again->size() == 1 && (*again)[0].intact && (*again)[0].address &&
                (*again)[0].address->canonical() == "x@y.example",
            "a display name written anew cannot break out");
  }
}

void check_text(std::string_view body) {
  const std::string text = decode_words(body);
  const auto hits = find_addresses(text);
  std::string out;
  std::size_t at = 0;
  std::vector<std::string> originals;
  for (const TextAddress& hit : hits) {
    require(hit.offset >= at && hit.length > 0 && hit.offset + hit.length <= text.size(),
            "hits do not overlap");
    out += text.substr(at, hit.offset - at);
    out += "x";
    at = hit.offset + hit.length;
    require(!hit.address.local.empty() && !hit.address.domain.empty(), "hits are addresses");
    check_address(hit.address);
    originals.push_back(hit.address.canonical());
  }
  out += text.substr(at);
  require(is_valid_utf8(out), "hits are whole characters");
  if (originals.size() > 100) return;
  for (const TextAddress& left : find_addresses(out)) {
    // "x" put in place of a hit may stand beside an '@' that had nothing at its left; that is no original.
    require(std::ranges::find(originals, left.address.canonical()) == originals.end() ||
                left.address.local.starts_with('x'),
            "no original is left after replacing");
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = kage::fuzz::text_of(data, size);
  if (const auto address = parse_address(text)) {
    check_address(*address);
    require(parse_address(address->quoted()).has_value(), "quoted can be read");
  }
  check_list(text);
  check_rewrite(text);
  check_text(text);
  find_msg_ids(text);
  return 0;
}
