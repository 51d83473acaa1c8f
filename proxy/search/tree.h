// Search keys (RFC 9051 §6.4.4 and the extensions that are passed) as a flat tree: parsed, bounded, and
// written anew. What is not known here never reaches the upstream.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <vector>

#include "proxy/imap/command.h"
#include "proxy/imap/core.h"

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

struct SearchDialect {
  bool gmail = false;  ///< X-GM-MSGID, X-GM-THRID, X-GM-LABELS
};

/// Keys up to the end of the command. `charset`: of the client's strings, lower case; empty: UTF-8. An answer
/// to give instead when they are malformed, unknown or too many.
std::expected<std::vector<SearchKey>, ImapStatus> parse_keys(ImapCursor& cursor, std::string charset,
                                                             SearchDialect dialect);

/// The key at `at` with all that belongs to it, as it goes upstream; `instead`: for each sensitive key of it,
/// by its index, what stands in its place.
std::string write_keys(const std::vector<SearchKey>& keys, std::size_t at,
                       const std::vector<std::string>& instead = {});

}  // namespace kage::proxy
