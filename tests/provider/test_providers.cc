// Which provider a login has, and the words of an IMAP client.
#include <catch2/catch.hpp>

#include "provider/imap_text.h"
#include "provider/providers.h"

using namespace kage;
using namespace kage::provider;

namespace {

struct Person {
  std::string mailbox, login, provider;
};

mapping::Routes routes_of(std::vector<Person> people) {
  std::vector<mapping::AddressSpec> addresses;
  std::vector<mapping::RouteTable::Row> rows;
  for (Person& person : people) {
    // In the order of their public addresses, as find_login() has them.
    const std::string address = "a" + std::to_string(rows.size()) + "@school.example";
    addresses.emplace_back().address = message::parse_address(address).value();
    mapping::MemberSpec spec;
    spec.mailbox = message::parse_address(person.mailbox).value();
    spec.login = std::move(person.login);
    spec.provider = std::move(person.provider);
    rows.push_back({rows.size() + 1, mapping::MemberKeys(std::string(32, 'k')), address, std::move(spec)});
  }
  return mapping::RouteTable::build({{"school.example", ""}}, std::move(addresses), std::move(rows),
                                    std::make_shared<const mapping::MasterKeys>(std::string(32, 'm')), 1)
      .value();
}

struct World {
  World() : providers(make()) {}
  static std::vector<ProviderOptions> make() {
    std::vector<ProviderOptions> out(2);
    out[0].name = "docomo";
    out[0].domains = {"docomo.example"};
    out[1].name = "gmail";
    out[1].domains = {"gmail.example", "googlemail.example"};
    return out;
  }
  std::string choose(std::vector<Person> people, std::string_view login) const {
    const auto* found = providers.choose(*routes_of(std::move(people)), login);
    return found == nullptr ? "none" : found->name;
  }
  Providers providers;
};

}  // namespace

TEST_CASE("the provider of a login: named by the routes, else by its domain, else by the mailbox's") {
  const World world;
  CHECK(world.choose({{"x@gmail.example", "", ""}}, "X@GMail.example") == "gmail");
  CHECK(world.choose({{"x@gmail.example", "", "docomo"}}, "x@gmail.example") == "docomo");
  CHECK(world.choose({{"x@gmail.example", "treasurer", ""}}, "Treasurer") == "gmail");
  CHECK(world.choose({{"x@gmail.example", "x@docomo.example", ""}}, "x@docomo.example") == "docomo");
  CHECK(world.choose({{"x@gmail.example", "t", ""}, {"y@gmail.example", "t", "docomo"}}, "t") == "docomo");
  CHECK(world.choose({{"x@corp.example", "", ""}}, "x@corp.example") == "none");
  CHECK(world.choose({{"x@gmail.example", "", "gone"}}, "x@gmail.example") == "none");
  CHECK(world.choose({{"x@gmail.example", "", ""}}, "y@gmail.example") == "none");
  CHECK(world.choose({{"x@gmail.example", "t", ""}}, "x@gmail.example") == "none");
}

TEST_CASE("how long a refusal takes follows the provider of the login's domain") {
  const World world;
  const auto routes = routes_of({{"x@gmail.example", "", ""}});
  const net::Millis guess = world.providers.refusal_time("nobody@gmail.example", Service::imap);
  world.providers.refused(*world.providers.choose(*routes, "x@gmail.example"), Service::imap, guess * 5);
  CHECK(world.providers.refusal_time("nobody@googlemail.example", Service::imap) == guess * 2);
  CHECK(world.providers.refusal_time("nobody@gmail.example", Service::pop3) == guess);
  CHECK(world.providers.refusal_time("nobody@docomo.example", Service::imap) == guess);
  CHECK(world.providers.refusal_time("nobody@corp.example", Service::imap) == guess);  // as long as the first
  CHECK(world.providers.has_domain_of("nobody@gmail.example"));
  CHECK_FALSE(world.providers.has_domain_of("nobody@corp.example"));
  CHECK_FALSE(world.providers.has_domain_of("nobody"));
}

TEST_CASE("IMAP strings and capabilities") {
  CHECK(imap_quoted(R"(a"b\c)") == R"("a\"b\\c")");
  CHECK(is_imap_quotable("a b{}"));
  CHECK_FALSE(is_imap_quotable("a\r\nb"));
  CHECK_FALSE(is_imap_quotable("\xc3\xa9"));
  CHECK(normal_capabilities("a  b\tc") == " A B C ");
}
