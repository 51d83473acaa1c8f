// Encoded-words and charsets: always UTF-8, and what is written is read back. The first octet of the input
// picks a charset for to_utf8.
#include <algorithm>
#include <array>
#include <string>

#include "message/charset.h"
#include "message/encoded_word.h"
#include "message/guess.h"
#include "message/utf8.h"
#include "tests/fuzz/fuzz.h"

namespace {

using kage::fuzz::require;
using namespace kage::message;

constexpr auto kCharsets = std::to_array<std::string_view>(
    {"iso-2022-jp", "shift_jis", "euc-jp", "utf-8", "us-ascii", "iso-8859-1", "gb2312", "big5",
     "ks_c_5601-1987", "utf-7", "utf-16", "iso-2022-kr", "hz-gb-2312", "x-unknown"});

void check_words(std::string_view utf8) {
  std::string text(utf8);
  std::erase_if(text, [](char c) { return c == '\r' || c == '\n' || c == '\0'; });
  const std::string words = encode_words(utf8);
  require(decode_words(words) == text || text.find('\x1b') != std::string::npos ||
              text.find('\x0e') != std::string::npos,
          "encoded words are decoded again");
  require(words.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos,
          "no line ends are written");
  if (words != text) {
    for (std::size_t begin = 0; begin < words.size();) {
      const std::size_t end = std::min(words.find(' ', begin), words.size());
      require(end - begin <= 75, "RFC 2047 §2: at most 75 octets");
      begin = end + 1;
    }
  }
  const std::string phrase = encode_phrase(utf8);
  require(decode_words(phrase, true) == text, "a phrase is decoded again");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = kage::fuzz::text_of(data, size);
  const std::string decoded = decode_words(text);
  require(is_valid_utf8(decoded), "decoded text is UTF-8");
  require(is_valid_utf8(decode_words(text, true)), "decoded names are UTF-8");
  require(is_valid_utf8(guess_to_utf8(text)), "guessed text is UTF-8");
  check_words(decoded);
  if (size > 0) {
    const std::string_view charset = kCharsets[data[0] % kCharsets.size()];
    require(is_valid_utf8(to_utf8(text.substr(1), charset)), "converted text is UTF-8");
  }
  return 0;
}
