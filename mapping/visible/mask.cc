// Holds only what may be the beginning of a delimiter line, or a CR that may belong to a line end.
#include "mapping/visible/mask.h"

#include <algorithm>

namespace kage::mapping {

using message::BoundaryScanner;

void StreamMask::start(Style style) {
  *this = StreamMask();
  style_ = style;
}

/// Filler reads as "X:......" with its lines folded, so that a reader finds one field.
char StreamMask::glyph() {
  const std::size_t column = column_++;
  if (style_ == Style::blank) return '.';
  if (!first_line_) return column == 0 ? ' ' : '.';
  return column == 0 ? 'X' : column == 1 ? ':' : '.';
}

void StreamMask::mask(std::string_view text, std::string& out) {
  for (const char c : text) {
    if (pending_cr_) {
      pending_cr_ = false;
      out.push_back(c == '\n' ? '\r' : glyph());
    }
    if (c == '\r') {
      pending_cr_ = true;
    } else if (c == '\n') {
      out.push_back(c);
      column_ = 0;
      first_line_ = false;
    } else {
      out.push_back(glyph());
    }
  }
}

StreamMask::Event StreamMask::feed(std::string_view& input, const BoundaryScanner& boundaries,
                                   std::string& out) {
  Event event;
  while (!input.empty()) {
    const std::size_t end = input.find('\n');
    const bool complete = end != std::string_view::npos;
    std::string_view piece = input.substr(0, complete ? end + 1 : input.size());
    if (in_line_) {
      mask(piece, out);
      in_line_ = !complete;
      input.remove_prefix(piece.size());
      continue;
    }
    piece = piece.substr(0, BoundaryScanner::kMaxLine - line_.size());
    line_.append(piece);
    input.remove_prefix(piece.size());
    if (line_.ends_with('\n')) {
      const std::string_view line(line_);
      event.block_ended = style_ == Style::filler && (line == "\n" || line == "\r\n");
      event.hit = boundaries.judge(line.substr(0, line.size() - 1));
      if (event.block_ended || event.hit) {
        out.append(line_);
        line_.clear();
        return event;
      }
      mask(line_, out);
      line_.clear();
    } else if (line_ != "\r" && !boundaries.may_be_delimiter(line_)) {
      mask(line_, out);
      line_.clear();
      in_line_ = true;
    }
  }
  return event;
}

void StreamMask::finish(const BoundaryScanner& boundaries, std::string& out) {
  if (boundaries.judge(line_)) {
    out.append(line_);
  } else {
    mask(line_, out);
  }
  line_.clear();
  if (pending_cr_) out.push_back(glyph());
  pending_cr_ = false;
}

}  // namespace kage::mapping
