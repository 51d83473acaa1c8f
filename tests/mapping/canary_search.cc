// The search uses decoders of its own, so that a fault in the gateway's decoders cannot hide what it caused.
#include <array>

#include "base/text.h"
#include "canary.h"
#include "message/encoded_word.h"
#include "message/header.h"

namespace kage::mapping::test {
namespace {

constexpr std::array<std::string_view, 3> kMarkers = {"canaryloc", "canarydom", "canary"};

int hex_of(char c) {
  if (is_digit(c)) return c - '0';
  const char l = to_lower(c);
  return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

/// %XX and =XX decoded.
std::string hex_decoded(std::string_view text, char mark) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == mark && i + 2 < text.size() && hex_of(text[i + 1]) >= 0 && hex_of(text[i + 2]) >= 0) {
      out.push_back(static_cast<char>(hex_of(text[i + 1]) * 16 + hex_of(text[i + 2])));
      i += 2;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

std::string base64_decoded_loosely(std::string_view text) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  unsigned bits = 0;
  unsigned count = 0;
  for (const char c : text) {
    const std::size_t value = kAlphabet.find(c);
    if (value == std::string_view::npos) continue;
    bits = (bits << 6U | static_cast<unsigned>(value)) & 0xFFFFFFU;
    count += 6;
    if (count < 8) continue;
    count -= 8;
    out.push_back(static_cast<char>(bits >> count & 0xFFU));
  }
  return out;
}

/// Every "=?charset?b|q?text?=" becomes its octets, white space between two of them vanishes.
std::string words_decoded(std::string_view text) {
  std::string out;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t begin = text.find("=?", at);
    out.append(text.substr(at, begin == std::string_view::npos ? begin : begin - at));
    if (begin == std::string_view::npos) break;
    const std::size_t charset = text.find('?', begin + 2);
    const std::size_t end = charset == std::string_view::npos ? charset : text.find("?=", charset + 3);
    if (end == std::string_view::npos || charset + 2 >= text.size() || text[charset + 2] != '?') {
      out += "=?";
      at = begin + 2;
      continue;
    }
    const std::string_view body = text.substr(charset + 3, end - charset - 3);
    out += to_lower(text[charset + 1]) == 'b' ? base64_decoded_loosely(body) : hex_decoded(body, '=');
    at = end + 2;
    const std::size_t next = text.find_first_not_of(" \t\r\n", at);
    if (next != std::string_view::npos && text.substr(next).starts_with("=?")) at = next;
  }
  return out;
}

/// Full-width ASCII as ASCII.
std::string narrowed(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = [&](std::size_t n) {
      return static_cast<unsigned>(static_cast<unsigned char>(text[n]));
    };
    if (byte(i) == 0xEF && i + 2 < text.size() && (byte(i + 1) == 0xBC || byte(i + 1) == 0xBD)) {
      const unsigned code = 0xF000U | (byte(i + 1) & 0x3FU) << 6U | (byte(i + 2) & 0x3FU);
      if (code >= 0xFF01U && code <= 0xFF5EU) {
        out.push_back(static_cast<char>(code - 0xFF01U + 0x21U));
        i += 2;
        continue;
      }
    }
    out.push_back(text[i]);
  }
  return out;
}

/// RFC 2231 continuations joined: what stands between two sections goes.
std::string sections_joined(std::string_view text) {
  std::string out(text);
  for (std::size_t star = out.find('*'); star != std::string::npos; star = out.find('*', star + 1)) {
    std::size_t value = star + 1;
    while (value < out.size() && (is_digit(out[value]) || out[value] == '*')) ++value;
    if (value == star + 1 || value >= out.size() || out[value] != '=' || out[star + 1] == '0') continue;
    const std::size_t semicolon = out.rfind(';', star);
    if (semicolon == std::string::npos) continue;
    out.erase(semicolon, value + 1 - semicolon);
    star = semicolon;
  }
  std::erase(out, '"');
  return out;
}

void look(std::string_view view, std::string_view how, std::vector<std::string>& found) {
  const std::string folded = lower(view);
  for (const std::string_view marker : kMarkers) {
    const std::size_t at = folded.find(marker);
    if (at == std::string::npos) continue;
    const std::size_t begin = at > 60 ? at - 60 : 0;
    found.push_back(std::string(how) + ": " + folded.substr(begin, 160));
    return;
  }
}

std::string without_boundaries(std::string_view body) {
  std::string text(body);
  const std::string folded = lower(text);
  const std::size_t at = folded.find("boundary=\"");
  if (at == std::string::npos) return text;
  const std::size_t end = text.find('"', at + 10);
  text.erase(at, end == std::string::npos ? end : end + 1 - at);
  return text;
}

}  // namespace

std::vector<std::string> canaries_in(std::string_view block) {
  std::vector<std::string> found;
  const auto fields = message::tokenize(block, {.max_octets = 64U << 20U, .max_fields = 100'000});
  if (!fields) return {"does not tokenize"};
  for (const message::Field& field : *fields) {
    const std::string raw = field.is("Content-Type") ? without_boundaries(field.raw) : std::string(field.raw);
    std::string line = raw;
    std::erase_if(line, [](char c) { return c == '\r' || c == '\n'; });
    std::string glued = line;
    std::erase_if(glued, [](char c) { return is_wsp(c); });
    look(raw, "raw", found);
    look(line, "unfolded", found);
    look(glued, "without white space", found);
    look(narrowed(words_decoded(raw)), "encoded-words", found);
    look(narrowed(words_decoded(words_decoded(line))), "encoded-words twice", found);
    look(message::decode_words(line, true), "decode_words", found);
    look(hex_decoded(line, '%'), "percent-encoding", found);
    look(sections_joined(hex_decoded(line, '%')), "RFC 2231", found);
    look(hex_decoded(line, '='), "quoted-printable", found);
  }
  return found;
}

}  // namespace kage::mapping::test
