// Header blocks: cutting them into fields and writing fields. One pass over the bytes, no guessing: what is
// no field is reported with an empty name. Never writes a line above 998 octets or a line end that it was
// given.
#include "message/header.h"

#include <algorithm>
#include <cstring>

#include "base/text.h"
#include "message/lexical.h"
#include "message/utf8.h"

namespace kage::message {
namespace {

constexpr std::size_t kMaxName = 200;
constexpr std::size_t kMaxWhiteSpace = 60;  // longer runs are cut, so that no line can consist of them alone

constexpr bool is_ftext(char c) {
  return c >= 33 && c <= 126 && c != ':';
}

/// The name that a field begins with; empty when it is no field. A line end stands in no name.
std::string_view field_name(std::string_view raw, std::size_t& colon) {
  std::size_t end = 0;
  while (end < raw.size() && is_ftext(raw[end])) ++end;
  colon = end;
  while (colon < raw.size() && is_wsp(raw[colon])) ++colon;  // RFC 5322 §4.5: obs-optional
  if (end > kMaxName || colon == raw.size() || raw[colon] != ':') return {};
  return raw.substr(0, end);
}

/// Writes one field line by line. Keeps the column; add() decides where to fold.
class Folder {
 public:
  Folder(std::string& out, std::string_view name) : out_(out) {
    const std::size_t before = out.size();
    for (char c : name.substr(0, kMaxName)) {
      if (is_ftext(c)) out.push_back(c);
    }
    out.push_back(':');
    column_ = out.size() - before;
  }

  /// Adds `space` and `word`; the word stays in one piece unless it cannot fit in any line.
  void add(std::string_view space, std::string_view word) {
    if (word.empty()) return;
    space = space.substr(0, kMaxWhiteSpace);
    if (space.empty()) space = " ";
    const std::size_t size = space.size() + word.size();
    // The first word stays beside the name where it can: some readers lose a field that begins with a fold.
    const std::size_t bound = first_ ? kMaxLine : kPreferredLine;
    if (column_ + size > bound && !(first_ && size > kMaxLine)) fold();
    first_ = false;
    while (column_ + space.size() + word.size() > kMaxLine) {
      const std::size_t cut = utf8_floor(word, kMaxLine - column_ - space.size());
      put(space, word.substr(0, cut));
      word.remove_prefix(cut);
      fold();
      space = " ";
    }
    put(space, word);
  }

  /// Adds a text: words and the white space between them.
  void add_text(std::string_view text) {
    std::size_t at = 0;
    while (at < text.size()) {
      std::size_t word = at;
      while (word < text.size() && is_wsp(text[word])) ++word;
      std::size_t end = word;
      while (end < text.size() && !is_wsp(text[end])) ++end;
      add(text.substr(at, word - at), text.substr(word, end - word));
      at = end;
    }
  }

  void finish() { out_ += "\r\n"; }

 private:
  void fold() {
    out_ += "\r\n";
    column_ = 0;
  }
  void put(std::string_view space, std::string_view word) {
    out_ += space;
    out_ += word;
    column_ += space.size() + word.size();
  }

  std::string& out_;
  std::size_t column_ = 0;
  bool first_ = true;
};

}  // namespace

bool Field::is(std::string_view other) const {
  return equals_nocase(name, other);
}

std::string_view cut_field(std::string_view& block) {
  std::size_t end = 0;
  do {  // the first line, then its continuation lines
    const std::size_t line_end = block.find('\n', end);
    end = line_end == std::string_view::npos ? block.size() : line_end + 1;
  } while (end < block.size() && is_wsp(block[end]));
  const std::string_view raw = block.substr(0, end);
  block.remove_prefix(end);
  return raw;
}

Field read_field(std::string_view raw) {
  Field field;
  field.raw = raw;
  std::size_t colon = 0;
  field.name = field_name(raw, colon);
  std::string_view body = field.name.empty() ? raw : raw.substr(colon + 1);
  if (body.ends_with('\n')) body.remove_suffix(1);
  if (body.ends_with('\r')) body.remove_suffix(1);
  field.body = body;
  return field;
}

Result<std::vector<Field>> tokenize(std::string_view block, const HeaderLimits& limits) {
  if (block.size() > limits.max_octets) return fail(Errc::limit, "header block is too large");
  std::vector<Field> fields;
  fields.reserve(std::min<std::size_t>(limits.max_fields, block.size() / 80));
  while (!block.empty()) {
    if (fields.size() == limits.max_fields) return fail(Errc::limit, "too many header fields");
    fields.push_back(read_field(cut_field(block)));
  }
  return fields;
}

std::string unfold(std::string_view body) {
  // What write_field drops is dropped here too, so that a reader of the result sees what would be written.
  std::string line = one_line(body);
  trim_in_place(line);
  return line;
}

std::size_t HeaderEnd::find(std::string_view buffer) {
  if (scanned_ == 0) {
    if (buffer.starts_with('\n')) return 1;
    if (buffer.starts_with("\r\n")) return 2;
    if (buffer == "\r") return npos;
  }
  while (true) {
    const std::size_t line_end = buffer.find('\n', scanned_);
    if (line_end == npos) {
      scanned_ = buffer.size();
      return npos;
    }
    const std::string_view next = buffer.substr(line_end + 1, 2);
    if (next.starts_with('\n')) return line_end + 2;
    if (next == "\r\n") return line_end + 3;
    if (next.empty() || next == "\r") {
      scanned_ = line_end;
      return npos;
    }
    scanned_ = line_end + 1;
  }
}

void write_field(std::string& out, std::string_view name, std::string_view value) {
  Folder folder(out, name);
  folder.add_text(one_line(value));
  folder.finish();
}

void write_field(std::string& out, std::string_view name, std::span<const std::string> tokens) {
  Folder folder(out, name);
  for (const std::string& token : tokens) {
    const std::string clean = one_line(token);
    const std::string_view piece = trim(clean);
    if (piece.size() < kMaxLine) {
      folder.add(" ", piece);
    } else {
      folder.add_text(piece);  // no line can hold it whole
    }
  }
  folder.finish();
}

}  // namespace kage::message
