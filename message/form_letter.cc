// Fields by a table of names and bounds; text and files leave as base64 lines, plain ASCII as it is.
#include "message/form_letter.h"

#include <algorithm>
#include <array>
#include <optional>

#include "base/clock.h"
#include "base/text.h"
#include "message/base64_lines.h"
#include "message/charset.h"
#include "message/encoded_word.h"
#include "message/header.h"
#include "message/invisible.h"
#include "message/mime.h"
#include "message/utf8.h"

namespace kage::message {
namespace {

constexpr std::size_t kMaxFileName = 255;
constexpr std::size_t kPiece = kBase64LineOctets * 800;  // of content for one next()
constexpr std::size_t kMaxPlainLine = 76;

/// None named: UTF-8.
CharsetFamily family(std::string_view charset) {
  return charset.empty() ? CharsetFamily::utf8 : family_of(charset);
}

/// Where a form is not UTF-8, browsers send a character that its charset lacks as "&#9837;" (WHATWG Encoding,
/// html error mode).
std::string read_references(std::string_view text) {
  std::string out;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t found = std::min(text.find("&#", at), text.size());
    out.append(text.substr(at, found - at));
    at = found;
    if (at == text.size()) break;
    const std::string_view digits = text.substr(at + 2, 8);
    const std::size_t end = digits.find(';');
    const auto number =
        end == std::string_view::npos ? std::nullopt : parse_number(digits.substr(0, end), 0x10FFFF);
    // An ASCII character is never missing: the visitor wrote that.
    if (!number || *number < 0x80 || (*number >= 0xD800 && *number < 0xE000)) {
      out.append(text.substr(at, 2));
      at += 2;
      continue;
    }
    append_utf8(out, static_cast<std::int32_t>(*number));
    at += 2 + end + 1;
  }
  return out;
}

/// Octets as UTF-8; nothing when they are not of the charset.
std::optional<std::string> decode(std::string_view octets, std::string_view charset) {
  if (family(charset) == CharsetFamily::utf8) {
    if (!is_valid_utf8(octets)) return std::nullopt;
    return std::string(octets);
  }
  std::string text = to_utf8(octets, charset);
  if (text.find("\xEF\xBF\xBD") != std::string::npos) return std::nullopt;
  return read_references(text);
}

/// Control octets, and what ends a line for some reader: U+0085, U+2028, U+2029.
bool has_control(std::string_view text) {
  return std::ranges::any_of(text, is_control) || text.find("\xE2\x80\xA8") != std::string_view::npos ||
         text.find("\xE2\x80\xA9") != std::string_view::npos ||
         text.find("\xC2\x85") != std::string_view::npos;
}

/// Line ends of any kind become CRLF, other control characters but TAB a space; empty lines at the end go.
std::string clean_text(std::string_view text) {
  std::string out;
  out.reserve(text.size() + text.size() / 16);
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\r' || c == '\n') {
      out.append("\r\n");
      if (c == '\r' && i + 1 < text.size() && text[i + 1] == '\n') ++i;
    } else {
      out.push_back(is_control(c) && c != '\t' ? ' ' : c);
    }
  }
  while (!out.empty() && is_space(out.back())) out.pop_back();
  if (!out.empty()) out.append("\r\n");
  return out;
}

/// The given type if it is safe for an attachment, else application/octet-stream: a nested message would be
/// rewritten by nobody.
std::string file_type(std::string_view given) {
  const std::string type = lower(trim(given.substr(0, given.find(';'))));
  const std::size_t slash = type.find('/');
  const bool well_formed =
      slash != std::string::npos && slash > 0 && slash + 1 < type.size() && type.size() <= 127 &&
      std::ranges::all_of(type,
                          [](char c) {
                            return is_alnum(c) || std::string_view("/+-._").find(c) != std::string_view::npos;
                          }) &&
      type.find('/', slash + 1) == std::string::npos;
  const bool structured = type.starts_with("multipart/") || type.starts_with("message/");
  return well_formed && !structured ? type : "application/octet-stream";
}

/// The last step of a path: old browsers sent all of it. Controls are gone.
std::string base_name(std::string_view name) {
  const std::size_t cut = name.find_last_of("/\\");
  std::string out(cut == std::string_view::npos ? name : name.substr(cut + 1));
  std::ranges::replace_if(out, is_control, ' ');
  out = std::string(trim(out));
  if (out.size() > kMaxFileName) out.resize(utf8_floor(out, kMaxFileName));
  return out.empty() ? "file" : out;
}

struct TextField {
  std::string_view name;
  std::size_t most;  // octets of UTF-8
  bool many_lines;
  std::string FormLetter::* into;
};
constexpr std::string FormLetter::* kNowhere = nullptr;
constexpr std::array kFields = {
    TextField{"name", 200, false, &FormLetter::name},
    TextField{"email", 320, false, kNowhere},
    TextField{"subject", 500, false, &FormLetter::subject},
    TextField{"message", 256 * 1024, true, &FormLetter::text},
    TextField{"website", 1000, false, kNowhere},
    TextField{"_token", 200, false, &FormLetter::token},
    TextField{"_redirect", 1000, false, &FormLetter::redirect},
    TextField{"_code", 100, false, &FormLetter::code},
    TextField{"_charset_", 40, false, kNowhere},
};

class LetterReader {
 public:
  explicit LetterReader(std::string_view charset) : charset_(charset) {}

  std::expected<FormLetter, LetterFault> read(std::vector<FormField> fields) {
    for (const FormField& field : fields) {
      if (field.name == "_charset_" && !field.value.empty()) charset_ = field.value;
    }
    if (family(charset_) == CharsetFamily::other) return std::unexpected(LetterFault::charset);
    for (FormField& field : fields) {
      if (const auto fault = field.name == "attachment" ? file(field) : text(field))
        return std::unexpected(*fault);
    }
    if (is_blank(letter_.text)) return std::unexpected(LetterFault::no_message);
    if (email_.empty()) return std::unexpected(LetterFault::no_email);
    // No address has them, and an answer would find nobody: they came along with something that was copied.
    if (find_unseen(email_) >= 0) return std::unexpected(LetterFault::bad_email);
    auto address = parse_address(email_);
    if (!address || address->domain.starts_with('[') || address->domain.find('.') == std::string::npos ||
        !canonical_domain(address->domain) || address->local.size() > 64) {
      return std::unexpected(LetterFault::bad_email);
    }
    letter_.email = std::move(*address);
    return std::move(letter_);
  }

 private:
  std::optional<LetterFault> text(const FormField& field) {
    const auto known = std::ranges::find(kFields, std::string_view(field.name), &TextField::name);
    if (known == kFields.end()) return LetterFault::unknown_field;
    const auto number = static_cast<std::size_t>(known - kFields.begin());
    if (seen_[number]) return LetterFault::twice;
    seen_[number] = true;
    if (field.file) return LetterFault::file_in_text;
    const auto value = decode(field.value, charset_);
    if (!value) return LetterFault::charset;
    if (value->size() > known->most) return LetterFault::too_long;
    if (value->find('\0') != std::string::npos) return LetterFault::control;
    if (!known->many_lines && has_control(*value)) return LetterFault::control;
    if (known->name == "website" && !value->empty()) return LetterFault::trapped;
    if (known->name == "email") email_ = half_width(trim_white(*value));
    if (known->into != nullptr) {
      letter_.*(known->into) = known->many_lines ? clean_text(*value) : std::string(trim(*value));
    }
    return std::nullopt;
  }

  std::optional<LetterFault> file(FormField& field) {
    if (!field.file) return field.value.empty() ? std::nullopt : std::optional(LetterFault::file_in_text);
    if (field.file_name.empty() && field.value.empty()) return std::nullopt;  // no file was chosen
    const auto name = decode(field.file_name, charset_);
    if (!name) return LetterFault::charset;
    letter_.files.push_back({base_name(*name), file_type(field.type), std::move(field.value)});
    return std::nullopt;
  }

  std::string charset_;
  std::string email_;
  FormLetter letter_;
  std::array<bool, kFields.size()> seen_{};
};

/// Whether text can go as 7bit: ASCII in lines that no relay has to fold.
bool is_plain(std::string_view text) {
  std::size_t line = 0;
  for (const char c : text) {
    if (!is_ascii(c)) return false;
    line = c == '\n' ? 0 : line + 1;
    if (line > kMaxPlainLine + 2) return false;
  }
  return true;
}

std::string text_fields(bool plain) {
  std::string out = "Content-Type: text/plain; charset=";
  out.append(plain ? "us-ascii" : "utf-8");
  return out.append("\r\nContent-Transfer-Encoding: ").append(plain ? "7bit" : "base64").append("\r\n");
}

}  // namespace

std::expected<FormLetter, LetterFault> read_letter(std::vector<FormField> fields, std::string_view charset) {
  return LetterReader(charset).read(std::move(fields));
}

LetterWriter::LetterWriter(const FormLetter& letter, const Address& to, std::string id, std::int64_t date)
    : letter_(letter), to_(to.quoted()), id_(std::move(id)), date_(date), plain_(is_plain(letter.text)) {
  // The id is a keyed hash or random: nobody can write a line that is the boundary.
  boundary_ = "=_" + id_.substr(0, id_.find('@'));
}

std::string LetterWriter::header() const {
  std::string out;
  std::vector<std::string> from;
  if (!letter_.name.empty()) from.push_back(encode_phrase(letter_.name));
  from.push_back("<" + letter_.email.quoted() + ">");
  write_field(out, "From", from);
  write_field(out, "To", std::vector<std::string>{"<" + to_ + ">"});
  if (!letter_.subject.empty()) write_field(out, "Subject", encode_words(letter_.subject));
  write_field(out, "Date", rfc5322_date(date_));
  write_field(out, "Message-ID", std::vector<std::string>{"<" + id_ + ">"});
  out.append("Auto-Submitted: no\r\nMIME-Version: 1.0\r\n");
  if (letter_.files.empty()) {
    out.append(text_fields(plain_));
  } else {
    out.append("Content-Type: multipart/mixed;\r\n boundary=\"").append(boundary_).append("\"\r\n");
  }
  return out.append("\r\n");
}

void LetterWriter::begin_file(std::string& out) const {
  const FormFile& file = letter_.files[part_ - 1];
  const std::vector<std::string> type = {file.type + ";", write_parameter("name", file.name)};
  const std::vector<std::string> disposition = {"attachment;", write_parameter("filename", file.name)};
  out.append("--").append(boundary_).append("\r\n");
  write_field(out, "Content-Type", type);
  write_field(out, "Content-Disposition", disposition);
  out.append("Content-Transfer-Encoding: base64\r\n\r\n");
}

bool LetterWriter::next(std::string& out) {
  out.clear();
  const bool multipart = !letter_.files.empty();
  if (part_ > letter_.files.size()) return false;
  if (offset_ == 0) {
    if (part_ > 0) {
      begin_file(out);
    } else if (multipart) {
      out.append("--").append(boundary_).append("\r\n").append(text_fields(plain_)).append("\r\n");
    }
  }
  const std::string& content = part_ == 0 ? letter_.text : letter_.files[part_ - 1].content;
  const std::string_view piece = std::string_view(content).substr(offset_, kPiece);
  if (part_ == 0 && plain_) {
    out.append(piece);
  } else {
    append_base64_lines(out, piece);
  }
  offset_ += piece.size();
  if (offset_ < content.size()) return true;
  offset_ = 0;
  ++part_;
  if (part_ > letter_.files.size() && multipart) out.append("--").append(boundary_).append("--\r\n");
  return true;
}

}  // namespace kage::message
