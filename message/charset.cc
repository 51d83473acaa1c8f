// Octets in some charset as UTF-8, the way Japanese mail means them (contract R5.5).
//
// ISO-2022-JP is turned into EUC-JP first; all else is ICU's. Never fails: what is wrong is U+FFFD.
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
#include "message/guess.h"
#include "message/iso_2022_jp.h"
#include "message/utf8.h"

namespace kage::message {
namespace {

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

std::string from_iso_2022_jp(std::string_view bytes) {
  std::string out;
  return convert(iso_2022_jp_to_euc(bytes), kEucJp, out) ? out : repair_utf8(bytes);
}

/// Octets under a label that says nothing of them. Nor are escape sequences believed: a reader who does not
/// know the label shows the octets as they are.
std::string from_unknown(std::string_view bytes, LastResort resort) {
  if (is_valid_utf8(bytes)) return std::string(bytes);
  const bool escapes = guess_charset(bytes) == Guess::iso_2022_jp;
  return escapes ? from_nothing_known(bytes, resort) : guess_to_utf8(bytes, resort);
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
    {"x-iso-2022-jp", Kind::iso_2022_jp, ""},
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
    {"windows-932", Kind::icu, kShiftJis},
    {"sjis-win", Kind::icu, kShiftJis},
    {"sjis-mac", Kind::icu, kShiftJis},
    {"x-mac-japanese", Kind::icu, kShiftJis},
    {"shift_jis-2004", Kind::icu, kShiftJis},  // JIS X 0213 is close enough for looking
    {"shift_jisx0213", Kind::icu, kShiftJis},
    {"sjis-2004", Kind::icu, kShiftJis},
    {"euc-jp", Kind::icu, kEucJp},
    {"euc_jp", Kind::icu, kEucJp},
    {"eucjp", Kind::icu, kEucJp},
    {"x-euc-jp", Kind::icu, kEucJp},
    {"x-euc", Kind::icu, kEucJp},
    {"x-eucjp", Kind::icu, kEucJp},
    {"ujis", Kind::icu, kEucJp},
    {"eucjp-ms", Kind::icu, kEucJp},
    {"eucjp-win", Kind::icu, kEucJp},
    {"cp51932", Kind::icu, kEucJp},
    {"cp20932", Kind::icu, kEucJp},
    {"euc-jis-2004", Kind::icu, kEucJp},
    {"euc-jisx0213", Kind::icu, kEucJp},
    {"cseucpkdfmtjapanese", Kind::icu, kEucJp},
    {"extended_unix_code_packed_format_for_japanese", Kind::icu, kEucJp},  // IANA's full name
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

}  // namespace

CharsetFamily family_of(std::string_view charset) {
  const Alias* const alias = find_alias(lower(trim(charset)));
  if (alias == nullptr) return CharsetFamily::other;
  if (alias->kind == Kind::utf8) return CharsetFamily::utf8;
  const std::string_view icu = alias->icu;
  const bool japanese = alias->kind == Kind::iso_2022_jp || icu == kShiftJis || icu == kEucJp;
  return japanese ? CharsetFamily::japanese : CharsetFamily::other;
}

std::string from_nothing_known(std::string_view bytes, LastResort resort) {
  std::string out;
  if (resort == LastResort::latin1 && convert(bytes, "windows-1252", out)) return out;
  for (const char c : bytes) {
    if (is_ascii(c)) {
      out.push_back(c);
    } else {
      out += kReplacement;
    }
  }
  return out;
}

std::string to_utf8(std::string_view bytes, std::string_view charset, LastResort resort) {
  charset = trim(charset.substr(0, charset.find('*')));  // RFC 2231 §5: a language may follow
  const std::string name = lower(charset);
  const Alias* const alias = find_alias(name);
  if (alias != nullptr && alias->kind == Kind::iso_2022_jp) return from_iso_2022_jp(bytes);
  if (alias != nullptr && alias->kind == Kind::utf8) {
    if (is_valid_utf8(bytes)) return std::string(bytes);
    // A label of utf-8 is believed; us-ascii with 8-bit octets says nothing about them.
    return name.starts_with("utf") ? repair_utf8(bytes) : from_unknown(bytes, resort);
  }
  std::string out;
  const std::string icu = alias != nullptr ? std::string(alias->icu) : name;
  if (!icu.empty() && icu.size() <= kMaxCharsetName && std::ranges::all_of(icu, is_charset_char) &&
      convert(bytes, icu, out)) {
    return out;
  }
  return from_unknown(bytes, resort);
}

}  // namespace kage::message
