// Any block, shown to any member: its octets and lines keep their number, what is shown does not depend on
// what was shown before, and every address in it is one that may be there. The first octet chooses who looks
// at what.
#include <algorithm>
#include <string>
#include <vector>

#include "mapping/visible_header.h"
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
  show(cold, viewer, kind, out);
  const std::string id = cold.content_id(viewer, block.substr(0, 300));
  require(id.size() == std::min<std::size_t>(block.size(), 300), "a Content-ID keeps its length");
  return 0;
}
