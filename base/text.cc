// Pure helpers on bytes. Decoders are strict: one text for one value, so that an encoded key or id cannot be
// varied without being noticed.
#include "base/text.h"

#include <openssl/crypto.h>

#include <array>

namespace kage {
namespace {

constexpr std::string_view kBase32 = "0123456789abcdefghjkmnpqrstvwxyz";
constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kBase64Url = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::uint8_t kNone = 0xff;
constexpr std::string_view kSpace = " \t\r\n";

using Reverse = std::array<std::uint8_t, 256>;

constexpr Reverse reverse_of(std::string_view alphabet, bool either_case) {
  Reverse table{};
  table.fill(kNone);
  for (std::size_t i = 0; i < alphabet.size(); ++i) {
    const char c = alphabet[i];
    table[static_cast<unsigned char>(c)] = static_cast<std::uint8_t>(i);
    if (either_case && c >= 'a' && c <= 'z') {
      table[static_cast<unsigned char>(c - 32)] = static_cast<std::uint8_t>(i);
    }
  }
  return table;
}

constexpr Reverse kBase32Reverse = reverse_of(kBase32, true);
constexpr Reverse kBase64Reverse = reverse_of(kBase64, false);
constexpr Reverse kBase64UrlReverse = reverse_of(kBase64Url, false);

/// Bits in groups of `width`, most significant first; the last group is filled with zero bits.
void append_bits(std::string& out, std::string_view bytes, std::string_view alphabet, unsigned width) {
  const unsigned mask = (1U << width) - 1;
  unsigned held = 0;
  unsigned bits = 0;
  for (const char c : bytes) {
    held = (held << 8) | static_cast<unsigned char>(c);
    bits += 8;
    while (bits >= width) {
      bits -= width;
      out.push_back(alphabet[(held >> bits) & mask]);
    }
    held &= (1U << bits) - 1;
  }
  if (bits > 0) out.push_back(alphabet[(held << (width - bits)) & mask]);
}

/// The same for a width of 6, three octets at a time.
void append_64(std::string& out, std::string_view bytes, std::string_view alphabet) {
  const std::size_t whole = bytes.size() / 3 * 3;
  const std::size_t before = out.size();
  out.resize(before + whole / 3 * 4);
  const char* const from = bytes.data();
  const auto octet = [from](std::size_t i) { return unsigned{static_cast<unsigned char>(from[i])}; };
  const char* const digits = alphabet.data();
  char* to = out.data() + before;
  for (std::size_t i = 0; i < whole; i += 3) {
    const unsigned group = octet(i) << 16U | octet(i + 1) << 8U | octet(i + 2);
    *to++ = digits[group >> 18U];
    *to++ = digits[group >> 12U & 63U];
    *to++ = digits[group >> 6U & 63U];
    *to++ = digits[group & 63U];
  }
  append_bits(out, bytes.substr(whole), alphabet, 6);
}

/// Refuses foreign characters, a length that no encoder makes, and filling bits that are not zero.
std::optional<std::string> decode_bits(std::string_view text, const Reverse& reverse, unsigned width) {
  std::string out;
  out.reserve(text.size() * width / 8);
  unsigned held = 0;
  unsigned bits = 0;
  for (const char c : text) {
    const std::uint8_t digit = reverse[static_cast<unsigned char>(c)];
    if (digit == kNone) return std::nullopt;
    held = (held << width) | digit;
    bits += width;
    if (bits >= 8) {
      bits -= 8;
      out.push_back(static_cast<char>(static_cast<unsigned char>(held >> bits)));
      held &= (1U << bits) - 1;
    }
  }
  if (bits >= width || held != 0) return std::nullopt;
  return out;
}

}  // namespace

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = to_lower(c);
  return out;
}

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = to_upper(c);
  return out;
}

bool equals_nocase(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (to_lower(a[i]) != to_lower(b[i])) return false;
  }
  return true;
}

bool starts_with_nocase(std::string_view text, std::string_view prefix) {
  return text.size() >= prefix.size() && equals_nocase(text.substr(0, prefix.size()), prefix);
}

std::string_view trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

void trim_in_place(std::string& text) {
  text.resize(text.find_last_not_of(kSpace) + 1);
  text.erase(0, text.find_first_not_of(kSpace));
}

bool all_ascii(std::string_view text) {
  for (const char c : text) {
    if (!is_ascii(c)) return false;
  }
  return true;
}

std::string base32(std::string_view bytes) {
  std::string out;
  out.reserve((bytes.size() * 8 + 4) / 5);
  append_bits(out, bytes, kBase32, 5);
  return out;
}

std::optional<std::string> base32_decode(std::string_view text) {
  return decode_bits(text, kBase32Reverse, 5);
}

std::string base64(std::string_view bytes) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);  // growing would leave a copy behind, and it may be a secret
  append_64(out, bytes, kBase64);
  out.append((4 - out.size() % 4) % 4, '=');
  return out;
}

std::optional<std::string> base64_decode(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  if (text.ends_with("==")) {
    text.remove_suffix(2);
  } else if (text.ends_with('=')) {
    text.remove_suffix(1);
  }
  return decode_bits(text, kBase64Reverse, 6);
}

std::string base64url(std::string_view bytes) {
  std::string out;
  append_64(out, bytes, kBase64Url);
  return out;
}

void append_base64url(std::string& out, std::string_view bytes) {
  append_64(out, bytes, kBase64Url);
}

std::optional<std::string> base64url_decode(std::string_view text) {
  return decode_bits(text, kBase64UrlReverse, 6);
}

std::string hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    out.push_back(kDigits[byte >> 4U]);
    out.push_back(kDigits[byte & 15U]);
  }
  return out;
}

bool equals_secret(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::optional<std::uint64_t> parse_number(std::string_view text, std::uint64_t max) {
  if (text.empty()) return std::nullopt;
  std::uint64_t number = 0;
  for (const char c : text) {
    if (!is_digit(c)) return std::nullopt;
    const auto digit = static_cast<std::uint64_t>(c - '0');
    if (number > (UINT64_MAX - digit) / 10) return std::nullopt;
    number = number * 10 + digit;
  }
  if (number > max) return std::nullopt;
  return number;
}

}  // namespace kage
