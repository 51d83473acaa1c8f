#include "visible_message_seam.h"

#include <algorithm>
#include <catch2/catch.hpp>

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

/// Feeds one piece; views are copied before the next call, as they may have to be.
void feed(VisibleMessage& walker, std::string_view piece, std::string& out) {
  const std::string copy(piece);  // its own allocation: a view that outlives it is a finding of the sanitizer
  std::string_view input = copy;
  while (!input.empty()) {
    const std::string_view shown = walker.next(input);
    if (shown.empty()) REQUIRE(input.empty());
    out += shown;
  }
}

void finish(VisibleMessage& walker, std::string& out) {
  while (true) {
    const std::string_view shown = walker.finish();
    if (shown.empty()) return;
    out += shown;
  }
}

const Make kWhole = [](HeaderView& view) { return VisibleMessage::whole(view, audience()); };

Make content_of(ContentKind kind) {
  return [kind](HeaderView& view) {
    const Audience who = audience();
    return VisibleMessage::content(view, {.routes = who.routes.get(), .member = who.members.front()}, kind);
  };
}

std::string run(const Make& make, std::string_view message, std::size_t step) {
  HeaderView view;
  VisibleMessage walker = make(view);
  std::string out;
  for (std::size_t at = 0; at < message.size(); at += step) {
    feed(walker, message.substr(at, step), out);
    if (at + step < message.size()) CHECK(out.size() + walker.held() == at + step);
  }
  finish(walker, out);
  CHECK(walker.held() == 0);
  return out;
}

/// The message in two pieces, a copy of the walker going on with the second one.
std::string run_cut(const Make& make, std::string_view message, std::size_t cut) {
  HeaderView view;
  VisibleMessage walker = make(view);
  std::string out;
  feed(walker, message.substr(0, cut), out);
  VisibleMessage copy = walker;
  std::string copied = out;
  feed(walker, message.substr(cut), out);
  finish(walker, out);
  feed(copy, message.substr(cut), copied);
  finish(copy, copied);
  CHECK(copied == out);
  return out;
}

void check_cuts(const Make& make, std::string_view message, std::string_view expected, std::size_t stride) {
  CHECK(run(make, message, message.size() + 1) == expected);
  CHECK(run(make, message, 1) == expected);
  CHECK(run(make, message, 7) == expected);
  for (std::size_t cut = 0; cut <= message.size(); cut += stride) {
    const std::string got = run_cut(make, message, cut);
    if (got != expected) {
      INFO("cut at " << cut);
      CHECK(got == expected);
      return;
    }
  }
}

}  // namespace test

HeaderView::HeaderView() : state_(std::make_unique<State>()) {}
HeaderView::~HeaderView() = default;

unsigned HeaderView::show(const Viewer& viewer, BlockKind kind, std::string_view block, std::string& out,
                          std::vector<PhantomWrite>& fresh, ContentFields* content) {
  if (content != nullptr) *content = content_fields(block);
  out += test::stand_in(kind, block);
  if (test::broken_show) out += "x";
  fresh.push_back({viewer.member, "phantom", "somebody@corp.example"});
  return 0;
}

/// Ordinary is what has no bare LF and is not broken.
std::size_t HeaderView::show_front(const Viewer& viewer, BlockKind kind, std::string_view text,
                                   std::string& out, std::vector<PhantomWrite>& fresh,
                                   ContentFields& content) {
  std::size_t size = 0;
  for (bool is_empty_line = false; !is_empty_line;) {
    const std::size_t end = text.find('\n', size);
    if (end == std::string_view::npos || end == 0 || text[end - 1] != '\r' || test::broken_show) return 0;
    is_empty_line = end == size + 1;
    size = end + 1;
  }
  const std::string_view block = text.substr(0, size);
  if (choose_viewer(*viewer.routes, {&viewer.member, 1}, block).own) return 0;
  if (block.size() == 2) {
    out += block;
  } else {
    show(viewer, kind, block, out, fresh, &content);
  }
  return size;
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

std::optional<Viewer> viewer_from_front(const RouteTable& routes, std::span<const Member* const> members,
                                        std::string_view front) {
  return choose_viewer(routes, members, front);
}

}  // namespace kage::mapping
