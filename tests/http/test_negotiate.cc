// Fields that say what a caller wants, from where, and who it is.
#include <catch2/catch.hpp>

#include "http/negotiate.h"

namespace kage::http {

TEST_CASE("JSON and Japanese, where they are preferred") {
  CHECK(prefers_json("application/json"));
  CHECK(prefers_json("text/html;q=0.8, application/json ; q=0.81"));
  for (const char* accept : {"", "*/*", "text/html,application/json;q=0.9", "application/json;q=0",
                             "text/html, application/json"}) {
    CHECK_FALSE(prefers_json(accept));
  }
  CHECK(prefers_japanese("ja-JP,ja;q=0.9,en-US;q=0.8"));
  CHECK(prefers_japanese("fr, JA;q=0.1"));
  for (const char* language : {"", "en,ja;q=0.9", "jav", "ja;q=0", "en, ja"})
    CHECK_FALSE(prefers_japanese(language));
}

TEST_CASE("origins of URLs") {
  const auto origin = [](const char* url) { return origin_of_url(url).value_or("-"); };
  CHECK(origin("HTTPS://WWW.School.Example:443/a?b#c") == "https://www.school.example");
  CHECK(origin("http://a.test:8080") == "http://a.test:8080");
  CHECK(origin("http://[2001:db8::1]:81/") == "http://[2001:db8::1]:81");
  for (const char* bad :
       {"//a.test", "https:/a.test", "https://a.test@b.test/", "https://a.test\\@b.test",
        "javascript:alert(1)", "https://", "https://:80", "https://a.test:0", "https://a.test:65536",
        "https://a.test:", "https://a b", "data:https://a.test", "https://[x]/", "https://a.test%2f"}) {
    INFO(bad);
    CHECK_FALSE(origin_of_url(bad));
  }
  CHECK(is_origin("https://a.test"));
  for (const char* other : {"https://a.test/", "https://A.test", "https://a.test:443", "a.test", "*", ""})
    CHECK_FALSE(is_origin(other));
}

TEST_CASE("paths") {
  CHECK(path_behind("/form/a%40b.test?x=%zz", "/form/") == "a@b.test");
  for (const char* bad : {"/forms/a", "/form/%", "/form/%4", "/form/%0a", "/form/%zz"})
    CHECK_FALSE(path_behind(bad, "/form/"));
}

TEST_CASE("the client behind proxies that are trusted") {
  const std::vector<net::Network> proxies = {*net::Network::parse("10.0.0.0/8")};
  const auto ip = [&](const char* peer, std::vector<std::string> fields) {
    Request request;
    for (auto& field : fields) request.fields.emplace_back("x-forwarded-for", std::move(field));
    return client_ip(request, peer, proxies);
  };
  CHECK(ip("192.0.2.1", {"198.51.100.1"}) == "192.0.2.1");
  CHECK(ip("10.0.0.1", {}) == "10.0.0.1");
  CHECK(ip("10.0.0.1", {"203.0.113.9, 198.51.100.1 , 10.0.0.2"}) == "198.51.100.1");
  CHECK(ip("10.0.0.1", {"203.0.113.9", "198.51.100.1"}) == "198.51.100.1");
  CHECK(ip("10.0.0.1", {"198.51.100.1, evil, 10.0.0.2"}) == "10.0.0.2");
}

}  // namespace kage::http
