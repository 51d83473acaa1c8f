#include "visible_message_seam.h"

#include <algorithm>

#include "base/text.h"
#include "rewrite_world.h"

namespace kage::mapping {

struct HeaderView::State {};

namespace test {

bool broken_show = false;

std::string stand_in(BlockKind kind, std::string_view block) {
  std::string out(block);
  for (char& c : out) {
    if (is_alpha(c)) {
      const char base = c >= 'a' ? 'a' : 'A';
      c = static_cast<char>(base + (c - base + 13) % 26);
    } else if (c == '@') {
      c = '%';
    }
  }
  if (!out.empty() && out.front() != '\r' && out.front() != '\n') {
    out.front() = kind == BlockKind::message ? 'M' : 'P';
  }
  return out;
}

Audience audience() {
  static const World world = World().add("pta@school.example", "PTA", {"officer@home.example"}).build();
  return {.routes = Routes(Routes(), &world.routes()), .members = {&world.member(1)}};
}

}  // namespace test

HeaderView::HeaderView() : state_(std::make_unique<State>()) {}
HeaderView::~HeaderView() = default;

unsigned HeaderView::show(const Viewer& viewer, BlockKind kind, std::string_view block, std::string& out,
                          std::vector<PhantomWrite>& fresh) {
  out += test::stand_in(kind, block);
  if (test::broken_show) out += "x";
  fresh.push_back({viewer.member, "phantom", "somebody@corp.example"});
  return 0;
}

std::string HeaderView::content_id(const Viewer& /*viewer*/, std::string_view id) {
  std::string out(id);
  std::ranges::fill(out, 'z');
  return out;
}

Viewer choose_viewer(const RouteTable& routes, std::span<const Member* const> members,
                     std::string_view header_block) {
  return {.routes = &routes,
          .member = members.front(),
          .own = header_block.find("X-Own: yes") != std::string_view::npos};
}

}  // namespace kage::mapping
