// The texts of a message behind its header. Both forms of a message have the same octets in the same lines
// (contract R8.1), so one walk serves both, and a line that is the same in both was not rewritten.
#include <algorithm>
#include <array>
#include <optional>

#include "base/text.h"
#include "mapping/visible/message.h"
#include "message/boundary_scanner.h"
#include "message/charset.h"
#include "message/header.h"
#include "message/mime.h"
#include "proxy/search/text.h"

namespace kage::proxy {

namespace {

using mapping::ContentKind;
using Kind = ContentKind::Kind;
using Encoding = ContentKind::Encoding;

constexpr std::size_t kMaxLevels = 32;

std::string decode_quoted_printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '=') {
      out += text[i];
      continue;
    }
    const auto rest = text.substr(i + 1);
    if (const auto octet = hex_octet(rest)) {
      out += static_cast<char>(*octet);
      i += 2;
    } else if (const auto end = rest.find_first_not_of(" \t\r"); end != rest.npos && rest[end] == '\n') {
      i += end + 1;  // soft line break
    } else {
      out += '=';
    }
  }
  return out;
}

constexpr auto kBase64 = [] {
  std::array<signed char, 256> table{};
  table.fill(-1);
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (std::size_t i = 0; i < kAlphabet.size(); ++i) {
    table[static_cast<unsigned char>(kAlphabet[i])] = static_cast<signed char>(i);
  }
  return table;
}();

/// As readers do it: what is not of the alphabet is skipped (RFC 2045 §6.8).
std::string decode_base64(std::string_view text) {
  std::string out;
  out.reserve(text.size() / 4 * 3 + 3);
  unsigned bits = 0;
  unsigned count = 0;
  for (const char c : text) {
    const int value = kBase64[static_cast<unsigned char>(c)];
    if (value < 0) continue;
    bits = (bits << 6 | static_cast<unsigned>(value)) & 0xFFFF;
    count += 6;
    if (count < 8) continue;
    count -= 8;
    out += static_cast<char>(bits >> count & 0xFF);
  }
  return out;
}

std::string decode(std::string_view octets, Encoding encoding, std::string_view charset) {
  std::string decoded;
  if (encoding == Encoding::base64) decoded = decode_base64(octets);
  if (encoding == Encoding::quoted_printable) decoded = decode_quoted_printable(octets);
  if (encoding != Encoding::identity) octets = decoded;
  if (all_ascii(octets) && !starts_with_nocase(charset, "iso-2022")) return std::string(octets);
  return message::to_utf8(octets, charset.empty() ? "utf-8" : charset);
}

std::string_view next_line(std::string_view text, std::size_t at) {
  const std::size_t end = text.find('\n', at);
  return text.substr(at, end == text.npos ? text.npos : end + 1 - at);
}

class BodyWalk {
 public:
  BodyWalk(std::string_view original, std::string_view visible) : original_(original), visible_(visible) {}

  SearchedBody run() {
    while (at_ < visible_.size()) {
      const std::string_view line = next_line(visible_, at_);
      if (const auto hit = boundaries_.empty() ? std::nullopt : delimiter(line)) {
        end_piece();
        at_ += line.size();
        on_delimiter(*hit);
      } else {
        at_ += line.size();
        if (in_header_ && (line == "\r\n" || line == "\n")) end_header();
      }
    }
    end_piece();
    return std::move(found_);
  }

 private:
  std::optional<message::BoundaryScanner::Hit> delimiter(std::string_view line) const {
    if (!line.starts_with("--")) return std::nullopt;
    while (line.ends_with('\n') || line.ends_with('\r')) line.remove_suffix(1);
    return boundaries_.judge(line);
  }

  void on_delimiter(message::BoundaryScanner::Hit hit) {
    boundaries_.truncate(hit.level + 1);
    digest_.resize(hit.level + 1);
    if (hit.close) boundaries_.close(hit.level);
    in_header_ = !hit.close;
    of_part_ = in_header_;
    kind_ = {};
    text_ = false;
    begin_ = at_;
  }

  /// What stood before a delimiter, or at the end.
  void end_piece() {
    if (in_header_) {
      show_header();
    } else {
      show_leaf();
    }
  }

  void show_header() {
    // The header of the message itself is not its body.
    if (!std::exchange(top_, false)) {
      SearchedHeader(original_.substr(begin_, at_ - begin_), visible_.substr(begin_, at_ - begin_))
          .texts(found_.kept, found_.shown);
    }
  }

  void end_header() {
    show_header();
    const auto block = visible_.substr(begin_, at_ - begin_);
    kind_ = mapping::content_kind(block, of_part_ && digest_.back());
    of_part_ = false;
    begin_ = at_;
    in_header_ = false;
    text_ = true;
    read_type(block);
    if (boundaries_.size() >= kMaxLevels || nested_ >= kMaxLevels) return;
    if (kind_.kind == Kind::multipart) {
      boundaries_.push(kind_.boundary);
      digest_.push_back(kind_.digest);
      text_ = false;
    } else if (kind_.kind == Kind::message) {
      ++nested_;
      in_header_ = true;
    }
  }

  void read_type(std::string_view block) {
    charset_.clear();
    const auto fields = message::tokenize(block);
    if (!fields) return;
    for (const message::Field& field : *fields) {
      if (!field.is("content-type")) continue;
      const auto type = message::parse_parameters(field.body);
      if (!type) return;
      text_ = starts_with_nocase(type->value, "text/") || starts_with_nocase(type->value, "message/");
      for (const message::Parameter& parameter : type->parameters) {
        if (equals_nocase(parameter.name, "charset")) charset_ = parameter.value;
      }
      return;
    }
  }

  void show_leaf() {
    if (!text_ || at_ == begin_) return;
    const auto after = visible_.substr(begin_, at_ - begin_);
    const auto before = original_.substr(begin_, at_ - begin_);
    const std::string text = decode(after, kind_.encoding, charset_);
    if (before == after) {
      found_.kept.push_back(search_form(text));
      return;
    }
    const std::string other = decode(before, kind_.encoding, charset_);
    std::size_t at = 0;
    std::size_t other_at = 0;
    while (at < text.size()) {
      const auto line = next_line(text, at);
      const auto other_line = next_line(other, std::min(other_at, other.size()));
      if (line == other_line) found_.kept.push_back(search_form(line));
      at += line.size();
      other_at += other_line.size();
    }
    found_.shown.push_back(search_form(text));
  }

  std::string_view original_, visible_;
  SearchedBody found_;
  message::BoundaryScanner boundaries_;
  std::vector<bool> digest_;
  ContentKind kind_;
  std::string charset_;
  bool text_ = false;  // the leaf is text
  bool in_header_ = true;
  bool of_part_ = false;  // the header is a part's, not a message's
  bool top_ = true;
  std::size_t nested_ = 0;
  std::size_t begin_ = 0;
  std::size_t at_ = 0;
};

}  // namespace

bool SearchedBody::has(std::string_view needle, SearchScope scope) const {
  const auto found = [&](const std::string& text) { return text.find(needle) != std::string::npos; };
  return std::ranges::any_of(kept, found) ||
         (scope == SearchScope::shown && std::ranges::any_of(shown, found));
}

SearchedBody searched_body(std::string_view original, std::string_view visible) {
  if (original.size() != visible.size()) return {};
  return BodyWalk(original, visible).run();
}

}  // namespace kage::proxy
