// Golden cases: golden/NN-name.{in,routes,out,readme}. KAGEMUSHA_UPDATE_GOLDEN=1 writes the .out files anew.
//
// .routes has "key: value" lines:
//   public: Name <address>        a public address; the lines up to the next one belong to it
//   names: keep|hide              recipients: private|open
//   policy anonymize: prefix    … and every other policy of a public address
//   member: mailbox               numbered from 1 over the whole file
//   direction: inward|outward     for: member number, by default 1
//   envelope-from: address        inward
//   phantoms: a@b, c@d            outward: correspondents that were addressed by phantom
//   direct: e@f                   outward: real addresses in the envelope
//   correspondent: a@b            outward: whom the copy is for
// In .in, {{phantom N address}}, {{sealed N id}} and {{sent N id}} stand for what member N sees or shows.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/text.h"
#include "rewrite_world.h"

namespace kage::mapping::test {
namespace {

namespace fs = std::filesystem;

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("cannot read " + path.filename().string());
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    if (const auto part = trim(text.substr(0, comma)); !part.empty()) parts.emplace_back(part);
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return parts;
}

struct Case {
  World world;
  bool inward = true;
  MemberId member = 1;
  std::string envelope_from, correspondent;
  Sent sent;
};

struct PublicLine {
  std::string address, name;
  std::vector<std::string> mailboxes;
  NamePolicy names = NamePolicy::keep;
  RecipientPolicy recipients = RecipientPolicy::private_;
  std::vector<std::pair<std::string, std::string>> policies;
};

void read_line(std::string_view key, std::string_view value, Case& result, std::vector<PublicLine>& publics) {
  if (key == "public") {
    const std::size_t angle = value.find('<');
    publics.push_back({});
    publics.back().name = trim(value.substr(0, angle == std::string_view::npos ? 0 : angle));
    std::string_view address = angle == std::string_view::npos ? value : value.substr(angle + 1);
    publics.back().address = address.substr(0, address.find('>'));
  } else if (key == "names") {
    publics.back().names = value == "hide" ? NamePolicy::hide : NamePolicy::keep;
  } else if (key == "recipients") {
    publics.back().recipients = value == "open" ? RecipientPolicy::open : RecipientPolicy::private_;
  } else if (key.starts_with("policy ")) {
    publics.back().policies.emplace_back(key.substr(7), value);
  } else if (key == "member") {
    publics.back().mailboxes.emplace_back(value);
  } else if (key == "direction") {
    result.inward = value == "inward";
  } else if (key == "for") {
    result.member = *parse_number(value);
  } else if (key == "envelope-from") {
    result.envelope_from = value;
  } else if (key == "phantoms") {
    result.sent.phantoms = split_list(value);
  } else if (key == "direct") {
    result.sent.direct = split_list(value);
  } else if (key == "correspondent") {
    result.correspondent = value;
  } else {
    throw std::runtime_error("unknown key in a .routes file: " + std::string(key));
  }
}

Case read_case(const fs::path& path) {
  Case result;
  std::vector<PublicLine> publics;
  std::istringstream lines(read_file(path));
  for (std::string line; std::getline(lines, line);) {
    if (line.empty()) continue;
    const std::size_t colon = line.find(':');
    read_line(line.substr(0, colon), trim(std::string_view(line).substr(colon + 1)), result, publics);
  }
  for (const PublicLine& line : publics) {
    result.world.add(line.address, line.name, line.mailboxes, line.names, line.recipients);
    for (const auto& [policy, value] : line.policies) result.world.policy(policy, value);
  }
  result.world.build();
  return result;
}

/// Replaces {{verb N text}}.
std::string expanded(const World& world, std::string text) {
  std::size_t at = 0;
  while ((at = text.find("{{", at)) != std::string::npos) {
    const std::size_t end = text.find("}}", at);
    std::istringstream words(text.substr(at + 2, end - at - 2));
    std::string verb, argument;
    MemberId member = 0;
    words >> verb >> member >> argument;
    const std::string value = verb == "phantom"  ? world.phantom(member, argument)
                              : verb == "sealed" ? world.sealed(member, argument)
                                                 : world.sent(member, argument);
    text.replace(at, end + 2 - at, value);
    at += value.size();
  }
  return text;
}

constexpr std::string_view kReceived =
    "by mx.school.example with ESMTPS id 0123456789abcdef; Thu, 01 Jan 2026 04:19:00 +0000";

std::string result_of(const Case& golden, const std::string& block) {
  const ParsedHeader header = parsed(block);
  const Member& member = golden.world.member(golden.member);
  if (!golden.inward) {
    return outward(golden.world, golden.member, block, golden.correspondent, golden.sent);
  }
  std::optional<message::Address> from;
  if (!golden.envelope_from.empty()) from = address(golden.envelope_from);
  const PhantomMap phantoms = derive_phantoms(header, golden.world.routes(), member, from);
  return rewrite_inward(header, {.routes = golden.world.routes(),
                                 .member = member,
                                 .phantoms = phantoms,
                                 .envelope_from = from,
                                 .received = kReceived});
}

}  // namespace

TEST_CASE("golden rewriting cases") {
  const fs::path folder = fs::path(KAGEMUSHA_SOURCE_DIR) / "tests" / "mapping" / "golden";
  const char* const update = std::getenv("KAGEMUSHA_UPDATE_GOLDEN");
  std::vector<fs::path> inputs;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".in") inputs.push_back(entry.path());
  }
  std::ranges::sort(inputs);
  REQUIRE(inputs.size() >= 25);
  for (fs::path path : inputs) {
    INFO(path.stem().string());
    CHECK(fs::exists(path.replace_extension(".readme")));
    const Case golden = read_case(path.replace_extension(".routes"));
    const std::string block = expanded(golden.world, read_file(path.replace_extension(".in")));
    const std::string out = result_of(golden, block);
    CHECK(malformed(out).empty());
    path.replace_extension(".out");
    if (update != nullptr && std::string_view(update) == "1") {
      std::ofstream(path, std::ios::binary) << with_lf(out);
    }
    CHECK(with_lf(out) == read_file(path));
  }
}

}  // namespace kage::mapping::test
