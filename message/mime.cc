// Parameters of MIME fields: one cursor over the body, pieces collected, then joined by RFC 2231.
#include "message/mime.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/text.h"
#include "message/charset.h"
#include "message/encoded_word.h"
#include "message/lexical.h"
#include "message/utf8.h"

namespace kage::message {
namespace {

constexpr std::size_t kMaxPieces = 100;
constexpr std::size_t kMaxPlainLength = 76;  // longer values are cut into continuations
constexpr std::size_t kContinuation = 54;
constexpr std::size_t kMaxWritten = 1000;  // octets of a value; all its continuations can be read again

bool is_token_char(char c) {  // RFC 2045 §5.1
  return c > 32 && c < 127 && std::string_view("()<>@,;:\\\"/[]?=").find(c) == std::string_view::npos;
}
bool is_attribute_char(char c) {
  return is_token_char(c) && c != '*' && c != '\'' && c != '%';
}  // RFC 2231 §7

/// name=value, or one section of it.
struct Piece {
  std::string name;      ///< lower-case
  unsigned section = 0;  ///< of name*1, name*1*
  bool sectioned = false;
  bool extended = false;  ///< percent-encoded
  bool intact = true;
  std::string value;  ///< without quotes
  std::string_view raw;
};

class Reader {
 public:
  explicit Reader(std::string_view body) : body_(body) {}

  std::string read_value() {
    std::string value;
    while (at_ < body_.size() && body_[at_] != ';') {
      if (body_[at_] == '(' && skip_comment()) continue;
      value.push_back(body_[at_++]);
    }
    value = one_line(std::move(value));
    trim_in_place(value);
    return value;
  }

  /// The next piece behind a ';'; nothing at the end. A piece without a name or a '=' is skipped.
  std::optional<Piece> next() {
    while (at_ < body_.size()) {
      ++at_;  // the ';'
      auto piece = read_piece();
      while (at_ < body_.size() && body_[at_] != ';') ++at_;
      if (piece) return piece;
    }
    return std::nullopt;
  }

 private:
  std::optional<Piece> read_piece();
  void read_quoted(Piece& piece);
  void read_bare(Piece& piece);
  bool skip_comment();
  void skip_space(bool* comment = nullptr) {
    while (at_ < body_.size()) {
      if (is_space(body_[at_])) {
        ++at_;
      } else if (body_[at_] == '(' && skip_comment()) {
        if (comment != nullptr) *comment = true;
      } else {
        return;
      }
    }
  }

  std::string_view body_;
  std::size_t at_ = 0;
  bool comments_ = true;  ///< off once one has no end
  bool quotes_ = true;
};

bool Reader::skip_comment() {
  if (!comments_) return false;
  const std::size_t end = comment_end(body_, at_);
  comments_ = end != at_;
  at_ = end;
  return comments_;
}

/// "name", "name*", "name*3", "name*3*".
bool read_name(std::string_view text, Piece& piece) {
  const std::size_t star = text.find('*');
  piece.name = lower(text.substr(0, star));
  if (piece.name.empty() || !std::ranges::all_of(piece.name, is_token_char)) return false;
  if (star == std::string_view::npos) return true;
  std::string_view rest = text.substr(star + 1);
  if (rest.empty() || rest.ends_with('*')) {
    piece.extended = true;
    if (!rest.empty()) rest.remove_suffix(1);
  }
  if (rest.empty()) return true;
  const auto section = parse_number(rest, kMaxPieces);
  if (!section) return false;
  piece.section = static_cast<unsigned>(*section);
  piece.sectioned = true;
  return true;
}

std::optional<Piece> Reader::read_piece() {
  Piece piece;
  bool comment = false;
  skip_space(&comment);
  const std::size_t begin = at_;
  while (at_ < body_.size() && is_token_char(body_[at_])) ++at_;
  const std::string_view name = body_.substr(begin, at_ - begin);
  skip_space(&comment);
  if (at_ == body_.size() || body_[at_] != '=' || !read_name(name, piece)) return std::nullopt;
  ++at_;
  skip_space(&comment);
  if (at_ < body_.size() && body_[at_] == '"' && quotes_) {
    read_quoted(piece);
  } else {
    read_bare(piece);
  }
  const std::size_t value_end = at_;
  skip_space(&comment);
  if (at_ < body_.size() && body_[at_] != ';') piece.intact = false;
  if (comment) piece.intact = false;
  piece.raw = trim(body_.substr(begin, value_end - begin));
  return piece;
}

void Reader::read_quoted(Piece& piece) {
  for (std::size_t i = at_ + 1; i < body_.size(); ++i) {
    if (body_[i] == '"') {
      at_ = i + 1;
      return;
    }
    if (body_[i] == '\\' && i + 1 < body_.size()) ++i;
    if (body_[i] != '\r' && body_[i] != '\n') piece.value.push_back(body_[i]);
  }
  quotes_ = false;  // no end: the value is what stands before the next ';'
  piece.value.clear();
  ++at_;
  read_bare(piece);
  piece.intact = false;
}

void Reader::read_bare(Piece& piece) {
  const std::size_t begin = at_;
  while (at_ < body_.size() && body_[at_] != ';') {
    // A comment only where white space parts it from the value: "name=a(1).txt" is one.
    if (body_[at_] == '(' && at_ > begin && is_space(body_[at_ - 1])) {
      const std::size_t open = at_;
      if (skip_comment()) {
        skip_space();
        piece.intact = false;
        if (at_ == body_.size() || body_[at_] == ';') {
          piece.value = std::string(trim(body_.substr(begin, open - begin)));
          return;
        }
        continue;
      }
    }
    ++at_;
  }
  piece.value = std::string(trim(body_.substr(begin, at_ - begin)));
  // NUL stays, so that the value is seen to be no token.
  std::erase_if(piece.value, [](char c) { return c == '\r' || c == '\n'; });
  if (!std::ranges::all_of(piece.value, is_token_char)) piece.intact = false;
}

/// Joins the pieces of one parameter; they are in the order of their sections.
Parameter join(const std::vector<const Piece*>& pieces) {
  Parameter parameter;
  parameter.name = pieces.front()->name;
  std::string charset;
  std::string bytes;
  bool encoded = false;
  for (const Piece* piece : pieces) {
    std::string_view text = piece->value;
    if (piece == pieces.front() && piece->extended) {
      const std::size_t first = text.find('\'');
      const std::size_t second = first == std::string_view::npos ? first : text.find('\'', first + 1);
      if (second != std::string_view::npos) {
        charset = std::string(text.substr(0, first));
        text.remove_prefix(second + 1);
        encoded = true;
      }
    }
    bytes += piece->extended ? percent_decode(text) : std::string(text);
    if (!parameter.pieces.empty()) parameter.pieces += "; ";
    parameter.pieces += one_line(piece->raw);
    parameter.intact = parameter.intact && piece->intact;
  }
  parameter.value = encoded ? to_utf8(bytes, charset) : decode_words(bytes);
  if (pieces.size() == 1) parameter.raw = pieces.front()->raw;
  return parameter;
}

/// The pieces that make the parameter `name`: name*= before name*0…, these before name=.
std::vector<const Piece*> pieces_of(const std::vector<Piece>& all, std::string_view name) {
  std::vector<const Piece*> sections;
  const Piece* extended = nullptr;
  const Piece* plain = nullptr;
  for (const Piece& piece : all) {
    if (piece.name != name) continue;
    if (piece.sectioned) {
      sections.push_back(&piece);
    } else if (piece.extended) {
      if (extended == nullptr) extended = &piece;
    } else if (plain == nullptr) {
      plain = &piece;
    }
  }
  if (extended != nullptr) return {extended};
  // By section, the first of two equal ones in front: pointers into `all` are in the order of the field.
  std::ranges::sort(sections, {}, [](const Piece* piece) { return std::pair(piece->section, piece); });
  const auto repeated = std::ranges::unique(sections, {}, &Piece::section);
  sections.erase(repeated.begin(), repeated.end());
  std::size_t count = 0;  // RFC 2231 §3: numbers without a gap from 0
  while (count < sections.size() && sections[count]->section == count) ++count;
  sections.resize(count);
  if (!sections.empty()) return sections;
  return plain != nullptr ? std::vector{plain} : std::vector<const Piece*>{};
}

std::string percent_encoded(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (char c : text) {
    if (is_attribute_char(c)) {
      out.push_back(c);
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out.push_back('%');
      out.push_back(kHex[byte >> 4U]);
      out.push_back(kHex[byte & 15U]);
    }
  }
  return out;
}

std::string write_extended(std::string_view name, std::string_view text) {
  const std::string whole = percent_encoded(text);
  std::string out(name);
  if (whole.size() + name.size() <= kMaxPlainLength) return out + "*=UTF-8''" + whole;
  out.clear();
  std::size_t at = 0;
  // An empty value under a long name still has its one section.
  for (unsigned section = 0; section == 0 || at < whole.size(); ++section) {
    std::size_t end = std::min(at + kContinuation, whole.size());
    for (std::size_t back = 1; back <= 2 && end < whole.size(); ++back) {
      if (whole[end - back] == '%') {
        end -= back;
        break;
      }
    }
    if (section > 0) out += "; ";
    out += std::string(name) + "*" + std::to_string(section) + "*=" + (section == 0 ? "UTF-8''" : "");
    out += whole.substr(at, end - at);
    at = end;
  }
  return out;
}

}  // namespace

Result<ParameterizedValue> parse_parameters(std::string_view body) {
  ParameterizedValue result;
  Reader reader(body);
  result.value = reader.read_value();
  std::vector<Piece> pieces;
  while (auto piece = reader.next()) {
    if (pieces.size() == kMaxPieces) return fail(Errc::limit, "too many parameters");
    pieces.push_back(*std::move(piece));
  }
  for (const Piece& piece : pieces) {
    if (std::ranges::find(result.parameters, piece.name, &Parameter::name) != result.parameters.end())
      continue;
    const auto chosen = pieces_of(pieces, piece.name);
    if (!chosen.empty()) result.parameters.push_back(join(chosen));
  }
  return result;
}

std::string parse_value(std::string_view body) {
  // Most have no comment and no fold.
  const std::string_view plain = body.substr(0, body.find(';'));
  const bool is_plain =
      std::ranges::none_of(plain, [](char c) { return c == '(' || c == '\r' || c == '\n' || c == '\0'; });
  return is_plain ? std::string(trim(plain)) : Reader(body).read_value();
}

std::string write_parameter(std::string_view name, std::string_view utf8_value) {
  std::string text = one_line(repair_utf8(utf8_value));
  text.resize(utf8_floor(text, kMaxWritten));
  const bool plain = std::ranges::all_of(text, [](char c) { return c >= 32 && c < 127; });
  if (!plain || text.size() + name.size() > kMaxPlainLength || text.find("=?") != std::string::npos) {
    return write_extended(name, text);
  }
  std::string out(name);
  out += '=';
  if (!text.empty() && std::ranges::all_of(text, is_token_char)) return out + text;
  append_quoted(out, text);
  return out;
}

}  // namespace kage::message
