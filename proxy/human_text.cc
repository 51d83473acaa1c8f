// Addresses, hosts and their disguises in text that people read.
#include "proxy/human_text.h"

#include <string>

#include "base/text.h"
#include "mapping/rewrite/scan.h"
#include "message/charset.h"
#include "message/encoded_word.h"
#include "message/lexical.h"

namespace kage::proxy {
namespace {

constexpr std::size_t kMaxText = 400;

/// The forms of '@' that message::find_addresses and the rewriting know, in UTF-8.
bool shows_at(std::string_view text) {
  return text.find('@') != std::string_view::npos || text.find("%40") != std::string_view::npos ||
         text.find("=40") != std::string_view::npos || mapping::may_refer_to_sign(text) ||
         text.find("\xEF\xBC\xA0") != std::string_view::npos ||
         text.find("\xEF\xB9\xAB") != std::string_view::npos;
}

/// "imap.provider.example", "10.0.0.1": labels with dots between, the last one of letters, or four numbers.
bool looks_like_host(std::string_view word) {
  std::size_t dots = 0;
  bool letters = false;
  for (std::size_t i = 1; i + 1 < word.size(); ++i) {
    if (word[i] != '.' || !is_alnum(word[i - 1]) || !is_alnum(word[i + 1])) continue;
    ++dots;
    letters = is_alpha(word[i + 1]);
  }
  return dots > 0 && (letters || dots >= 3);
}

}  // namespace

bool may_hold_address(std::string_view text) {
  if (shows_at(text)) return true;
  const bool percent = text.find('%') != std::string_view::npos;
  if (all_ascii(text) && !percent && text.find("=?") == std::string_view::npos &&
      text.find('\x1b') == std::string_view::npos) {
    return false;
  }
  const std::string octets = percent ? message::percent_decode(text) : std::string(text);
  if (shows_at(octets) || shows_at(message::decode_words(octets))) return true;
  // RFC 2231 §4: charset'language'octets.
  const std::size_t charset = text.find('\'');
  if (!percent || charset == std::string_view::npos) return false;
  const std::size_t language = text.find('\'', charset + 1);
  if (language == std::string_view::npos) return false;
  const std::string value = message::percent_decode(text.substr(language + 1));
  return shows_at(message::to_utf8(value, text.substr(0, charset)));
}

bool is_neutral(std::string_view text) {
  if (text.empty() || text.size() > kMaxText || may_hold_address(text)) return false;
  if (text.find("=?") != std::string_view::npos) return false;  // an encoded-word could name a host
  std::size_t begin = 0;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    const char c = i < text.size() ? text[i] : ' ';
    if (c < ' ' || c == 0x7f || c == '@' || !is_ascii(c)) return false;
    if (is_alnum(c) || c == '.' || c == '-' || c == '_') continue;
    if (looks_like_host(text.substr(begin, i - begin))) return false;
    // IPv6: two colons in one word.
    if (c != ':')
      begin = i + 1;
    else if (text.substr(begin, i - begin).find(':') != std::string_view::npos)
      return false;
  }
  return true;
}

}  // namespace kage::proxy
