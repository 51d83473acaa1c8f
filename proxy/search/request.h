// What SEARCH, SORT and THREAD ask (RFC 9051 §6.4.4, RFC 5256, RFC 4731): what stands before the keys, and
// the keys.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "proxy/search/tree.h"

namespace kage::proxy {

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

/// The request, or the answer to give instead.
std::expected<SearchRequest, ImapStatus> parse_search(const ImapCommand& command, SearchDialect dialect);

/// Whether it wants its result saved as `$` (RFC 5182), also where parse_search() refuses the rest.
bool wants_saved(const ImapCommand& command);

std::string write_sort(const std::vector<SortKey>& sort);

}  // namespace kage::proxy
