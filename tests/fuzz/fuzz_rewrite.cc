// Rewriting of any header block: what comes out is well-formed, and every address in it is one that may be
// there. The block is looked at again with the scanner that rewriting itself uses.
#include <algorithm>
#include <string>

#include "mapping/rewrite/rewrite.h"
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
    result.add("open@school.example", "Open", {"open@home.example"}, NamePolicy::keep, RecipientPolicy::open);
    result.build();
    return result;
  }();
  return made;
}

/// Whether an address may be shown: ours, or one that this copy is for.
void check(const std::string& out, std::initializer_list<std::string_view> allowed) {
  const std::string wrong = test::malformed(out);
  require(wrong.empty(), wrong.c_str());
  const auto again = ParsedHeader::parse(out, kNoLimits);
  if (!again) return;
  for (const ParsedHeader::Found& found : again->addresses()) {
    // "phantom@p.school.example.pdf" is a file name.
    const bool ours = found.canonical.find("@school.example") != std::string::npos ||
                      found.canonical.find("@p.school.example") != std::string::npos;
    // A stand-in beside an '@' that was alone before: read with more care than the original was.
    if (found.canonical == "unreadable@invalid") continue;
    const bool may = ours || std::ranges::find(allowed, found.canonical) != allowed.end();
    require(may, may ? "" : ("a foreign address is left: " + found.canonical + " in\n" + out).c_str());
  }
}

void check_inward(const ParsedHeader& header) {
  for (const MemberId member : {1U, 2U, 3U}) {
    const Member& to = world().member(member);
    const PhantomMap phantoms = derive_phantoms(header, world().routes(), to, std::nullopt);
    const std::string out = rewrite_inward(header, {.routes = world().routes(),
                                                    .member = to,
                                                    .phantoms = phantoms,
                                                    .envelope_from = std::nullopt,
                                                    .received = "by mx.school.example; now",
                                                    .message_id = "made@p.school.example"});
    check(out, {to.mailbox_canonical});
  }
}

void check_outward(const ParsedHeader& header) {
  const auto alice = test::address("alice@corp.example");
  const auto bob = test::address("bob@work.example");
  for (const MemberId member : {1U, 3U}) {
    const Member& from = world().member(member);
    const std::string phantom = phantom_local(from, alice.canonical());
    const std::unordered_map<std::string, kage::message::Address> resolved = {{phantom, alice}};
    const std::vector<std::string> recipients = {alice.canonical(), bob.canonical()};
    for (const auto& to : {alice, bob}) {
      const std::string out =
          rewrite_outward(header, {.routes = world().routes(),
                                   .member = from,
                                   .correspondent = to,
                                   .phantom = to.spelling == alice.spelling ? phantom : "",
                                   .resolved = resolved,
                                   .recipients = recipients,
                                   .several = true,
                                   .received = "by mx.school.example; now",
                                   .message_id = "made@school.example"});
      if (from.address->spec.recipients == RecipientPolicy::open) {
        check(out, {alice.spelling, bob.spelling});
      } else {
        check(out, {to.spelling});
      }
    }
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto header = ParsedHeader::parse(std::string(kage::fuzz::text_of(data, size)));
  if (!header) return 0;
  (void)header->identity();
  (void)header->author();
  (void)is_loop(*header, world().routes());
  check_inward(*header);
  check_outward(*header);
  return 0;
}
