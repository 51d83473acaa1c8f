// The routes in memory: lookups, defaults, and what cannot be a table.
#include <catch2/catch.hpp>

#include "mapping/routes/table.h"

using namespace kage;
using namespace kage::mapping;

namespace {

message::Address parse(std::string_view text) {
  return message::parse_address(text).value();
}

AddressSpec address(std::string_view text) {
  AddressSpec spec;
  spec.address = parse(text);
  return spec;
}

RouteTable::Row row(MemberId id, std::string public_address, std::string_view mailbox,
                    std::string login = {}) {
  MemberSpec spec;
  spec.mailbox = parse(mailbox);
  spec.login = std::move(login);
  return {id, MemberKeys(std::string(32, static_cast<char>('a' + id % 26))), std::move(public_address),
          std::move(spec)};
}

/// Rows cannot be copied, so no list of them can be written in braces.
template <class... Rows>
std::vector<RouteTable::Row> rows(Rows... each) {
  std::vector<RouteTable::Row> out;
  (out.push_back(std::move(each)), ...);
  return out;
}

Result<Routes> build(std::vector<DomainSpec> domains, std::vector<AddressSpec> addresses,
                     std::vector<RouteTable::Row> rows) {
  return RouteTable::build(std::move(domains), std::move(addresses), std::move(rows),
                           std::make_shared<const MasterKeys>(std::string(32, 'm')), 7);
}

}  // namespace

TEST_CASE("routes are found by canonical form") {
  const std::string office = parse("office@学校.example").canonical();
  const Routes routes = build({{"School.Example", ""}, {"学校.example", "phantom.example"}},
                              {address("PTA@School.Example"), address("office@学校.example")},
                              rows(row(1, "pta@school.example", "Officer@Gmail.example"),
                                   row(2, "pta@school.example", "taro@docomo.example", "Taro"),
                                   row(3, office, "officer@gmail.example")))
                            .value();
  CHECK(office.starts_with("office@xn--"));
  CHECK(routes->generation() == 7);
  CHECK(routes->member_count() == 3);

  const PublicAddress* pta = routes->find_address("pta@school.example");
  REQUIRE(pta != nullptr);
  CHECK(pta->members.size() == 2);
  CHECK(pta->members[0]->address == pta);
  CHECK(pta->domain->phantom_domain == "p.school.example");
  CHECK(routes->find_address("PTA@school.example") == nullptr);
  CHECK(routes->find_address(office)->domain->phantom_domain == "phantom.example");

  CHECK(routes->find_member(2)->mailbox_canonical == "taro@docomo.example");
  CHECK(routes->find_member(0) == nullptr);
  CHECK(routes->find_mailbox("officer@gmail.example").size() == 2);
  CHECK(routes->find_mailbox("nobody@gmail.example").empty());

  CHECK(routes->find_public_domain("school.example") != nullptr);
  CHECK(routes->find_public_domain("p.school.example") == nullptr);
  CHECK(routes->find_phantom_domain("p.school.example") != nullptr);
  CHECK(routes->find_phantom_domain("school.example") == nullptr);
}

TEST_CASE("a login is the mailbox unless a member has another") {
  const Routes routes = build({{"a.example", ""}}, {address("x@a.example"), address("y@a.example")},
                              rows(row(1, "x@a.example", "Officer@gmail.example"),
                                   row(2, "y@a.example", "officer@gmail.example"),
                                   row(3, "y@a.example", "taro@docomo.example", "Taro"),
                                   row(4, "x@a.example", "hanako@docomo.example", "Hanako@Corp.Example")))
                            .value();
  CHECK(routes->find_login("OFFICER@GMAIL.EXAMPLE").size() == 2);
  CHECK(routes->find_login("\"officer\"@gmail.example").size() == 2);
  CHECK(routes->find_login("tARO").size() == 1);
  CHECK(routes->find_login("taro@docomo.example").empty());
  CHECK(routes->find_login("hanako@corp.example").size() == 1);
  CHECK(routes->find_login("").empty());
  CHECK(routes->find_login("@").empty());
}

TEST_CASE("what does not fit together is no table, and the reason names nobody") {
  const std::vector<DomainSpec> domain = {{"a.example", ""}};
  const std::vector<AddressSpec> one = {address("x@a.example")};
  struct Case {
    std::string_view reason;
    Result<Routes> result;
  };
  const std::vector<Case> cases = {
      {"a public domain is not a domain name", build({{"bad domain", ""}}, {}, {})},
      {"a phantom domain is not a domain name", build({{"a.example", "-bad-.."}}, {}, {})},
      {"a public domain appears twice", build({{"a.example", ""}, {"A.example", "q.example"}}, {}, {})},
      {"a phantom domain appears twice",
       build({{"a.example", "q.example"}, {"b.example", "q.example"}}, {}, {})},
      {"a phantom domain is also a public domain",
       build({{"a.example", ""}, {"p.a.example", "r.example"}}, {}, {})},
      {"a public address has no domain entry", build(domain, {address("x@b.example")}, {})},
      {"a public address appears twice", build(domain, {address("x@a.example"), address("X@a.example")}, {})},
      {"a member's public address is not there",
       build(domain, one, rows(row(1, "y@a.example", "m@m.example")))},
      {"a mailbox appears twice behind one public address",
       build(domain, one,
             rows(row(1, "x@a.example", "m@m.example"), row(2, "x@a.example", "\"M\"@m.example")))},
      {"two members are one",
       build(domain, one, rows(row(1, "x@a.example", "m@m.example"), row(1, "x@a.example", "n@m.example")))},
      {"a member has no identity", build(domain, one, rows(row(0, "x@a.example", "m@m.example")))},
      {"a member's mailbox is an address of this gateway",
       build(domain, one, rows(row(1, "x@a.example", "X@a.example")))},
      {"a member's mailbox is an address of this gateway",
       build(domain, one, rows(row(1, "x@a.example", "whoever@p.a.example")))},
  };
  for (const auto& [reason, result] : cases) {
    INFO(reason);
    REQUIRE_FALSE(result);
    CHECK(result.error().code == Errc::invalid);
    CHECK(result.error().detail == reason);
  }
}
