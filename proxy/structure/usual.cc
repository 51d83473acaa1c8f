// Tables of what mail programs write.
#include "proxy/structure/usual.h"

#include <algorithm>
#include <array>

#include "base/text.h"

namespace kage::proxy {
namespace {

constexpr std::size_t kLongestSize =
    9;  ///< digits; of a telephone number, which mailboxes are named by: more

constexpr auto kEncodings = std::to_array<std::string_view>(
    {"7bit", "8bit", "binary", "quoted-printable", "base64", "x-uuencode", "uuencode", "x-uue"});

constexpr auto kDispositions = std::to_array<std::string_view>({"attachment", "inline", "form-data"});

constexpr auto kLanguages = std::to_array<std::string_view>(
    {"ar", "cs", "da", "de", "el", "en", "es", "fi", "fr", "he", "hu", "id", "it", "ja", "ko",
     "ms", "nb", "nl", "no", "pl", "pt", "ro", "ru", "sv", "th", "tr", "uk", "vi", "zh"});

/// What names of charsets begin with.
constexpr auto kCharsets = std::to_array<std::string_view>(
    {"utf-", "utf8", "iso-",  "iso8859", "us-ascii", "ascii",     "ansi_x3", "windows-",    "cp9", "cp12",
     "cp50", "cp51", "ms932", "shift",   "sjis",     "x-sjis",    "euc-",    "x-euc",       "gb2", "gb18",
     "gbk",  "big5", "koi8-", "ks_c_",   "tis-",     "macintosh", "x-mac",   "unknown-8bit"});

/// What names of files end with.
constexpr auto kEndings = std::to_array<std::string_view>(
    {"ai",    "asc",  "avi",  "bin", "bmp",  "csv",  "dat",     "doc",  "docx", "eml",  "eps", "gif",
     "gz",    "heic", "heif", "htm", "html", "ics",  "jpe",     "jpeg", "jpg",  "json", "key", "log",
     "m4a",   "md",   "mov",  "mp3", "mp4",  "msg",  "numbers", "odp",  "ods",  "odt",  "p7m", "p7s",
     "pages", "pdf",  "png",  "ppt", "pptx", "psd",  "rar",     "rtf",  "sig",  "svg",  "tar", "tif",
     "tiff",  "txt",  "vcf",  "vcs", "wav",  "webp", "wmv",     "xls",  "xlsm", "xlsx", "xml", "zip"});

/// Values of other parameters.
constexpr auto kValues = std::to_array<std::string_view>({"flowed",
                                                          "fixed",
                                                          "yes",
                                                          "no",
                                                          "original",
                                                          "request",
                                                          "reply",
                                                          "cancel",
                                                          "publish",
                                                          "delivery-status",
                                                          "disposition-notification",
                                                          "pgp-md5",
                                                          "pgp-sha1",
                                                          "pgp-sha256",
                                                          "pgp-sha384",
                                                          "pgp-sha512",
                                                          "md5",
                                                          "sha1",
                                                          "sha-1",
                                                          "sha256",
                                                          "sha-256",
                                                          "sha384",
                                                          "sha-384",
                                                          "sha512",
                                                          "sha-512",
                                                          "enveloped-data",
                                                          "signed-data",
                                                          "certs-only",
                                                          "compressed-data"});

template <std::size_t N>
bool is_one_of(const std::array<std::string_view, N>& words, std::string_view word) {
  return std::ranges::any_of(words, [&](std::string_view each) { return equals_nocase(each, word); });
}

/// Whether it is a token of RFC 2045 §5.1, which needs no quotes.
bool is_token(std::string_view text) {
  constexpr std::string_view kSpecials = "()<>@,;:\\\"/[]?=";
  return std::ranges::all_of(text, [&](char c) { return c > ' ' && c < 0x7f && !kSpecials.contains(c); });
}

bool is_file_name(std::string_view value) {
  const std::size_t dot = value.rfind('.');
  return dot != std::string_view::npos && is_one_of(kEndings, value.substr(dot + 1));
}

bool is_charset(std::string_view value) {
  return std::ranges::any_of(kCharsets,
                             [&](std::string_view begin) { return starts_with_nocase(value, begin); });
}

}  // namespace

bool is_usual_parameter(std::string_view name, std::string_view value) {
  const std::string_view base = name.substr(0, name.find('*'));
  if (!is_token(value) || equals_nocase(base, "boundary")) return true;
  // Who encodes by RFC 2231 has encoded an '@' as well.
  if (base.size() < name.size() && value.contains('%')) return true;
  if (equals_nocase(base, "charset")) return is_charset(value);
  if (value.size() <= kLongestSize && std::ranges::all_of(value, is_digit)) return true;
  return is_file_name(value) || is_one_of(kValues, value);
}

bool is_usual_disposition(std::string_view type) {
  return is_one_of(kDispositions, type);
}

bool is_usual_language(std::string_view tag) {
  constexpr std::size_t kLongestTag = 10;  // zh-Hant-TW
  return tag.size() <= kLongestTag && is_one_of(kLanguages, tag.substr(0, tag.find('-')));
}

bool is_usual_encoding(std::string_view mechanism) {
  return is_one_of(kEncodings, mechanism);
}

}  // namespace kage::proxy
