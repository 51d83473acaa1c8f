// The body of a delivery report as any mail system may write it: what is read is bounded and well formed, and
// none of its words is among those that the member gets.
#include <algorithm>
#include <string>

#include "base/text.h"
#include "submission/bounce_report.h"
#include "tests/fuzz/fuzz.h"
#include "tests/mapping/rewrite_world.h"

namespace {

using kage::fuzz::require;
using namespace kage::submission;
namespace test = kage::mapping::test;

constexpr std::string_view kPhantoms = "p.school.example";

const test::World& world() {
  static const test::World made =
      test::World().add("pta@school.example", "PTA", {"officer@home.example"}).build();
  return made;
}

void check_copies(const BounceReport& report) {
  require(report.copies.size() <= 20, "copies are bounded");
  require(report.mentioned.size() <= 20, "mentions are bounded");
  require(report.copies.empty() || report.mentioned.empty(), "text is read where nothing else can be");
  for (const BounceReport::Copy& copy : report.copies) {
    require(!copy.recipient.local.empty() && !copy.recipient.domain.empty(), "a recipient is an address");
    require(copy.status.size() >= 5 && copy.status.size() <= 9, "a status is short");
    require(copy.status.starts_with("4.") || copy.status.starts_with("5."), "a status is of a failure");
    require(std::ranges::all_of(copy.status, [](char c) { return kage::is_digit(c) || c == '.'; }),
            "a status is numbers");
  }
}

/// Lines that come later belong to the last copy, or add others.
void check_prefix(std::string_view body, const BounceReport& all) {
  const std::size_t end = body.rfind('\n', body.size() / 2);
  if (end == std::string_view::npos) return;
  const BounceReport first = read_bounce_report(body.substr(0, end + 1));
  require(first.copies.size() <= all.copies.size() + 1, "later lines take no copy but the last away");
  for (std::size_t i = 0; i + 1 < first.copies.size(); ++i) {
    require(first.copies[i].recipient.spelling == all.copies[i].recipient.spelling, "recipients stay");
    require(first.copies[i].status == all.copies[i].status, "statuses stay");
    require(first.copies[i].delayed == all.copies[i].delayed, "actions stay");
  }
}

void check_letter(const BounceReport& report) {
  std::string encoded;
  std::string_view rest;
  const std::string body = bounce_body(report, world().member(1));
  for (rest = body; !rest.empty();) {
    const std::size_t end = rest.find("\r\n");
    require(end != std::string_view::npos && end <= 76, "lines are those of base64");
    encoded += rest.substr(0, end);
    rest.remove_prefix(end + 2);
  }
  const auto text = kage::base64_decode(encoded);
  require(text.has_value(), "the letter is base64");
  std::size_t addresses = 0;
  for (std::size_t at = text->find('@'); at != std::string::npos; at = text->find('@', at + 1)) {
    require(std::string_view(*text).substr(at + 1).starts_with(kPhantoms), "addresses are phantoms");
    ++addresses;
  }
  require(addresses == report.copies.size() + report.mentioned.size(), "one for each copy");
  const std::size_t mentions = report.mentioned.empty() ? 0 : 3 + report.mentioned.size();
  const auto lines = static_cast<std::size_t>(std::ranges::count(*text, '\n'));
  require(lines == 4 + 3 * report.copies.size() + mentions, "nothing adds lines");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 2 * kBounceRead) return 0;
  const std::string body(kage::fuzz::text_of(data, size));
  const BounceReport report = read_bounce_report(body);
  check_copies(report);
  check_prefix(std::string_view(body).substr(0, kBounceRead), report);
  check_letter(report);
  return 0;
}
