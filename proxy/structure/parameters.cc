// Parameter lists of body structures.
#include "proxy/structure/parameters.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/text.h"
#include "message/mime.h"
#include "proxy/human_text.h"
#include "proxy/structure/slots.h"

namespace kage::proxy {
namespace {

/// One piece of a parameter as it is written.
struct Piece {
  std::string name;  ///< with its "*" and number
  std::string value;
};

/// The name without "*", "*0" and "*0*" (RFC 2231), in lower case.
std::string base_name(std::string_view name) {
  return lower(name.substr(0, name.find('*')));
}

/// "name=value; name=value" as message::Parameter keeps it.
std::vector<Piece> read_pieces(std::string_view text) {
  std::vector<Piece> out;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t equals = text.find('=', at);
    if (equals == std::string_view::npos) break;
    Piece piece{std::string(trim(text.substr(at, equals - at))), {}};
    at = equals + 1;
    while (at < text.size() && is_wsp(text[at])) ++at;
    if (at < text.size() && text[at] == '"') {
      for (++at; at < text.size() && text[at] != '"'; ++at) {
        if (text[at] == '\\' && at + 1 < text.size()) ++at;
        piece.value.push_back(text[at]);
      }
      at = std::min(text.find(';', at), text.size());
    } else {
      const std::size_t end = std::min(text.find(';', at), text.size());
      piece.value = trim(text.substr(at, end - at));
      at = end;
    }
    out.push_back(std::move(piece));
    while (at < text.size() && (text[at] == ';' || is_wsp(text[at]))) ++at;
  }
  return out;
}

/// All pieces of one parameter as one (RFC 2231 §4.1): when any is extended, '%' of the others is escaped.
Piece join_pieces(const std::vector<Piece>& pieces, std::string_view name) {
  const bool extended =
      std::ranges::any_of(pieces, [](const Piece& piece) { return piece.name.ends_with('*'); });
  Piece out{std::string(name) + (extended ? "*" : ""), {}};
  for (const Piece& piece : pieces) {
    if (!extended || piece.name.ends_with('*')) {
      out.value += piece.value;
      continue;
    }
    for (const char c : piece.value) {
      if (c == '%') {
        out.value += "%25";
      } else if (c == '\'') {
        out.value += "%27";
      } else {
        out.value.push_back(c);
      }
    }
  }
  return out;
}

class Writer {
 public:
  Writer(const ImapValue& value, std::uint32_t node, bool utf8) : value_(value), utf8_(utf8) {
    elements_ = value.elements(node);
    for (std::size_t i = 0; i + 1 < elements_.size(); i += 2) {
      const std::string name = value.text(elements_[i]);
      names_.push_back(base_name(name));
      joins_ = joins_ && (name.find('*') == std::string::npos || name.find('*') + 1 == name.size());
      capitals_ = capitals_ && std::ranges::none_of(name, [](char c) { return c >= 'a' && c <= 'z'; });
    }
  }

  /// The parameter as the upstream tells it. False when it does not, or tells something else under that name,
  /// of which nothing is known: of two parameters with one name we read one, and the upstream perhaps both.
  bool pass(const message::Parameter& parameter) {
    auto pieces = read_pieces(parameter.pieces);
    pieces.push_back(join_pieces(pieces, parameter.name));
    const auto is_piece = [&](std::uint32_t name, std::uint32_t text) {
      const std::string told_name = value_.text(name), told = value_.text(text);
      return std::ranges::any_of(pieces, [&](const Piece& piece) {
        return equals_nocase(piece.name, told_name) && piece.value == told;
      });
    };
    std::string passed;
    for (std::size_t i = 0; i < names_.size(); ++i) {
      if (names_[i] != parameter.name) continue;
      if (!is_piece(elements_[2 * i], elements_[2 * i + 1])) return false;
      passed.append(passed.empty() ? "" : " ").append(value_.raw(elements_[2 * i]));
      passed.append(" ").append(value_.raw(elements_[2 * i + 1]));
    }
    if (!passed.empty()) add(passed);
    return !passed.empty();
  }

  /// Where the upstream would list it: as it listed the original; joined pieces of RFC 2231 come last.
  [[nodiscard]] std::size_t place(const message::Parameter& parameter) const {
    const auto found = std::ranges::find(names_, parameter.name);
    const auto index = static_cast<std::size_t>(found - names_.begin());
    const bool star = parameter.pieces.substr(0, parameter.pieces.find('=')).find('*') != std::string::npos;
    const bool was =
        index < names_.size() && value_.text(elements_[2 * index]).find('*') != std::string::npos;
    return joins_ && star && !was ? names_.size() : index;
  }

  void write(const message::Parameter& parameter) {
    auto pieces = read_pieces(parameter.pieces);
    if (joins_) pieces = {join_pieces(pieces, spelled(pieces, parameter.name))};
    for (Piece& piece : pieces) {
      if (capitals_) std::ranges::transform(piece.name, piece.name.begin(), to_upper);
      add(imap_value_string(piece.name, utf8_), imap_value_string(piece.value, utf8_));
    }
  }

  /// A charset that no field names is the server's own word (RFC 2045 §5.2).
  void pass_default_charset() {
    for (std::size_t i = 0; i < names_.size(); ++i) {
      if (names_[i] != "charset" || may_hold_address(value_.text(elements_[2 * i + 1]))) continue;
      add(value_.raw(elements_[2 * i]), value_.raw(elements_[2 * i + 1]));
    }
  }

  /// The same where the visible field names none any more.
  void write_default_charset() {
    if (capitals_) {
      add("\"CHARSET\"", "\"US-ASCII\"");
    } else {
      add("\"charset\"", "\"us-ascii\"");
    }
  }

  [[nodiscard]] std::string finish() const { return out_.empty() ? "NIL" : out_ + ")"; }

 private:
  static char to_upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; }

  /// The name with the field's own capitals.
  static std::string spelled(const std::vector<Piece>& pieces, const std::string& name) {
    if (pieces.empty()) return name;
    return pieces.front().name.substr(0, pieces.front().name.find('*'));
  }

  void add(std::string_view name, std::string_view value) {
    add(std::string(name).append(" ").append(value));
  }
  void add(std::string_view written) { out_.append(out_.empty() ? "(" : " ").append(written); }

  const ImapValue& value_;
  bool utf8_;
  bool joins_ = true;
  bool capitals_ = true;
  std::vector<std::uint32_t> elements_;
  std::vector<std::string> names_;
  std::string out_;
};

}  // namespace

std::string write_parameters(const ImapValue& value, std::uint32_t node, std::string_view original,
                             std::string_view visible, bool utf8) {
  const auto before = message::parse_parameters(original);
  const auto after = message::parse_parameters(visible);
  if (!before || !after) return "NIL";
  Writer writer(value, node, utf8);
  bool charset = false;
  std::vector<std::pair<std::size_t, std::size_t>> ordered;
  for (std::size_t i = 0; i < after->parameters.size(); ++i) {
    ordered.emplace_back(writer.place(after->parameters[i]), i);
  }
  std::ranges::sort(ordered);
  for (const auto& [place, index] : ordered) {
    const message::Parameter& parameter = after->parameters[index];
    charset = charset || parameter.name == "charset";
    const bool same = std::ranges::any_of(before->parameters, [&](const message::Parameter& old) {
      return old.name == parameter.name && old.pieces == parameter.pieces && old.intact && parameter.intact;
    });
    if (!same || !writer.pass(parameter)) writer.write(parameter);
  }
  const bool named = std::ranges::any_of(before->parameters,
                                         [](const message::Parameter& old) { return old.name == "charset"; });
  if (!charset && !named) writer.pass_default_charset();
  if (!charset && named && starts_with_nocase(after->value, "text/")) writer.write_default_charset();
  return writer.finish();
}

}  // namespace kage::proxy
