// What SEARCH, SORT and THREAD ask (RFC 9051 §6.4.4, RFC 5256, and the extensions that are passed), as a flat
// tree: parsed, bounded, and written anew. What is not known here never reaches the upstream.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/imap_command.h"
#include "proxy/imap_core.h"

namespace kage::proxy {

/// One search key. Keys stand in prefix order: what belongs to a key follows it, up to `end`.
struct SearchKey {
  enum class Kind : std::uint8_t {
    all_of,    ///< a list in parentheses, and the whole
    any_of,    ///< OR
    negation,  ///< NOT
    plain,     ///< anything that says nothing about what is rewritten
    field,     ///< FROM, TO, CC, BCC, SUBJECT, HEADER: sensitive
    text,      ///< TEXT: sensitive
    body,      ///< BODY: sensitive
  };
  Kind kind = Kind::plain;
  std::string written{};  ///< as it goes upstream; of a sensitive key, what stands before its string
  std::string name{};     ///< field: the header field, lower case
  std::string value{};    ///< sensitive: the string, UTF-8
  std::size_t end = 0;    ///< index behind the key and all that belongs to it

  [[nodiscard]] bool sensitive() const {
    return kind == Kind::field || kind == Kind::text || kind == Kind::body;
  }
};

struct SortKey {
  enum class By : std::uint8_t { arrival, cc, date, from, size, subject, to, display_from, display_to };
  By by = By::arrival;
  bool reverse = false;
};

struct SearchRequest {
  enum class Verb : std::uint8_t { search, sort, thread } verb = Verb::search;
  bool uid = false;
  std::optional<std::string> returns;  ///< the options of RETURN, without their parentheses
  std::vector<SortKey> sort;
  std::string algorithm;        ///< of THREAD
  std::vector<SearchKey> keys;  ///< keys[0] is the whole
};

struct SearchDialect {
  bool gmail = false;  ///< X-GM-MSGID, X-GM-THRID, X-GM-LABELS
};

/// The request, or the answer to give instead.
std::expected<SearchRequest, ImapStatus> parse_search(const ImapCommand& command, SearchDialect dialect);

/// The key at `at` with all that belongs to it, as it goes upstream; `instead`: for each sensitive key of it,
/// by its index, what stands in its place.
std::string write_keys(const std::vector<SearchKey>& keys, std::size_t at,
                       const std::vector<std::string>& instead = {});
std::string write_sort(const std::vector<SortKey>& sort);

}  // namespace kage::proxy
