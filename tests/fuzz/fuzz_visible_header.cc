// Any block, shown to any member: its octets and lines keep their number, what is shown does not depend on
// what was shown before, what the deciding fields alone tell is what the whole block tells, and every address
// in it is one that may be there. The first octet chooses who looks at what.
#include <algorithm>
#include <string>
#include <vector>

#include "base/text.h"
#include "mapping/visible/header.h"
#include "message/header.h"
#include "tests/fuzz/fuzz.h"
#include "tests/mapping/rewrite_world.h"

namespace {

using kage::fuzz::require;
using namespace kage::mapping;
namespace test = kage::mapping::test;

constexpr kage::message::HeaderLimits kNoLimits{.max_octets = 16U << 20U, .max_fields = 100'000};

const test::World& world() {
  static const test::World made = [] {
    test::World result;
    result.add("pta@school.example", "PTA", {"officer@home.example"});
    result.add("quiet@school.example", "", {"quiet@home.example"}, NamePolicy::hide);
    result.build();
    return result;
  }();
  return made;
}

std::string show(HeaderView& view, const Viewer& viewer, BlockKind kind, std::string_view block) {
  std::string out = "-";
  std::vector<PhantomWrite> fresh;
  view.show(viewer, kind, block, out, fresh);
  out.erase(0, 1);
  require(out.size() == block.size(), "constant size");
  require(std::ranges::count(out, '\n') == std::ranges::count(block, '\n'), "constant number of lines");
  for (const PhantomWrite& each : fresh) {
    require(each.member == viewer.member && !each.local.empty() && !each.spelling.empty(), "whole phantoms");
  }
  return out;
}

/// Whether what stands in a visible block may be there.
void check_addresses(const Viewer& viewer, const std::string& out) {
  const auto again = ParsedHeader::parse(out, kNoLimits);
  if (!again) return;
  for (const ParsedHeader::Found& found : again->addresses()) {
    // "phantom@p.school.example.pdf" is a file name.
    const bool ours = found.canonical.find("@school.example") != std::string::npos ||
                      found.canonical.find("@p.school.example") != std::string::npos;
    // A stand-in beside an '@' that was alone before: read with more care than the original was.
    if (ours || found.canonical == "unreadable@invalid" ||
        found.canonical == viewer.member->mailbox_canonical)
      continue;
    require(false, ("a foreign address is left: " + found.canonical + " in\n" + out).c_str());
  }
}

/// The fields that cross, without the ends of their lines.
std::string told_by(std::string_view block) {
  std::string out;
  for (const auto& field : kage::message::tokenize(block, kNoLimits).value()) {
    if (find_rule(field.name).towards_member == FieldClass::drop) continue;
    for (const char c : field.raw) {
      if (c != '\r' && c != '\n') out += c;
    }
    out += '\n';
  }
  return out;
}

/// Whether there are lines of one octet or none: they leave less room than show_fields() believes.
bool has_short_lines(std::string_view block) {
  for (std::size_t at = block.find('\n'); at != std::string_view::npos; at = block.find('\n', at + 1)) {
    const std::string_view next = block.substr(at + 1, 3);
    if (next.size() == 3 && kage::is_wsp(next[0]) && (next[1] == '\n' || next.substr(1) == "\r\n"))
      return true;
  }
  return false;
}

/// What a server gives of the block when it is asked for the deciding fields; empty where servers differ.
std::string deciding(std::string_view block) {
  static const std::string names = " " + deciding_fields(false) + " ";
  if (!block.ends_with("\r\n\r\n") || has_short_lines(block)) return {};
  const auto fields = kage::message::tokenize(block.substr(0, block.size() - 2));
  if (!fields) return {};
  std::string out;
  for (const auto& field : *fields) {
    if (field.name.empty() || field.raw.starts_with("\r\n")) return {};
    if (names.find(" " + kage::upper(field.name) + " ") != std::string::npos) out += field.raw;
  }
  return out + "\r\n";
}

/// `whole`: the visible form of the block.
void check_fields(HeaderView& view, const Viewer& viewer, std::string_view block, const std::string& whole) {
  static const FieldSet all = [] {
    FieldSet set;
    for (const FieldRule& rule : field_rules()) set.add(rule.name);
    return set;
  }();
  const std::string fields = deciding(block);
  std::string out, original;
  std::vector<PhantomWrite> fresh;
  if (fields.empty() || !view.show_fields(viewer, all, fields, out, original, fresh)) return;
  require(told_by(out) == told_by(whole), ("fields tell another story:\n" + out + "---\n" + whole).c_str());
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  static HeaderView warm;
  const std::string_view block = kage::fuzz::text_of(data + 1, size - 1);
  const Viewer viewer{&world().routes(), &world().member(1 + (data[0] & 1U)), false};
  const BlockKind kind = (data[0] & 2U) != 0 ? BlockKind::part : BlockKind::message;
  const Member* const members[] = {&world().member(1), &world().member(2)};
  (void)choose_viewer(world().routes(), members, block);

  const std::string out = show(warm, viewer, kind, block);
  HeaderView cold;
  require(show(cold, viewer, kind, block) == out, "what is shown does not depend on what was");
  check_addresses(viewer, out);
  if (kind == BlockKind::message) check_fields(warm, viewer, block, out);
  show(cold, viewer, kind, out);
  const std::string id = cold.content_id(viewer, block.substr(0, 300));
  require(id.size() == std::min<std::size_t>(block.size(), 300), "a Content-ID keeps its length");
  return 0;
}
