// SMTP replies (RFC 5321 §4.2, RFC 2034): a parser without I/O, fed line by line.
//
// Only the code and the enhanced status code are of use later; a next hop's text is never passed on.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "submission/outcome.h"

namespace kage::submission {

struct SmtpReply {
  int code = 0;        ///< 200 to 599
  std::string status;  ///< "4.7.1" of the first line; empty: none, or of another class than the code
  std::vector<std::string> lines;  ///< text behind the code, where it was asked for (EHLO, 334)

  [[nodiscard]] bool positive() const { return code / 100 == 2; }
  [[nodiscard]] bool transient() const { return code / 100 == 4; }
  [[nodiscard]] bool permanent() const { return code / 100 == 5; }
};

class SmtpReplyParser {
 public:
  /// RFC 5321 §4.5.3.1.5 says 512; real servers go beyond it.
  static constexpr std::size_t kMaxLine = 2048;
  static constexpr std::size_t kMaxLines = 100;

  explicit SmtpReplyParser(bool keep_text) : keep_text_(keep_text) {}

  /// Takes the next line, without its line end. True when it was the last of its reply. Errc::protocol: no
  /// reply line, or another code than the lines before; Errc::limit: too many lines.
  Result<bool> line(std::string_view text);

  [[nodiscard]] SmtpReply take() { return std::move(reply_); }

 private:
  SmtpReply reply_;
  std::size_t count_ = 0;
  bool keep_text_;
};

/// What an error reply (4yz, 5yz) to MAIL, RCPT, DATA or the final dot says about the copy. A 5yz that asks
/// us for credentials or TLS is the operator's to mend, not a verdict on the recipient: deferred.
CopyResult result_of(const SmtpReply& reply);

}  // namespace kage::submission
