// Looking for addresses in text that strangers write: what it costs, and that it finds the same at any size.
// A loop that is quadratic or worse does not end here before the test's time is up.
#include <catch2/catch.hpp>

#include "base/text.h"
#include "mapping/rewrite/ids.h"
#include "mapping/rewrite/scan.h"
#include "rewrite_world.h"

namespace kage::mapping::test {
namespace {

std::string repeated(std::string_view text, std::size_t count) {
  std::string out;
  out.reserve(text.size() * count);
  for (std::size_t i = 0; i < count; ++i) out += text;
  return out;
}

struct Scanned {
  explicit Scanned(std::string text, Care care = Care::text)
      : scan(scan_decoded(std::move(text), care, index)) {}
  AddressIndex index;
  ScannedText scan;
};

}  // namespace

TEST_CASE("what touches an address is part of it, up to the ends of its word") {
  const Scanned one("see a@b.example@c.example, d@e.example now");
  REQUIRE(one.scan.spans.size() == 2);
  CHECK(one.scan.decoded.substr(one.scan.spans[0].offset, one.scan.spans[0].length) ==
        "a@b.example@c.example");
  CHECK(one.scan.decoded.substr(one.scan.spans[1].offset, one.scan.spans[1].length) == "d@e.example");
  const Scanned two("@a@b.cc@:c@d.ee@ x:f@g.hh@");
  REQUIRE(two.scan.spans.size() == 2);
  CHECK(two.scan.spans[0].offset == 0);
  CHECK(two.scan.spans[0].length == 16);
  CHECK(two.scan.spans[1].offset == 19);
  CHECK(two.scan.spans[1].length == 7);
}

TEST_CASE("addresses without end in one word cost linear time") {
  const std::string text = repeated("a@b.cc@:", 250'000);
  const Scanned scanned(text);
  REQUIRE(scanned.scan.spans.size() == 1);
  CHECK(scanned.scan.spans.front().offset == 0);
  CHECK(scanned.scan.spans.front().length == text.size());
}

TEST_CASE("addresses that are folded at every dot cost linear time") {
  CHECK(Scanned(repeated("a@b. ", 250'000), Care::folded).scan.harmless());
  const Scanned one("a@b" + repeated(". cc", 250'000) + " d", Care::folded);
  REQUIRE(one.scan.spans.size() == 1);
  CHECK(one.scan.spans.front().length == one.scan.decoded.size() - 2);
  CHECK(Scanned(repeated("a@b.cc. d.ee ", 100'000), Care::folded).scan.spans.size() == 100'000);
  CHECK(care_of(repeated("a@b. ", 250'000) + "\r\n c") == Care::folded);
  CHECK(care_of("a@" + repeated(" ", 250'000) + "c\r\n d.") == Care::text);
}

TEST_CASE("a masked Content-ID keeps its size and its signs, and is the same each time") {
  World world = small_world();
  const Member& member = world.member(1);
  CHECK(masked_content_id(member, "part1.ABC@mail.corp.example") == "part1.ABC@b2ee.z6qk.470n55n");
  CHECK(masked_content_id(member, "image001.png@01DA1B2C.3D4E5F60") == "image001.png@01DA1B2C.3D4E5F60");
  CHECK(masked_content_id(member, "plain") == "plain");
}

TEST_CASE("masking a Content-ID costs linear time") {
  World world = small_world();
  const std::string id = "x@" + repeated("mail.corp.example.", 14'000);
  const std::string masked = masked_content_id(world.member(1), id);
  REQUIRE(masked.size() == id.size());
  CHECK(masked.starts_with("x@"));
  CHECK(masked.find("corp") == std::string::npos);
  // No piece of it comes again.
  CHECK(masked.find(masked.substr(2, 60), 3) == std::string::npos);
  CHECK(masked.find(masked.substr(62, 60), 63) == std::string::npos);
}

}  // namespace kage::mapping::test
