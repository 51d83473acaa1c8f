// One pass over the lines; a field that is dropped costs its line ends and a look-up.
#include "mapping/visible/quick.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/text.h"
#include "mapping/rewrite/ids.h"
#include "mapping/visible/scan.h"
#include "mapping/visible/write.h"

namespace kage::mapping {
namespace {

constexpr message::HeaderLimits kLimits;
constexpr std::size_t kMaxQuickIds = 50;    ///< more are thinned out, the long way
constexpr std::size_t kMaxQuickWord = 500;  ///< octets of an id, so that no line is too long
constexpr std::size_t kMaxQuickIdOctets = 7000;

/// What names consist of (RFC 5322 §3.6.8).
constexpr auto kIsNameOctet = [] {
  std::array<bool, 256> table{};
  for (std::size_t c = 33; c < 127; ++c) table[c] = c != ':';
  return table;
}();

constexpr std::string_view kEmptyLine = "\r\n";

/// Lines of a block that end with CRLF, grouped into fields.
class Cutter {
 public:
  explicit Cutter(std::string_view block) : rest_(block) {}

  enum class Found : unsigned char { field, end, odd };

  /// The next field; its last line end is in `raw` only. `end`: the empty line or nothing is left.
  Found next(message::Field& field) {
    if (rest_.empty() || rest_.starts_with(kEmptyLine)) return Found::end;
    std::size_t colon = 0;
    while (colon < rest_.size() && kIsNameOctet[static_cast<unsigned char>(rest_[colon])]) ++colon;
    if (colon == 0 || colon > 60 || colon == rest_.size() || rest_[colon] != ':') return Found::odd;
    std::size_t end = colon;
    lines_ = 0;
    do {
      const void* const line_end = std::memchr(rest_.data() + end, '\n', rest_.size() - end);
      if (line_end == nullptr) return Found::odd;
      end = static_cast<std::size_t>(static_cast<const char*>(line_end) - rest_.data()) + 1;
      if (rest_[end - 2] != '\r') return Found::odd;
      ++lines_;
    } while (end < rest_.size() && is_wsp(rest_[end]));
    field.raw = rest_.substr(0, end);
    field.name = rest_.substr(0, colon);
    field.body = rest_.substr(colon + 1, end - colon - 3);
    rest_.remove_prefix(end);
    return Found::field;
  }

  [[nodiscard]] std::size_t lines() const { return lines_; }  ///< of the last field
  [[nodiscard]] std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
  std::size_t lines_ = 0;
};

/// NUL, or a CR that ends no line.
bool is_odd(std::string_view body, std::size_t lines) {
  if (std::memchr(body.data(), '\0', body.size()) != nullptr) return true;
  std::size_t returns = 0;
  for (std::size_t at = body.find('\r'); at != std::string_view::npos; at = body.find('\r', at + 1))
    ++returns;
  return returns != lines - 1;
}

void note_content(ContentFields& content, const message::Field& field, const FieldRule& rule) {
  if (!rule.name.starts_with("content-t")) return;
  const std::string_view body = field.raw.substr(field.name.size() + 1);
  if (rule.name == "content-type" && !content.type) content.type = body;
  if (rule.name == "content-transfer-encoding" && !content.encoding) content.encoding = body;
}

/// The ids of a body that holds nothing else, one by one.
class PlainIds {
 public:
  explicit PlainIds(std::string_view body) : rest_(body) {}

  enum class Found : unsigned char { id, end, odd };

  Found next(std::string_view& id) {
    const std::size_t begin = rest_.find_first_not_of(" \t\r\n");
    if (begin == std::string_view::npos) return count_ > 0 ? Found::end : Found::odd;
    const std::size_t end = rest_.find('>', begin);
    if (rest_[begin] != '<' || end == std::string_view::npos || count_ == kMaxQuickIds) return Found::odd;
    id = rest_.substr(begin + 1, end - begin - 1);
    rest_.remove_prefix(end + 1);
    ++count_;
    return !id.empty() && id.size() <= kMaxQuickWord && is_plain(id) ? Found::id : Found::odd;
  }

  [[nodiscard]] std::size_t count() const { return count_; }

 private:
  /// All of it is looked at: a loop without a way out takes many octets at a time.
  static bool is_plain(std::string_view id) {
    bool plain = true;
    for (const char c : id) plain &= c > ' ' && c < 127 && c != '<';
    return plain;
  }

  std::string_view rest_;
  std::size_t count_ = 0;
};

}  // namespace

bool QuickView::show(Deriver& deriver, const Viewer& viewer, BlockKind kind, std::string_view block,
                     std::string& out, std::vector<PhantomWrite>& fresh, ContentFields* content) {
  rewritten_.clear();
  Work work{deriver, viewer, {out, out.size(), rewritten_}, {}, fresh, {}};
  Extent room;
  std::string_view rest;
  if (!walk(work, kind, block, room, rest) || rest.size() > kEmptyLine.size()) return false;
  if (room.octets > 0 && !fit(work.draft, work.used, room, LineEnds::crlf)) return false;
  out += rest;
  if (content != nullptr) *content = work.content;
  return true;
}

std::size_t QuickView::show_front(Deriver& deriver, const Viewer& viewer, BlockKind kind,
                                  std::string_view text, std::string& out, std::vector<PhantomWrite>& fresh,
                                  ContentFields& content) {
  rewritten_.clear();
  Work work{deriver, viewer, {out, out.size(), rewritten_}, {}, fresh, {}};
  Extent room;
  std::string_view rest;
  if (!walk(work, kind, text, room, rest) || rest.empty()) return 0;
  if (room.octets > 0 && !fit(work.draft, work.used, room, LineEnds::crlf)) return 0;
  out += kEmptyLine;
  content = work.content;
  return room.octets + kEmptyLine.size();
}

bool QuickView::show_fields(Deriver& deriver, const Viewer& viewer, const FieldSet& told,
                            std::string_view fields, std::string& out, std::string& original,
                            std::vector<PhantomWrite>& fresh) {
  rewritten_.clear();
  Work work{deriver, viewer, {out, out.size(), rewritten_}, {}, fresh, {}, &told, &original};
  Extent room;
  std::string_view rest;
  if (!walk(work, BlockKind::message, fields, room, rest) || rest != kEmptyLine) return false;
  out += rest;
  // Then fit() has nothing to do but to append a filler, whose lines are of this size at least. Fields that
  // were not read are dropped: they add to the room at least as much as to the lines of the filler, unless
  // somebody fills them with lines of one space, which may fold rewritten fields in another way.
  constexpr std::size_t kFillerLine = 4;
  if (work.used.lines >= room.lines) return false;
  const std::size_t filler_lines = room.lines - work.used.lines + work.spare_lines;
  return work.used.octets + kFillerLine * filler_lines <= room.octets;
}

/// Cuts the block and writes its fields. `room`: of all of them.
bool QuickView::walk(Work& work, BlockKind kind, std::string_view block, Extent& room,
                     std::string_view& rest) {
  if (block.size() > kLimits.max_octets) return false;
  Cutter cutter(block);
  message::Field field;
  std::size_t fields = 0;
  while (true) {
    const Cutter::Found found = cutter.next(field);
    if (found == Cutter::Found::odd) return false;
    if (found == Cutter::Found::end) break;
    if (++fields > kLimits.max_fields) return false;
    room.lines += cutter.lines();
    if (is_surely_dropped(field.name)) continue;
    const FieldRule& rule = find_rule(field.name);
    work.take(field, rule);
    if (may_be_shown(rule, kind) && !write(work, field, rule, cutter.lines())) return false;
  }
  rest = cutter.rest();
  room.octets = block.size() - rest.size();
  return true;
}

/// What is noted of a field, whether it is shown or not.
void QuickView::Work::take(const message::Field& field, const FieldRule& rule) {
  if (told == nullptr) {
    note_content(content, field, rule);
    return;
  }
  left_out = !told->has(rule);
  if (!left_out) *original += field.raw;
}

void QuickView::Work::add_as_it_came(const message::Field& field, std::size_t lines) {
  if (!left_out) draft.out += field.raw;
  used.octets += field.raw.size();
  used.lines += lines;
}

bool QuickView::write(Work& work, const message::Field& field, const FieldRule& rule, std::size_t lines) {
  if (is_odd(field.body, lines)) return false;
  if (is_surely_harmless(rule.towards_member, field.body)) {
    work.add_as_it_came(field, lines);
    return true;
  }
  if (rule.towards_member == FieldClass::ids) {
    const bool done =
        work.left_out ? count_ids(work, field, rule, lines) : write_ids(work, field, rule, lines);
    if (done) return true;
  }
  return write_form(work, field, rule, lines);
}

/// What has to be looked at closely, unless that was done before.
bool QuickView::write_form(Work& work, const message::Field& field, const FieldRule& rule,
                           std::size_t lines) {
  RecentTexts& forms = rule.towards_member == FieldClass::addresses ? people_ : others_;
  const RecentKey key(ViewKey(work.viewer), field.raw);
  if (const auto known = forms.find(key)) {
    write_as(work, field, lines, FieldForm(*known));
    return true;
  }
  const auto found = look(work, field, rule);
  if (!found) return false;
  write_as(work, field, lines, FieldForm(found->packed()));
  forms.put(key, found->packed());
  return true;
}

void QuickView::write_as(Work& work, const message::Field& field, std::size_t lines, FieldForm form) {
  if (form.stays()) {
    work.add_as_it_came(field, lines);
  } else if (!form.made().empty()) {
    work.used.octets += form.made().size();
    work.used.lines += form.lines();
    if (!work.left_out) {
      work.draft.rewritten.push_back({work.draft.out.size(), work.draft.out.size() + form.made().size()});
      work.draft.out += form.made();
    }
  }
  if (work.left_out) return;
  for (std::string_view local, spelling; form.next(local, spelling);) {
    work.fresh.push_back({work.viewer.member, std::string(local), std::string(spelling)});
  }
}

/// Plain ids are looked up one by one: a thread's messages share most of them.
bool QuickView::write_ids(Work& work, const message::Field& field, const FieldRule& rule, std::size_t lines) {
  if (rule.name == "content-id") return false;
  std::string& out = work.draft.out;
  const std::size_t begin = out.size();
  out.append(field.name).push_back(':');
  std::size_t column = field.name.size() + 1;
  std::size_t made_lines = 1;
  bool same = true;
  PlainIds ids(field.body);
  PlainIds::Found found{};
  for (std::string_view id; (found = ids.next(id)) == PlainIds::Found::id;) {
    const std::string_view shown = work.deriver.id(work.viewer, id);
    same = same && shown == id;
    const std::size_t size = shown.size() + 3;
    // As message::write_field: the first stays beside the name.
    if (ids.count() > 1 && column + size > message::kPreferredLine) {
      out += "\r\n";
      ++made_lines;
      column = 0;
    }
    out.append(" <").append(shown).push_back('>');
    column += size;
  }
  out += "\r\n";
  const bool too_many = ids.count() > 1 && rule.has_one_id();
  if (found == PlainIds::Found::odd || too_many || out.size() - begin > kMaxQuickIdOctets) {
    out.resize(begin);
    return false;
  }
  if (same) {
    out.resize(begin);
    out += field.raw;
    work.used.lines += lines;
  } else {
    work.draft.rewritten.push_back({begin, out.size()});
    work.used.lines += made_lines;
  }
  work.used.octets += out.size() - begin;
  return true;
}

/// The most that such a field can take, with no id sealed for it.
bool QuickView::count_ids(Work& work, const message::Field& field, const FieldRule& rule, std::size_t lines) {
  if (rule.name == "content-id") return false;
  std::size_t octets = field.name.size() + 1;
  PlainIds ids(field.body);
  PlainIds::Found found{};
  for (std::string_view id; (found = ids.next(id)) == PlainIds::Found::id;) {
    octets += 5 + longest_id_in_view(*work.viewer.member, id.size());
  }
  if (found == PlainIds::Found::odd || octets > kMaxQuickIdOctets) return false;
  work.used.octets += std::max(octets, field.raw.size());
  const std::size_t most = std::max(ids.count(), lines);
  work.used.lines += most;
  work.spare_lines += most - 1;
  return true;
}

/// Nothing where other fields decide.
std::optional<FormWriter> QuickView::look(Work& work, const message::Field& field, const FieldRule& rule) {
  VisibleScan alone;
  if (!alone.scan_alone(field, rule) || needs_context(alone.shown.front())) return std::nullopt;
  VisibleWriter writer(work.deriver, work.viewer, alone, LineEnds::crlf);
  std::string made;
  if (!writer.stays(0)) {
    std::vector<Draft::Region> rewritten;
    Draft draft{made, 0, rewritten};
    writer.write(draft, Step::none, {});
  }
  FormWriter form(writer.stays(0), made, static_cast<std::uint32_t>(extent_of(made).lines));
  std::vector<PhantomWrite> fresh;
  writer.report(fresh);
  for (const PhantomWrite& each : fresh) form.add(each.local, each.spelling);
  return form;
}

}  // namespace kage::mapping
