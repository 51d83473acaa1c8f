// Folding, padding and the filler field. One pass over the draft for each thing that is to be done, so
// hostile headers cost no more than their size.
#include "mapping/visible/fit.h"

#include <algorithm>

#include "base/text.h"
#include "mapping/rewrite/field_policy.h"
#include "message/header.h"

namespace kage::mapping {
namespace {

constexpr std::size_t kRoomToPad = 24;  ///< white space at the end of a line up to here; else a filler field
constexpr char kFill = '.';

std::string_view line_end(LineEnds ends) {
  return ends == LineEnds::lf ? "\n" : "\r\n";
}

/// The shortest line of a filler: two octets and the line end.
std::size_t shortest(LineEnds ends) {
  return line_end(ends).size() + 2;
}

/// Makes `size` octets that hold nothing but kFill a line with its end, as good as it gets.
void shape_line(char* line, std::size_t size, bool first, LineEnds ends) {
  if (size < shortest(ends) && ends == LineEnds::mixed) ends = LineEnds::lf;
  line[size - 1] = '\n';
  const std::size_t end = std::min(size, line_end(ends).size());
  if (end == 2) line[size - 2] = '\r';
  const std::size_t content = size - end;
  if (first && content >= kFillerField.size() + 3) {
    std::ranges::copy(kFillerField, line);
    line[kFillerField.size()] = ':';
    line[kFillerField.size() + 1] = ' ';
  } else if (first && content >= 2) {
    line[0] = 'X';
    line[1] = ':';
  } else if (!first && content > 0) {
    line[0] = ' ';
  }
}

/// The same for `count` lines behind the first: one is shaped, and copied.
void shape_lines(char* lines, std::size_t size, std::size_t count, LineEnds ends) {
  if (count == 0) return;
  shape_line(lines, size, false, ends);
  const std::size_t all = size * count;
  for (std::size_t done = size; done < all; done *= 2) {
    std::copy_n(lines, std::min(done, all - done), lines + done);
  }
}

/// Whether a fold may be made before the white space at `at`: text on both sides, and the field's first word
/// stays beside its name.
bool may_split(std::string_view text, std::size_t at, std::size_t colon) {
  if (!is_wsp(text[at]) || at <= colon + 1 || at + 1 >= text.size()) return false;
  const char before = text[at - 1];
  const char behind = text[at + 1];
  const auto is_text = [](char c) { return !is_wsp(c) && c != '\r' && c != '\n'; };
  return is_text(before) && is_text(behind);
}

/// Inserts up to `count` folds into the rewritten fields; returns how many there was a place for.
std::size_t split(Draft& draft, std::size_t count, LineEnds ends) {
  const std::string_view end = line_end(ends);
  std::string made(draft.out, 0, draft.base);
  std::size_t done = 0;
  std::size_t at = draft.base;
  for (Draft::Region& region : draft.rewritten) {
    made.append(draft.out, at, region.begin - at);
    at = region.end;
    const std::string_view text = std::string_view(draft.out).substr(region.begin, region.end - region.begin);
    const std::size_t colon = text.find(':');
    region.begin = made.size();
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (done < count && may_split(text, i, colon)) {
        made += end;
        ++done;
      }
      made.push_back(text[i]);
    }
    region.end = made.size();
  }
  made.append(draft.out, at);
  draft.out = std::move(made);
  return done;
}

/// Removes up to `count` folds from the rewritten fields; returns how many could go.
std::size_t join(Draft& draft, std::size_t count) {
  std::string made(draft.out, 0, draft.base);
  std::size_t done = 0;
  std::size_t at = draft.base;
  for (Draft::Region& region : draft.rewritten) {
    made.append(draft.out, at, region.begin - at);
    at = region.end;
    std::string_view text = std::string_view(draft.out).substr(region.begin, region.end - region.begin);
    region.begin = made.size();
    std::size_t line = 0;  // octets on the line in the making, without its end
    while (!text.empty()) {
      const std::size_t size = std::min(text.find('\n'), text.size() - 1) + 1;
      std::string_view content = text.substr(0, size);
      if (content.ends_with('\n')) content.remove_suffix(1);
      if (content.ends_with('\r')) content.remove_suffix(1);
      if (done < count && line > 0 && line + content.size() <= message::kMaxLine) {
        made.resize(made.size() - (made.ends_with("\r\n") ? 2 : 1));
        line += content.size();
        ++done;
      } else {
        line = content.size();
      }
      made.append(text.substr(0, size));
      text.remove_prefix(size);
    }
    region.end = made.size();
  }
  made.append(draft.out, at);
  draft.out = std::move(made);
  return done;
}

/// White space at the end of the last rewritten field.
bool pad(Draft& draft, std::size_t octets) {
  if (octets == 0) return true;
  if (draft.rewritten.empty()) return false;
  Draft::Region& last = draft.rewritten.back();
  std::size_t at = last.end - 1;
  if (at > last.begin && draft.out[at - 1] == '\r') --at;
  draft.out.insert(at, octets, ' ');
  last.end += octets;
  return true;
}

}  // namespace

Extent extent_of(std::string_view text) {
  return {text.size(), static_cast<std::size_t>(std::ranges::count(text, '\n'))};
}

void append_filler(std::string& out, Extent room, LineEnds ends) {
  if (room.lines == 0) return;
  const std::size_t least = std::min(shortest(ends), room.octets / room.lines);
  const std::size_t named = kFillerField.size() + 3 + line_end(ends).size();
  // The first line has room for the name where the others can spare it.
  const std::size_t spare = room.octets - least * room.lines;
  std::size_t first = std::max(room.octets / room.lines, std::min(named, least + spare));
  if (room.lines == 1) first = room.octets;
  std::size_t at = out.size();
  out.append(room.octets, kFill);
  shape_line(out.data() + at, first, true, ends);
  at += first;
  const std::size_t others = room.lines - 1;
  if (others == 0) return;
  const std::size_t each = (room.octets - first) / others;
  const std::size_t longer = (room.octets - first) % others;  // so many lines have an octet more
  shape_lines(out.data() + at, each, others - longer, ends);
  shape_lines(out.data() + at + each * (others - longer), each + 1, longer, ends);
}

bool fit(Draft& draft, Extent used, Extent room, LineEnds ends) {
  const std::size_t end = line_end(ends).size();
  const auto joined = [&](std::size_t count) {
    const std::size_t done = join(draft, count);
    used.lines -= done;
    used.octets -= done * end;
    return done == count;
  };
  if (used.lines > room.lines && !joined(used.lines - room.lines)) return false;
  if (used.octets > room.octets) return false;
  if (used.lines == room.lines && room.octets - used.octets > kRoomToPad) joined(1);
  Extent left{room.octets - used.octets, room.lines - used.lines};
  if (left.lines == 0) return pad(draft, left.octets);
  const std::size_t least = shortest(ends) * left.lines;
  if (left.octets < least) {
    // A fold takes two octets less than a line of the filler.
    const std::size_t folds = (least - left.octets + 1) / 2;
    if (folds > left.lines || folds * end > left.octets || split(draft, folds, ends) < folds) return false;
    left.octets -= folds * end;
    left.lines -= folds;
    if (left.lines == 0) return pad(draft, left.octets);
  }
  append_filler(draft.out, left, ends);
  return true;
}

}  // namespace kage::mapping
