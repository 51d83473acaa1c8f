// The upstream's responses, one at a time (RFC 9051 §7), hostile until shown otherwise: bounded lines,
// literals, depth; a FETCH response is read item by item and its large literals stream. A value of it that is
// longer than the bounds is read and dropped: a stranger's letter can have one, and ends no session.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/buffered_reader.h"
#include "net/stream.h"
#include "net/task.h"
#include "proxy/imap/skip.h"

namespace kage::proxy {

/// Bounds of one response.
struct ImapReaderLimits {
  std::size_t max_line = 8u << 20;   ///< octets of a response with its short literals (a large SEARCH result)
  std::size_t max_value = 2u << 20;  ///< octets of one FETCH item that does not stream (BODYSTRUCTURE)
  std::uint64_t max_literal = 1u << 31;  ///< octets of a literal that streams
};

struct ImapResponse {
  enum class Kind : std::uint8_t { tagged, untagged, continuation } kind = Kind::untagged;
  std::string tag;           ///< tagged only
  std::string name;          ///< upper case: OK, NO, BAD, BYE, PREAUTH, CAPABILITY, LIST, EXISTS, FETCH, …
  std::uint32_t number = 0;  ///< "* 23 FETCH": 23
  /// What follows the name, without the line end; literals stand in it as they came ("{3}\r\nabc"). Empty for
  /// FETCH, whose items have to be read with next_item().
  std::string text;
};

/// One item of a FETCH response. Good for one after the other: the strings keep their memory.
struct ImapFetchItem {
  std::string name;  ///< as the upstream wrote it: "FLAGS", "BODY[HEADER.FIELDS (FROM)]<0>"
  /// Atom, number, quoted string, NIL or parenthesised list, as it came; empty when it streams or is too
  /// large.
  std::string value;
  bool too_large = false;  ///< it was longer than ImapReaderLimits::max_value, and is gone
  bool streams = false;    ///< a literal follows: read it with chunk() to its end before the next item
  bool binary = false;     ///< literal8: "~{…}"
  std::uint64_t size = 0;  ///< its octets

  /// Whether `value` is all there is to it.
  [[nodiscard]] bool has_value() const { return !streams && !too_large; }
};

class ImapReader {
 public:
  explicit ImapReader(net::Stream& stream, ImapReaderLimits limits = {});

  /// The next response. Errc::closed, timed_out, protocol (not IMAP), limit. After an error the connection is
  /// of no use.
  net::Task<Result<ImapResponse>> next();
  /// Within a FETCH response: false at its end.
  net::Prompt<Result<bool>> next_item(ImapFetchItem& item);
  /// The next octets of the literal; empty at its end. Valid until the next call or suspension.
  net::Prompt<Result<std::string_view>> chunk();

  /// Whether more is buffered, so that what was gathered for the client need not be written yet.
  [[nodiscard]] bool has_more() const;
  /// Octets of the stream that somebody else has read.
  void unread(std::string_view octets);

 private:
  /// How far an item could be told from what is there.
  enum class Step : std::uint8_t { item, end, wants_line, wants_literal, wants_more };
  enum class Part : std::uint8_t { none, name, value };

  net::Task<Result<>> join_literal(std::string& text, std::size_t max_octets);
  std::string_view take_front();
  Result<> begin_line(std::string_view line);
  net::Task<Result<>> read_line();
  net::Task<Result<>> skip_literal();
  Result<Step> scan(ImapFetchItem& item);
  Result<Step> scan_name(ImapFetchItem& item);
  Result<Step> take_name(ImapFetchItem& item);
  Result<Step> scan_value(ImapFetchItem& item);
  net::Task<Result<bool>> join_to_item();
  net::Task<Result<bool>> read_more();
  net::Task<Result<bool>> skip_value(ImapValueSkip skip, std::size_t from);
  net::Task<Result<bool>> read_item(ImapFetchItem& item);
  net::Task<Result<std::string_view>> read_chunk();
  void begin_part(Part part);
  void end_fetch();

  net::BufferedReader reader_;
  ImapReaderLimits limits_;
  std::string line_;  // of a FETCH response, with the literals of the item that is being read
  std::size_t at_ = 0;
  Part part_ = Part::none;  // of an item, that is being scanned
  std::size_t item_ = 0;    // where the item begins
  std::size_t start_ = 0;   // where the part begins
  std::size_t depth_ = 0;   // of its brackets, at `at_`
  std::uint64_t literal_left_ = 0;
  std::string long_name_;  // the last one of an item, with the space behind it: a list's come again
  bool in_fetch_ = false;
  bool line_due_ = false;   // the response goes on with a line that was not read yet
  bool line_open_ = false;  // `line_` is the front of a line that is longer than any that is held
};

}  // namespace kage::proxy
