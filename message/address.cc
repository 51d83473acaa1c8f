// One address: its canonical and its written forms, and the strict reading of a single addr-spec.
#include "message/address.h"

#include <idn2.h>
#include <unicode/uchar.h>
#include <unicode/unorm2.h>

#include <algorithm>
#include <array>
#include <memory>

#include "base/text.h"
#include "message/address_lexer.h"
#include "message/lexical.h"
#include "message/utf8.h"

namespace kage::message {
namespace {

constexpr std::size_t kMaxLabel = 63;  // RFC 1035 §2.3.4

std::u16string to_utf16(std::string_view utf8) {
  std::u16string text;
  text.reserve(utf8.size());
  std::size_t at = 0;
  while (at < utf8.size()) {
    const std::int32_t c = next_code_point(utf8, at);
    if (c < 0x10000) {
      text.push_back(static_cast<char16_t>(c < 0 ? 0xFFFD : c));
    } else {
      text.push_back(static_cast<char16_t>(U16_LEAD(c)));
      text.push_back(static_cast<char16_t>(U16_TRAIL(c)));
    }
  }
  return text;
}

std::u16string normalized(const UNormalizer2* form, const std::u16string& text) {
  std::u16string out(text.size() * 4 + 16, u'\0');
  UErrorCode error = U_ZERO_ERROR;
  std::int32_t length = unorm2_normalize(form, text.data(), static_cast<std::int32_t>(text.size()),
                                         out.data(), static_cast<std::int32_t>(out.size()), &error);
  if (error == U_BUFFER_OVERFLOW_ERROR) {
    out.resize(static_cast<std::size_t>(length));
    error = U_ZERO_ERROR;
    length = unorm2_normalize(form, text.data(), static_cast<std::int32_t>(text.size()), out.data(),
                              static_cast<std::int32_t>(out.size()), &error);
  }
  if (U_FAILURE(error)) return text;
  out.resize(static_cast<std::size_t>(length));
  return out;
}

/// Whether some character beside ASCII is one of ASCII in another form of the text: the Kelvin sign is a K.
bool hides_ascii(std::string_view utf8, const UNormalizer2* nfd) {
  for (std::size_t at = 0; at < utf8.size();) {
    const UChar32 c = next_code_point(utf8, at);
    if (c < 0x80) continue;
    std::array<UChar, 32> parts{};
    UErrorCode error = U_ZERO_ERROR;
    const std::int32_t size = unorm2_getDecomposition(nfd, c, parts.data(), parts.size(), &error);
    if ((U_SUCCESS(error) && size == 1 && parts[0] < 0x80) || u_tolower(c) < 0x80) return true;
  }
  return false;
}

/// Character by character: "ß" does not become "ss".
std::string lower_case(std::string_view utf8) {
  std::string out;
  out.reserve(utf8.size());
  for (std::size_t at = 0; at < utf8.size();) {
    const std::int32_t c = next_code_point(utf8, at);
    append_utf8(out, c < 0 ? 0xFFFD : u_tolower(c));
  }
  return out;
}

/// Composed and in lower case. Not folded: "strasse" and "straße", "fisher" and "ﬁsher" can be two people,
/// and one of them may be somebody who wants to be taken for the other (contract R3.3).
std::string fold_local(std::string_view local) {
  if (all_ascii(local)) return lower(local);
  UErrorCode error = U_ZERO_ERROR;
  const UNormalizer2* const nfd = unorm2_getNFDInstance(&error);
  const UNormalizer2* const nfc = unorm2_getNFCInstance(&error);
  if (U_FAILURE(error) || hides_ascii(local, nfd)) return lower(local);
  const std::string composed = from_utf16(normalized(nfc, to_utf16(local)));
  return from_utf16(normalized(nfc, to_utf16(lower_case(composed))));
}

/// The full stops that people type in a domain (UTS 46 §4.5 maps all of them to '.').
std::string with_plain_dots(std::string_view domain) {
  std::string out;
  out.reserve(domain.size());
  std::size_t at = 0;
  while (at < domain.size()) {
    const std::size_t begin = at;
    const std::int32_t c = next_code_point(domain, at);
    if (c == 0x3002 || c == 0xFF0E || c == 0xFF61) {
      out.push_back('.');
    } else {
      out += domain.substr(begin, at - begin);
    }
  }
  return out;
}

bool is_host_char(char c) {
  return is_alnum(c) || c == '-' || c == '_';
}

/// Whether ASCII text is labels of letters, digits, '-' and '_' with single dots between them.
bool is_host_name(std::string_view name) {
  if (name.empty() || name.size() > kMaxDomain) return false;
  std::size_t label = 0;
  for (char c : name) {
    if (c == '.') {
      if (label == 0) return false;
      label = 0;
    } else if (!is_host_char(c) || ++label > kMaxLabel) {
      return false;
    }
  }
  return label > 0;
}

std::string_view without_final_dot(std::string_view domain) {
  if (domain.ends_with('.')) domain.remove_suffix(1);
  return domain;
}

struct FreeIdn {
  void operator()(std::uint8_t* text) const { idn2_free(text); }
};

/// The size of the quoted-string that `text` begins with; 0 when it does not end.
std::size_t quoted_size(std::string_view text) {
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      return i + 1;
    }
  }
  return 0;
}

/// Reads a local part up to its '@': atoms, dots and quoted-strings. Returns its size; 0 when it is none.
std::size_t read_local(std::string_view text, std::string& local) {
  std::size_t at = 0;
  while (at < text.size() && text[at] != '@') {
    if (text[at] == '"') {
      const std::size_t size = quoted_size(text.substr(at));
      if (size == 0) return 0;
      if (at > 0 && text[at - 1] != '.') return 0;
      local += unquote(text.substr(at, size));
      at += size;
      if (at < text.size() && text[at] != '.' && text[at] != '@') return 0;
    } else {
      if (text[at] != '.' && !is_atext(text[at]) && is_ascii(text[at])) return 0;
      local.push_back(text[at++]);
    }
  }
  return at < text.size() ? at : 0;
}

bool is_literal(std::string_view domain) {
  return domain.size() > 2 && domain.starts_with('[') && domain.ends_with(']') &&
         std::ranges::all_of(domain.substr(1, domain.size() - 2), [](char c) {
           return is_ascii(c) && !is_control(c) && c != ' ' && c != '[' && c != ']' && c != '\\' && c != '@';
         });
}

}  // namespace

Result<std::string> canonical_domain(std::string_view domain) {
  if (is_literal(domain)) return lower(domain);
  if (all_ascii(domain)) {
    domain = without_final_dot(domain);
    if (!is_host_name(domain)) return fail(Errc::invalid, "not a domain name");
    return lower(domain);
  }
  const std::string dotted = with_plain_dots(domain);
  const std::string name(without_final_dot(dotted));
  if (all_ascii(name)) return canonical_domain(name);
  if (name.size() > kMaxDomain * 4 || name.find('\0') != std::string::npos || !is_valid_utf8(name)) {
    return fail(Errc::invalid, "not a domain name");
  }
  std::uint8_t* found = nullptr;
  const int status = idn2_lookup_u8(reinterpret_cast<const std::uint8_t*>(name.c_str()), &found,
                                    IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
  const std::unique_ptr<std::uint8_t, FreeIdn> owner(found);
  if (status != IDN2_OK || found == nullptr) return fail(Errc::invalid, "IDNA refuses the domain name");
  const std::string ascii = lower(without_final_dot(reinterpret_cast<const char*>(found)));
  if (!is_host_name(ascii)) return fail(Errc::invalid, "not a domain name");
  return ascii;
}

std::string Address::canonical_domain() const {
  std::string name = with_plain_dots(domain);
  while (name.ends_with('.')) name.pop_back();
  if (auto canonical = message::canonical_domain(name)) return *std::move(canonical);
  return lower(name);
}

std::string Address::canonical() const {
  std::string text = fold_local(local);
  text += '@';
  text += canonical_domain();
  return text;
}

bool Address::is_dot_atom() const {
  if (local.empty() || local.starts_with('.') || local.ends_with('.')) return false;
  if (local.find("..") != std::string::npos) return false;
  return std::ranges::all_of(local, [](char c) { return c == '.' || is_atext(c) || !is_ascii(c); });
}

std::string Address::quoted() const {
  std::string text;
  if (is_dot_atom()) {
    text = local;
  } else {
    append_quoted(text, local);
  }
  text += '@';
  text += domain;
  return text;
}

bool Address::needs_utf8() const {
  return !all_ascii(local) || !all_ascii(domain);
}

Result<Address> parse_address(std::string_view text) {
  Address address;
  if (std::ranges::any_of(text, is_control)) return fail(Errc::invalid, "not an address: control characters");
  const std::size_t at_sign = read_local(text, address.local);
  if (at_sign == 0 || address.local.empty()) return fail(Errc::invalid, "not an address: local part");
  const std::string_view domain = text.substr(at_sign + 1);
  if (address.local.size() > kMaxLocalPart || domain.size() > kMaxDomain)
    return fail(Errc::invalid, "address too long");
  if (!is_valid_utf8(address.local)) return fail(Errc::invalid, "not an address: local part is not UTF-8");
  const bool named = all_ascii(domain) ? is_host_name(without_final_dot(domain))
                                       : is_valid_utf8(domain) && std::ranges::all_of(domain, [](char c) {
                                           return is_host_char(c) || c == '.' || !is_ascii(c);
                                         });
  if (!named && !is_literal(domain)) return fail(Errc::invalid, "not an address: domain");
  // What goes out again (contract R4.2) has to be a domain that mail systems take.
  address.domain =
      is_literal(domain) ? std::string(domain) : std::string(without_final_dot(with_plain_dots(domain)));
  address.spelling = std::string(text.substr(0, at_sign + 1)) + address.domain;
  return address;
}

}  // namespace kage::message
