// What good routes files become, and that both formats say the same.
#include "app/routes_file.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <sstream>

#include "base/text.h"
#include "tests/app/files.h"
#include "tests/temporary_folder.h"

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
    rows.push_back({rows.size() + 1, mapping::MemberKeys(std::string(32, 'k')), "a@x.example", member});
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

TEST_CASE("cells that a spreadsheet leaves out at the end of a row are empty") {
  // Excel looks at sixteen rows at a time: with nothing in the last columns there, it writes no commas.
  std::string text = "address,display_name,mailbox,name,share_replies\r\n";
  for (int i = 0; i < 25; ++i) {
    const std::string begin = "pta@school.example,";
    const std::string mailbox = "m" + std::to_string(i) + "@gmail.example";
    text +=
        begin + (i == 0 ? "PTA," + mailbox + ",Sato,TRUE" : "," + mailbox + (i < 16 ? ",," : "")) + "\r\n";
  }
  Problems problems("x.csv");
  const auto file = parse_routes(text, RoutesFormat::csv, {}, problems);
  INFO(problems.text());
  REQUIRE(file);
  REQUIRE(file->spec.addresses[0].members.size() == 25);
  CHECK(file->spec.addresses[0].share_replies == mapping::SharePolicy::others);
  CHECK(file->spec.addresses[0].members[24].name.empty());
}

TEST_CASE("a spreadsheet that was not saved as CSV is called that") {
  const test::TemporaryFolder folder;
  for (const char* name : {"routes.xlsx", "routes.csv", "routes.toml", "ROUTES.XLS"}) {
    const std::string path = folder / name;
    std::ofstream(path) << (lower(name).ends_with(".xls") ? "\xD0\xCF" : "PK\x03\x04") << "binary";
    Problems problems(name);
    CHECK_FALSE(load_routes_file(path, {}, problems));
    CHECK(problems.text() ==
          std::string(name) +
              ":1: file: found a spreadsheet; allowed: CSV; in the spreadsheet save as \"CSV "
              "UTF-8\"");
  }
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

namespace {

/// What stands in the page's first ```LANGUAGE block.
std::string block_of(const std::string& page, const std::string& language) {
  const std::string begin = "```" + language + "\n";
  const std::size_t at = page.find(begin);
  REQUIRE(at != std::string::npos);
  return page.substr(at + begin.size(), page.find("```\n", at + begin.size()) - at - begin.size());
}

/// The names in one column of the page's tables below `heading`, up to the next one.
std::vector<std::string> names_below(const std::string& page, const std::string& heading, int column) {
  std::vector<std::string> names;
  const std::size_t at = page.find("\n## " + heading + "\n");
  REQUIRE(at != std::string::npos);
  std::istringstream lines(page.substr(at + 1, page.find("\n## ", at + 1) - at));
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("| `")) continue;
    std::size_t cell = 0;
    for (int i = 0; i < column; ++i) cell = line.find(" | ", cell) + 1;
    const std::string text = line.substr(cell + 2, line.find(" |", cell + 2) - cell - 2);
    if (text.starts_with('`')) names.push_back(text.substr(1, text.size() - 2));
  }
  return names;
}

/// The names that a refusal lists after `before`.
std::vector<std::string> listed(const std::string& text, RoutesFormat format, const std::string& before) {
  Problems problems("x");
  CHECK_FALSE(parse_routes(text, format, {}, problems));
  const std::string found = problems.text();
  std::size_t at = found.find(before);
  INFO(found);
  REQUIRE(at != std::string::npos);
  std::istringstream rest(found.substr(at + before.size(), found.find('\n', at) - at - before.size()));
  std::vector<std::string> names;
  for (std::string name; std::getline(rest, name, ',');)
    names.push_back(name.substr(name.find_first_not_of(' ')));
  std::ranges::sort(names);
  return names;
}

std::vector<std::string> sorted(std::vector<std::string> names) {
  std::ranges::sort(names);
  return names;
}

}  // namespace

TEST_CASE("docs/routes.md has every key and every column, and its examples can be read") {
  const std::string page = routes_markdown();
  Problems problems("example");
  const auto toml = parse_routes(block_of(page, "toml"), RoutesFormat::toml, {"gmail"}, problems);
  const auto csv = parse_routes(block_of(page, "csv"), RoutesFormat::csv, {"gmail"}, problems);
  INFO(problems.text());
  REQUIRE(toml);
  REQUIRE(csv);
  CHECK(toml->spec.domains == csv->spec.domains);
  CHECK(toml->spec.addresses[0].display_name == csv->spec.addresses[0].display_name);
  CHECK(toml->spec.addresses[0].share_replies == csv->spec.addresses[0].share_replies);
  CHECK(toml->spec.addresses[0].members[0] == csv->spec.addresses[0].members[0]);

  auto address = names_below(page, "`[[address]]`", 0);
  for (const std::string& policy : names_below(page, "Policies", 0)) address.push_back(policy);
  address.emplace_back("member");
  const std::string member = "[[address]]\n[[address.member]]\nqqqqqqqqqqq = 1\n";
  CHECK(sorted(address) == listed("[[address]]\nqqqqqqqqqqq = 1\n", RoutesFormat::toml, "one of "));
  CHECK(sorted(names_below(page, "`[[address.member]]`", 0)) ==
        listed(member, RoutesFormat::toml, "one of "));
  CHECK(sorted(names_below(page, "`[[domain]]`", 0)) ==
        listed("[[domain]]\nqqqqqqqqqqq = 1\n", RoutesFormat::toml, "one of "));

  std::vector<std::string> columns;
  for (const char* table : {"`[[address]]`", "`[[address.member]]`", "`[[domain]]`", "Policies"}) {
    for (const std::string& column : names_below(page, table, 2)) columns.push_back(column);
  }
  CHECK(sorted(columns) == listed("qqqqqqqqqqq\n", RoutesFormat::csv, "a header row of "));
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
