// `cid:` URLs in HTML (RFC 2392), which name a Content-ID: they follow it when it changes, octet for octet.
//
// Reads HTML as it is encoded: soft line breaks and escapes of quoted-printable, base64, and %-escapes of the
// URL keep their places. Holds at most one id; a longer one is none and passes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "mapping/visible/kind.h"

namespace kage::mapping {

/// Decodes an encoded stream octet by octet.
class OctetDecoder {
 public:
  explicit OctetDecoder(ContentKind::Encoding encoding) : encoding_(encoding) {}

  /// Takes an octet; true when it completes one of the decoded text. An escape that is none gives NUL.
  bool feed(char octet, char& decoded);
  /// Whether the last octet that completed one was the end of "=XX".
  [[nodiscard]] bool escaped() const { return escaped_; }
  /// Base64: bits of the next octet that have come already.
  [[nodiscard]] unsigned bits() const { return bits_; }

 private:
  bool feed_quoted(char octet, char& decoded);
  bool feed_base64(char octet, char& decoded);

  enum class Quoted : std::uint8_t { text, equals, first_digit, soft_break };
  ContentKind::Encoding encoding_;
  Quoted quoted_ = Quoted::text;
  bool escaped_ = false;
  unsigned value_ = 0;
  unsigned bits_ = 0;
};

class CidFilter {
 public:
  explicit CidFilter(ContentKind::Encoding encoding) : encoding_(encoding), decoder_(encoding) {}

  /// Whether "cid:" has come: what follows goes to gather().
  [[nodiscard]] bool holding() const { return holding_; }
  [[nodiscard]] std::size_t held() const { return raw_.size(); }

  /// How many octets of `input` pass as they are: all, or up to the last one of a "cid:".
  std::size_t skip(std::string_view input);
  /// Takes octets up to the end of the id and returns how many; `done`: it was there, call show().
  std::size_t gather(std::string_view input, bool& done);
  /// Gives what is held, its id replaced by what `replacement` makes of it when that has the same size.
  void show(const std::function<std::string(std::string_view)>& replacement, std::string& out);
  /// Gives all but the last `without` octets of what is held as they came.
  void pass(std::size_t without, std::string& out);

 private:
  /// A decoded octet of the URL and where it stands in `raw_`.
  struct Unit {
    char value = 0;
    std::size_t offset = 0;  ///< of the last octet that made it
    bool escaped = false;
  };
  [[nodiscard]] std::vector<Unit> units() const;
  [[nodiscard]] std::vector<std::size_t> sextets() const;
  void put_bits(const std::vector<std::size_t>& sextets, std::size_t first_bit, char value);
  void restart();

  ContentKind::Encoding encoding_;
  OctetDecoder decoder_;
  OctetDecoder at_id_{encoding_};  ///< the decoder behind the ':'
  unsigned matched_ = 0;           ///< octets of "cid:"
  bool in_word_ = false;           ///< the last octet was a letter or digit: "acid:" is none
  bool holding_ = false;
  std::string raw_;  ///< from the octet that completed the ':'
};

}  // namespace kage::mapping
