// Octets in some charset as UTF-8, the way Japanese mail means them (contract R5.5).
//
// ISO-2022-JP is read here, by turning it into EUC-JP, because ICU knows neither SI/SO nor half-width kana
// with the high bit set, which CP50220 and CP50221 mailers send. All else is ICU's. Never fails: what is
// wrong is U+FFFD.
#include "message/charset.h"

#include <unicode/ucnv.h>
#include <unicode/ucnv_cb.h>
#include <unicode/ustring.h>

#include <algorithm>
#include <array>
#include <memory>
#include <utility>
#include <vector>

#include "base/text.h"
#include "message/utf8.h"

namespace kage::message {
namespace {

constexpr char kEscape = '\x1b';
constexpr std::size_t kMaxCachedConverters = 16;
constexpr std::size_t kMaxCharsetName = 40;

constexpr const char* kShiftJis = "ibm-943_P15A-2003";  // ICU's name of Windows-31J
constexpr const char* kEucJp = "euc-jp-2007";           // with the NEC and IBM extensions, as CP51932

struct CloseConverter {
  void operator()(UConverter* converter) const { ucnv_close(converter); }
};
using Converter = std::unique_ptr<UConverter, CloseConverter>;

/// ICU's own substitute for a single octet is U+001A, which nobody sees.
void substitute(const void*, UConverterToUnicodeArgs* args, const char*, std::int32_t,
                UConverterCallbackReason reason, UErrorCode* error) {
  if (reason > UCNV_IRREGULAR) return;
  *error = U_ZERO_ERROR;
  const UChar replacement = 0xFFFD;
  ucnv_cbToUWriteUChars(args, &replacement, 1, 0, error);
}

/// A converter by ICU's name, kept for this thread; the least recently used one goes first.
UConverter* converter_for(const std::string& name) {
  thread_local std::vector<std::pair<std::string, Converter>> cache;
  for (std::size_t i = 0; i < cache.size(); ++i) {
    if (cache[i].first != name) continue;
    std::rotate(cache.begin(), cache.begin() + static_cast<std::ptrdiff_t>(i),
                cache.begin() + static_cast<std::ptrdiff_t>(i) + 1);
    ucnv_reset(cache.front().second.get());
    return cache.front().second.get();
  }
  UErrorCode error = U_ZERO_ERROR;
  // Asking the alias table first: ucnv_open looks for files when it does not know a name.
  if (ucnv_countAliases(name.c_str(), &error) == 0 || U_FAILURE(error)) return nullptr;
  error = U_ZERO_ERROR;
  Converter converter(ucnv_open(name.c_str(), &error));
  if (U_FAILURE(error) || !converter) return nullptr;
  ucnv_setToUCallBack(converter.get(), substitute, nullptr, nullptr, nullptr, &error);
  if (U_FAILURE(error)) return nullptr;
  if (cache.size() == kMaxCachedConverters) cache.pop_back();
  cache.emplace(cache.begin(), name, std::move(converter));
  return cache.front().second.get();
}

/// False when ICU has no such charset.
bool convert(std::string_view bytes, const std::string& name, std::string& out) {
  UConverter* converter = converter_for(name);
  if (converter == nullptr) return false;
  // No charset gives more than two UTF-16 units for an octet; ICU says if one ever does.
  std::vector<UChar> text(bytes.size() * 2 + 16);
  UErrorCode error = U_ZERO_ERROR;
  const std::int32_t length = ucnv_toUChars(converter, text.data(), static_cast<std::int32_t>(text.size()),
                                            bytes.data(), static_cast<std::int32_t>(bytes.size()), &error);
  if (U_FAILURE(error)) {
    out = repair_utf8(bytes);
    return true;
  }
  out = from_utf16({text.data(), static_cast<std::size_t>(length)});
  return true;
}

/// The charset that an escape sequence of ISO-2022 selects, for what mail uses.
enum class Set : unsigned char { none, ascii, kana, jis, jis_supplement };

/// Reads the escape sequence at `at`; `size` is its length.
Set escape_at(std::string_view text, std::size_t at, std::size_t& size) {
  const std::string_view rest = text.substr(at, 4);
  size = 3;
  if (rest.starts_with("\x1b(B") || rest.starts_with("\x1b(J") || rest.starts_with("\x1b(H")) {
    return Set::ascii;
  }
  if (rest.starts_with("\x1b(I")) return Set::kana;
  if (rest.starts_with("\x1b$@") || rest.starts_with("\x1b$B")) return Set::jis;
  size = 4;
  if (rest.starts_with("\x1b$(D")) return Set::jis_supplement;
  if (rest.starts_with("\x1b$(@") || rest.starts_with("\x1b$(B") || rest.starts_with("\x1b$(O") ||
      rest.starts_with("\x1b$(P") || rest.starts_with("\x1b$(Q")) {
    return Set::jis;  // JIS X 0213 plane 1 is close enough for looking
  }
  if (rest.starts_with("\x1b&@\x1b")) {  // announces JIS X 0208-1990; the real sequence follows
    size = 3;
    return Set::none;
  }
  size = 1;
  return Set::none;
}

constexpr bool is_jis_byte(char c) {
  return c >= 0x21 && c <= 0x7E;
}
constexpr char high(char c) {
  return static_cast<char>(static_cast<unsigned char>(c) | 0x80U);
}
constexpr bool is_kana_byte(char c) {
  return high(c) >= static_cast<char>(0xA1) && high(c) <= static_cast<char>(0xDF);
}

/// ISO-2022-JP with all its habits as EUC-JP. A state ends at the end of a line (RFC 1468).
class JisReader {
 public:
  explicit JisReader(std::string_view text) : text_(text) { out_.reserve(text.size() + 16); }

  std::string read() {
    while (at_ < text_.size()) step();
    return std::move(out_);
  }

 private:
  void step() {
    const char c = text_[at_];
    if (c == kEscape) {
      std::size_t size = 0;
      const Set set = escape_at(text_, at_, size);
      if (set != Set::none) set_ = set;
      at_ += size;
    } else if (c == '\x0e' || c == '\x0f') {  // SO, SI: half-width kana of JIS X 0201
      set_ = c == '\x0e' ? Set::kana : Set::ascii;
      ++at_;
    } else if (c == '\r' || c == '\n') {
      set_ = Set::ascii;
      out_.push_back(c);
      ++at_;
    } else if (!is_ascii(c)) {
      high_byte(c);
    } else if (set_ == Set::kana && is_jis_byte(c) && is_kana_byte(c)) {
      out_.push_back('\x8e');
      out_.push_back(high(c));
      ++at_;
    } else if ((set_ == Set::jis || set_ == Set::jis_supplement) && is_jis_byte(c)) {
      pair(c);
    } else {
      out_.push_back(c);
      ++at_;
    }
  }

  void high_byte(char c) {
    if (is_kana_byte(c)) out_.push_back('\x8e');  // 8-bit half-width kana
    out_.push_back(is_kana_byte(c) ? c : '\xff');
    ++at_;
  }

  void pair(char c) {
    if (at_ + 1 >= text_.size() || !is_jis_byte(text_[at_ + 1])) {
      out_.push_back('\xff');  // a half: nothing in EUC-JP, so U+FFFD
      ++at_;
      return;
    }
    if (set_ == Set::jis_supplement) out_.push_back('\x8f');
    out_.push_back(high(c));
    out_.push_back(high(text_[at_ + 1]));
    at_ += 2;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  Set set_ = Set::ascii;
  std::string out_;
};

std::string from_iso_2022_jp(std::string_view bytes) {
  std::string out;
  return convert(JisReader(bytes).read(), kEucJp, out) ? out : repair_utf8(bytes);
}

std::string from_latin1(std::string_view bytes) {
  std::string out;
  return convert(bytes, "windows-1252", out) ? out : repair_utf8(bytes);
}

enum class Kind : unsigned char { utf8, iso_2022_jp, icu };
struct Alias {
  std::string_view name;
  Kind kind;
  const char* icu;
};

/// Names that mean something else in mail than in ICU, or that ICU does not have.
constexpr auto kAliases = std::to_array<Alias>({
    {"utf-8", Kind::utf8, ""},
    {"utf8", Kind::utf8, ""},
    {"us-ascii", Kind::utf8, ""},
    {"ascii", Kind::utf8, ""},
    {"iso-2022-jp", Kind::iso_2022_jp, ""},
    {"iso-2022-jp-1", Kind::iso_2022_jp, ""},
    {"iso-2022-jp-3", Kind::iso_2022_jp, ""},
    {"iso-2022-jp-2004", Kind::iso_2022_jp, ""},
    {"iso-2022-jp-ms", Kind::iso_2022_jp, ""},
    {"iso2022-jp", Kind::iso_2022_jp, ""},
    {"iso2022jp", Kind::iso_2022_jp, ""},
    {"csiso2022jp", Kind::iso_2022_jp, ""},
    {"jis", Kind::iso_2022_jp, ""},
    {"cp50220", Kind::iso_2022_jp, ""},
    {"cp50221", Kind::iso_2022_jp, ""},
    {"cp50222", Kind::iso_2022_jp, ""},
    {"shift_jis", Kind::icu, kShiftJis},
    {"shift-jis", Kind::icu, kShiftJis},
    {"shiftjis", Kind::icu, kShiftJis},
    {"sjis", Kind::icu, kShiftJis},
    {"x-sjis", Kind::icu, kShiftJis},
    {"ms_kanji", Kind::icu, kShiftJis},
    {"csshiftjis", Kind::icu, kShiftJis},
    {"cp932", Kind::icu, kShiftJis},
    {"ms932", Kind::icu, kShiftJis},
    {"windows-31j", Kind::icu, kShiftJis},
    {"cswindows31j", Kind::icu, kShiftJis},
    {"euc-jp", Kind::icu, kEucJp},
    {"euc_jp", Kind::icu, kEucJp},
    {"eucjp", Kind::icu, kEucJp},
    {"x-euc-jp", Kind::icu, kEucJp},
    {"x-euc", Kind::icu, kEucJp},
    {"eucjp-ms", Kind::icu, kEucJp},
    {"cp51932", Kind::icu, kEucJp},
    {"iso-8859-1", Kind::icu, "windows-1252"},
    {"latin1", Kind::icu, "windows-1252"},
    {"gb2312", Kind::icu, "gb18030"},
    {"gbk", Kind::icu, "gb18030"},
    {"x-gbk", Kind::icu, "gb18030"},
    {"ks_c_5601-1987", Kind::icu, "windows-949"},
    {"euc-kr", Kind::icu, "windows-949"},
});

const Alias* find_alias(std::string_view lower_name) {
  const auto* const alias = std::ranges::find(kAliases, lower_name, &Alias::name);
  return alias != kAliases.end() ? alias : nullptr;
}

bool is_charset_char(char c) {
  return is_alnum(c) || c == '-' || c == '_' || c == '.' || c == ':' || c == '+';
}

bool is_shift_jis(std::string_view text) {
  for (std::size_t at = 0; at < text.size(); ++at) {
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte < 0x80 || (byte >= 0xA1 && byte <= 0xDF)) continue;
    if (!is_shift_jis_lead(text[at]) || ++at >= text.size() || !is_shift_jis_trail(text[at])) return false;
  }
  return true;
}

bool is_euc_jp(std::string_view text) {
  for (std::size_t at = 0; at < text.size(); ++at) {
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte < 0x80) continue;
    const std::size_t more = byte == 0x8F ? 2 : 1;
    if (byte != 0x8E && byte != 0x8F && (byte < 0xA1 || byte == 0xFF)) return false;
    for (std::size_t i = 0; i < more; ++i) {
      if (++at >= text.size() || static_cast<unsigned char>(text[at]) < 0xA1 ||
          static_cast<unsigned char>(text[at]) == 0xFF) {
        return false;
      }
    }
  }
  return true;
}

/// EUC-JP text is often well-formed Shift_JIS too, as a row of half-width kana, which hardly anybody writes.
bool is_mostly_kana(std::string_view text) {
  std::size_t kana = 0;
  std::size_t pairs = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte >= 0xA1 && byte <= 0xDF) {
      ++kana;
    } else if (is_shift_jis_lead(text[at])) {
      ++pairs;
      ++at;
    }
  }
  return kana > pairs;
}

/// An escape sequence that begins a state and one that ends it. Without an end the octets are looked at as
/// they are, so that an address cannot hide behind a stray escape.
bool has_jis_state(std::string_view text) {
  const std::size_t begin = std::min(text.find("\x1b$"), text.find("\x1b(I"));
  return begin != std::string_view::npos && text.find("\x1b(", begin + 1) != std::string_view::npos;
}

}  // namespace

Guess guess_charset(std::string_view text) {
  if (all_ascii(text)) return has_jis_state(text) ? Guess::iso_2022_jp : Guess::ascii;
  if (is_valid_utf8(text)) return Guess::utf8;
  if (has_jis_state(text)) return Guess::iso_2022_jp;
  const bool euc = is_euc_jp(text);
  if (is_shift_jis(text) && !(euc && is_mostly_kana(text))) return Guess::shift_jis;
  return euc ? Guess::euc_jp : Guess::latin1;
}

std::string guess_to_utf8(std::string_view text) {
  switch (guess_charset(text)) {
    case Guess::ascii:
    case Guess::utf8:
      return std::string(text);
    case Guess::iso_2022_jp:
      return from_iso_2022_jp(text);
    case Guess::shift_jis:
      return to_utf8(text, "shift_jis");
    case Guess::euc_jp:
      return to_utf8(text, "euc-jp");
    case Guess::latin1:
      break;
  }
  return from_latin1(text);
}

std::size_t TwoByteStates::skip(std::size_t at) {
  if (at >= unended_from_) return at;  // nothing ended the state that begins there, so nothing ends one here
  std::size_t size = 0;
  const Set set = escape_at(text_, at, size);
  if (set != Set::jis && set != Set::jis_supplement) return at;
  for (std::size_t next = at + size; (next = text_.find(kEscape, next)) != std::string_view::npos;
       next += size) {
    const Set then = escape_at(text_, next, size);
    if (then == Set::ascii || then == Set::kana) return next + size;
  }
  unended_from_ = at;
  return at;
}

CharsetFamily family_of(std::string_view charset) {
  const Alias* const alias = find_alias(lower(trim(charset)));
  if (alias == nullptr) return CharsetFamily::other;
  if (alias->kind == Kind::utf8) return CharsetFamily::utf8;
  const std::string_view icu = alias->icu;
  const bool japanese = alias->kind == Kind::iso_2022_jp || icu == kShiftJis || icu == kEucJp;
  return japanese ? CharsetFamily::japanese : CharsetFamily::other;
}

std::string to_utf8(std::string_view bytes, std::string_view charset) {
  charset = trim(charset.substr(0, charset.find('*')));  // RFC 2231 §5: a language may follow
  const std::string name = lower(charset);
  const Alias* const alias = find_alias(name);
  if (alias != nullptr && alias->kind == Kind::iso_2022_jp) return from_iso_2022_jp(bytes);
  if (alias != nullptr && alias->kind == Kind::utf8) {
    if (is_valid_utf8(bytes)) return std::string(bytes);
    // A label of utf-8 is believed; us-ascii with 8-bit octets says nothing about them.
    return name.starts_with("utf") ? repair_utf8(bytes) : guess_to_utf8(bytes);
  }
  std::string out;
  const std::string icu = alias != nullptr ? std::string(alias->icu) : name;
  if (!icu.empty() && icu.size() <= kMaxCharsetName && std::ranges::all_of(icu, is_charset_char) &&
      convert(bytes, icu, out)) {
    return out;
  }
  return is_valid_utf8(bytes) ? std::string(bytes) : from_latin1(bytes);
}

}  // namespace kage::message
