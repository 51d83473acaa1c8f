// What good routes files become, and that both formats say the same.
#include "app/routes_file.h"

#include <catch2/catch.hpp>

#include "tests/app/files.h"

namespace kage::app {

using mapping::NamePolicy;
using mapping::RecipientPolicy;

TEST_CASE("routes in TOML") {
  Problems problems("routes.toml");
  const auto file = load_routes_file((testing::folder("good") / "routes.toml").string(), {"gmail"}, problems);
  INFO(problems.text());
  REQUIRE(file);
  REQUIRE(file->spec.domains.size() == 2);
  CHECK(file->spec.domains[0] == mapping::DomainSpec{"club.example", "p.club.example"});
  CHECK(file->spec.domains[1] == mapping::DomainSpec{"xn--48s290a.example", "p.xn--48s290a.example"});
  REQUIRE(file->spec.addresses.size() == 2);
  const auto& pta = file->spec.addresses[0];
  CHECK(pta.address.canonical() == "pta@xn--48s290a.example");
  CHECK(pta.address.spelling == "pta@xn--48s290a.example");  // what messages show
  CHECK(pta.display_name == "PTA 保護者会");
  CHECK(pta.name == NamePolicy::hide);
  CHECK(pta.recipients == RecipientPolicy::open);
  REQUIRE(pta.members.size() == 2);
  CHECK(pta.members[0].login == "officer");
  CHECK(pta.members[0].password_hash.starts_with("$scrypt$"));
  // contract R4.5
  CHECK(pta.members[1].mailbox.local == "a..b.");
  CHECK(pta.members[1].provider == "gmail");
}

TEST_CASE("routes in CSV") {
  Problems problems("routes.csv");
  const auto file = load_routes_file((testing::folder("good") / "routes.csv").string(), {"gmail"}, problems);
  INFO(problems.text());
  REQUIRE(file);
  REQUIRE(file->spec.domains.size() == 1);
  CHECK(file->spec.domains[0] == mapping::DomainSpec{"school.example", "q.school.example"});
  REQUIRE(file->spec.addresses.size() == 2);
  const auto& pta = file->spec.addresses[0];
  CHECK(pta.display_name == "PTA, \"the\" committee");
  CHECK(pta.name == NamePolicy::hide);
  CHECK(pta.recipients == RecipientPolicy::open);
  REQUIRE(pta.members.size() == 2);
  CHECK(pta.members[0].login == "officer");
  CHECK(pta.members[1].name == "Hanakoさん");
  CHECK(file->spec.addresses[1].members[0].mailbox.local == "a b");
}

TEST_CASE("TOML and CSV of the same routes are the same") {
  Problems problems("x");
  const auto toml = parse_routes(
      "[[address]]\naddress = 'a@x.example'\ndisplay_name = 'A'\n[[address.member]]\nmailbox = "
      "'m@y.example'\nname = 'M'\n",
      RoutesFormat::toml, {}, problems);
  const auto csv = parse_routes("Mailbox,ADDRESS,name,display_name\nm@y.example,a@x.example,M,A\n",
                                RoutesFormat::csv, {}, problems);
  INFO(problems.text());
  REQUIRE(toml);
  REQUIRE(csv);
  CHECK(toml->spec.domains == csv->spec.domains);
  REQUIRE(csv->spec.addresses.size() == 1);
  CHECK(toml->spec.addresses[0].display_name == csv->spec.addresses[0].display_name);
  CHECK(toml->spec.addresses[0].members == csv->spec.addresses[0].members);
}

TEST_CASE("what a spreadsheet has no column for stays as it is") {
  Problems problems("x");
  const auto before = parse_routes(
      "[[domain]]\nname = 'x.example'\nphantom_domain = 'q.x.example'\n"
      "[[address]]\naddress = 'a@x.example'\ndisplay_name = 'A'\nname = 'hide'\ndirect = false\n"
      "[[address.member]]\nmailbox = 'm@y.example'\nname = 'M'\nlogin = 'mm'\nprovider = 'gmail'\n"
      "[[address.member]]\nmailbox = 'gone@y.example'\n",
      RoutesFormat::toml, {"gmail"}, problems);
  INFO(problems.text());
  REQUIRE(before);
  std::vector<mapping::RouteTable::Row> rows;
  for (const auto& member : before->spec.addresses[0].members) {
    rows.push_back({rows.size() + 1, std::string(32, 'k'), "a@x.example", member});
  }
  const auto now =
      mapping::RouteTable::build(before->spec.domains, before->spec.addresses, std::move(rows),
                                 std::make_shared<const mapping::MasterKeys>(std::string(32, 'm')), 1);
  REQUIRE(now);
  const auto after = [&](const std::string& csv) {
    auto file = parse_routes(csv, RoutesFormat::csv, {"gmail"}, problems);
    INFO(problems.text());
    REQUIRE(file);
    return complete(std::move(*file), **now);
  };

  const auto kept = after("address,mailbox\na@x.example,M@y.example\na@x.example,next@y.example\n");
  CHECK(kept.domains == before->spec.domains);
  const auto& address = kept.addresses[0];
  CHECK(address.display_name == "A");
  CHECK(address.name == NamePolicy::hide);
  CHECK_FALSE(address.direct);
  REQUIRE(address.members.size() == 2);
  CHECK(address.members[0].name == "M");
  CHECK(address.members[0].login == "mm");
  CHECK(address.members[0].provider == "gmail");
  CHECK(address.members[1].login.empty());  // who comes has nothing yet

  // A column that is there counts, empty cells too.
  const auto said = after("address,mailbox,direct,login,display_name\na@x.example,m@y.example,,,B\n");
  CHECK(said.addresses[0].direct);
  CHECK(said.addresses[0].name == NamePolicy::hide);
  CHECK(said.addresses[0].display_name == "B");
  CHECK(said.addresses[0].members[0].login.empty());
  CHECK(said.addresses[0].members[0].name == "M");
  const auto other = after("address,mailbox\nb@z.example,m@y.example\n");
  CHECK(other.domains == std::vector{mapping::DomainSpec{"z.example", "p.z.example"}});
  CHECK(other.addresses[0].direct);
}

TEST_CASE("what spreadsheets do to a file is understood") {
  // TRUE for true, ideographic spaces, nameless columns, cells behind the last one, a line end in a value.
  Problems problems("x.csv");
  const auto file = parse_routes(
      "\xEF\xBB\xBF\u3000address,Mailbox ,share_replies,name,,\r\n"
      "pta@school.example,\u3000officer@gmail.com\u3000,TRUE,\u4F50\u85E4\u3000\u82B1\u5B50,,,,\r\n"
      "\u3000,,,,,\r\n,,,,,\r\n"
      "\"pta@school.example\n\",teacher@gmail.com,,,,\r\n",
      RoutesFormat::csv, {}, problems);
  INFO(problems.text());
  REQUIRE(file);
  REQUIRE(file->spec.addresses.size() == 1);
  REQUIRE(file->spec.addresses[0].members.size() == 2);
  CHECK(file->spec.addresses[0].share_replies == mapping::SharePolicy::others);
  CHECK(file->spec.addresses[0].members[0].mailbox.spelling == "officer@gmail.com");
  CHECK(file->spec.addresses[0].members[0].name == "\u4F50\u85E4\u3000\u82B1\u5B50");
}

TEST_CASE("Shift_JIS is read where it is said to be that") {
  const std::string text =
      "address,mailbox,name\r\npta@school.example,officer@gmail.com,\x95\x5C\x8E\xA6\r\n";
  Problems problems("x.csv");
  const auto file = parse_routes(text, RoutesFormat::csv, {}, problems, RoutesEncoding::shift_jis);
  INFO(problems.text());
  REQUIRE(file);
  CHECK(file->spec.addresses[0].members[0].name == "\u8868\u793A");
  Problems wrong("x.csv");
  CHECK_FALSE(parse_routes(text + "\x81", RoutesFormat::csv, {}, wrong, RoutesEncoding::shift_jis));
  CHECK(wrong.text() ==
        "x.csv: row 3, file: found bytes that are not Shift_JIS; allowed: Shift_JIS, as --encoding says");
  Problems unsaid("x.csv");
  CHECK_FALSE(parse_routes(text, RoutesFormat::csv, {}, unsaid));
  CHECK(unsaid.text().find("--encoding shift_jis") != std::string::npos);
}

TEST_CASE("many rows") {
  std::string text = "address,mailbox\n";
  for (int i = 0; i < 20'000; ++i) {
    text += "a" + std::to_string(i / 4) + "@x.example,m" + std::to_string(i) + "@y.example\n";
  }
  Problems problems("x.csv");
  const auto file = parse_routes(text, RoutesFormat::csv, {}, problems);
  INFO(problems.text());
  REQUIRE(file);
  CHECK(file->spec.addresses.size() == 5000);
  CHECK(file->spec.addresses[4999].members.size() == 4);
}

}  // namespace kage::app
