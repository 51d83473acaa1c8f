// What a client's FETCH asks for (RFC 9051 §6.4.5 and the extensions that are passed), item by item. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kage::proxy {

enum class FetchKind : std::uint8_t {
  plain,      ///< passes as the upstream says it
  envelope,   ///< ENVELOPE
  structure,  ///< BODY, BODYSTRUCTURE
  whole,      ///< BODY[], RFC822
  header,     ///< BODY[HEADER] and its fields, RFC822.HEADER
  content,    ///< BODY[TEXT], BODY[2], BODY[2.TEXT], BINARY[2]: what it is has to be known first
  /// BODY[2.MIME], BODY[2.HEADER] and its fields: whose message it is has to be known first
  part_header,
};

struct FetchPartial {
  std::uint64_t offset = 0;
  std::uint64_t count = 0;  ///< above 0
};

struct FetchItem {
  FetchKind kind = FetchKind::plain;
  std::string ask;      ///< what the upstream is asked for and answers with: "BODY[HEADER]"; never ".PEEK"
  std::string label;    ///< what the client's answer is called: "BODY[HEADER.FIELDS (FROM)]<0>"
  std::string section;  ///< "", "HEADER", "TEXT", "2.MIME"
  bool peek = true;     ///< does not set \Seen
  bool binary = false;  ///< BINARY[…]
  bool fields = false;  ///< HEADER.FIELDS: `names` only, or, with `without`, all but them
  bool without = false;
  std::vector<std::string> names;       ///< upper case
  std::optional<FetchPartial> partial;  ///< <0.2048>

  /// Whether its octets stream: they are not held.
  [[nodiscard]] bool streams() const { return kind == FetchKind::whole || kind == FetchKind::content; }
};

struct FetchRequest {
  std::string set;
  std::vector<FetchItem> items;
  std::uint64_t changed_since = 0;
  bool has_changed_since = false;
  bool vanished = false;
};

/// `rest`: what follows FETCH. Errc::invalid: anything that is not known, which then goes nowhere.
Result<FetchRequest> parse_fetch(std::string_view rest, bool gmail);

/// Items as the upstream is asked for them, each once: "UID FLAGS BODY.PEEK[HEADER]". `with_uid`: UID first,
/// asked for or not.
std::string upstream_items(const std::vector<FetchItem>& items, bool with_uid);

/// "BODY[2]" → "BODY.PEEK[2]".
std::string peeking(std::string_view ask);

/// The number, when a set names one message only; 0 otherwise.
std::uint32_t single_number(std::string_view set);

}  // namespace kage::proxy
