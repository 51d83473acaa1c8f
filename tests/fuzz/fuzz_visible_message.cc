// The walker over any message: as many octets and lines as came in, the same in whatever cuts, also when a
// copy goes on in its place. The first octets of the input choose what is read and where it is cut.
#include <algorithm>
#include <string>

#include "mapping/visible/message.h"
#include "tests/fuzz/fuzz.h"
#include "tests/mapping/rewrite_world.h"

namespace {

using kage::fuzz::require;
using namespace kage::mapping;

const test::World& world() {
  static const test::World made =
      test::World().add("pta@school.example", "PTA", {"officer@home.example"}).build();
  return made;
}

VisibleMessage make(HeaderView& view, unsigned what) {
  const Audience audience{.routes = Routes(Routes(), &world().routes()), .members = {&world().member(1)}};
  if (what % 8 < 2) return VisibleMessage::whole(view, audience);
  const Viewer viewer{.routes = audience.routes.get(), .member = audience.members.front()};
  ContentKind kind;
  kind.kind = static_cast<ContentKind::Kind>(what % 8 - 1);
  kind.boundary = "b";
  kind.digest = what % 16 > 8;
  if (what % 8 == 7) {
    kind.kind = ContentKind::Kind::leaf;
    kind.html = true;
    kind.encoding = static_cast<ContentKind::Encoding>(what / 8 % 3);
  }
  return VisibleMessage::content(view, viewer, kind);
}

void feed(VisibleMessage& walker, std::string_view piece, std::string& out) {
  const std::string copy(piece);
  std::string_view input = copy;
  while (!input.empty()) {
    const std::string_view shown = walker.next(input);
    require(!shown.empty() || input.empty(), "an empty result takes all of the input");
    out += shown;
  }
}

void finish(VisibleMessage& walker, std::string& out) {
  for (auto shown = walker.finish(); !shown.empty(); shown = walker.finish()) out += shown;
  require(walker.held() == 0, "nothing is held at the end");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  static HeaderView view;
  const std::string_view message = kage::fuzz::text_of(data + 2, size - 2);
  std::string expected;
  VisibleMessage at_once = make(view, data[0]);
  feed(at_once, message, expected);
  finish(at_once, expected);
  require(expected.size() == message.size(), "octets");
  require(std::ranges::count(expected, '\n') == std::ranges::count(message, '\n'), "lines");

  const std::size_t step = data[1] % 64U + 1;
  std::string out;
  VisibleMessage walker = make(view, data[0]);
  for (std::size_t at = 0; at < message.size(); at += step) {
    feed(walker, message.substr(at, step), out);
    require(out.size() + walker.held() == std::min(at + step, message.size()), "held");
    if (at / step % 8 == 3) walker = VisibleMessage(walker);
  }
  finish(walker, out);
  require(out == expected, "cuts change nothing");
  return 0;
}
