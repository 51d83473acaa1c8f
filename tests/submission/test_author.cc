// The verdict on an author: a table of header blocks, and the parser cut at every octet.
#include <catch2/catch.hpp>

#include "submission/auth_results.h"
#include "submission/author.h"

using namespace kage::submission;

namespace {

const std::vector<std::string> kIds = {"front.example", "mx.school.example"};

bool vouched(std::string_view block, std::string_view domain = "gmail.example") {
  const auto fields = kage::message::tokenize(block);
  return fields && results_vouch(*fields, kIds, domain);
}

struct Case {
  std::string_view what;
  std::string_view block;
  bool vouched;
};

const Case kCases[] = {
    {"no field", "From: a@gmail.example\r\n", false},
    {"DMARC pass", "Authentication-Results: front.example; dmarc=pass header.from=gmail.example\r\n", true},
    {"in capitals", "AUTHENTICATION-RESULTS: Front.Example; DMARC=Pass Header.From=GMAIL.example\r\n", true},
    {"with version and comments",
     "Authentication-Results: (a (nested) one) front.example (b) 1 (c);\r\n dmarc/1 (d) = (e) pass (p=none; "
     "dmarc=fail)\r\n header (f) . (g) from (h) = gmail.example (i)\r\n",
     true},
    {"another authserv-id", "Authentication-Results: evil.example; dmarc=pass header.from=gmail.example\r\n",
     false},
    {"the id as a suffix",
     "Authentication-Results: x.front.example; dmarc=pass header.from=gmail.example\r\n", false},
    {"no authserv-id", "Authentication-Results: dmarc=pass header.from=gmail.example\r\n", false},
    {"quoted id", "Authentication-Results: \"front.example\"; dmarc=pass header.from=gmail.example\r\n",
     true},
    {"DMARC for another domain",
     "Authentication-Results: front.example; dmarc=pass header.from=evil.example\r\n", false},
    {"DMARC for a subdomain is another domain",
     "Authentication-Results: front.example; dmarc=pass header.from=a.gmail.example\r\n", false},
    {"DMARC without a domain", "Authentication-Results: front.example; dmarc=pass\r\n", false},
    {"none", "Authentication-Results: front.example; none\r\n", false},
    {"DMARC fail outweighs SPF pass",
     "Authentication-Results: front.example; spf=pass smtp.mailfrom=gmail.example; dmarc=fail "
     "header.from=gmail.example\r\n",
     false},
    {"DMARC fail in another field of ours",
     "Authentication-Results: front.example; dmarc=pass header.from=gmail.example\r\n"
     "Authentication-Results: mx.school.example; dmarc=fail header.from=gmail.example\r\n",
     false},
    {"a foreign DMARC fail means nothing",
     "Authentication-Results: evil.example; dmarc=fail header.from=gmail.example\r\n"
     "Authentication-Results: front.example; dmarc=pass header.from=gmail.example\r\n",
     true},
    {"contradicting DMARC results",
     "Authentication-Results: front.example; dmarc=none header.from=gmail.example\r\n"
     "Authentication-Results: front.example; dmarc=pass header.from=gmail.example\r\n",
     false},
    {"SPF, domain alone", "Authentication-Results: front.example; spf=pass smtp.mailfrom=gmail.example\r\n",
     true},
    {"SPF, address",
     "Authentication-Results: front.example; spf=pass smtp.mailfrom=prvs=1=a@gmail.example\r\n", true},
    {"SPF, address in brackets",
     "Authentication-Results: front.example; spf=pass smtp.mailfrom=<a@gmail.example>\r\n", true},
    {"SPF, subdomain is aligned",
     "Authentication-Results: front.example; spf=pass smtp.mailfrom=bounce.mail.gmail.example\r\n", true},
    {"SPF of another domain",
     "Authentication-Results: front.example; spf=pass smtp.mailfrom=a@evil.example\r\n", false},
    {"SPF of HELO only", "Authentication-Results: front.example; spf=pass smtp.helo=gmail.example\r\n",
     false},
    {"SPF softfail", "Authentication-Results: front.example; spf=softfail smtp.mailfrom=gmail.example\r\n",
     false},
    {"SPF of the null sender", "Authentication-Results: front.example; spf=pass smtp.mailfrom=\r\n", false},
    {"DKIM, d=", "Authentication-Results: front.example; dkim=pass (2048-bit key) header.d=gmail.example\r\n",
     true},
    {"DKIM, i= without d=",
     "Authentication-Results: front.example; dkim=pass header.i=@mail.gmail.example\r\n", true},
    {"DKIM, d= counts before i=",
     "Authentication-Results: front.example; dkim=pass header.i=@gmail.example header.d=evil.example\r\n",
     false},
    {"DKIM, one of several",
     "Authentication-Results: front.example;\r\n dkim=fail reason=\"bad; dkim=pass header.d=gmail.example\" "
     "header.d=gmail.example;\r\n dkim=pass header.d=gmail.example header.s=s1 header.b=\"ab/c+\"\r\n",
     true},
    {"a result inside a quoted string",
     "Authentication-Results: front.example; spf=pass smtp.mailfrom=\"x; dkim=pass "
     "header.d=gmail.example\"@evil.example\r\n",
     false},
    {"a result inside a comment",
     "Authentication-Results: front.example; spf=fail (x; dmarc=pass header.from=gmail.example) "
     "smtp.mailfrom=evil.example\r\n",
     false},
    {"a comment that ends too early makes the field worthless",
     "Authentication-Results: front.example; spf=fail (domain of a)b@evil.example; dkim=pass "
     "header.d=gmail.example)\r\n",
     false},
    {"a comment without end",
     "Authentication-Results: front.example; dmarc=pass header.from=gmail.example (oh\r\n", false},
    {"as Exchange writes it",
     "Authentication-Results: front.example; spf=pass (sender IP is 192.0.2.1)\r\n "
     "smtp.mailfrom=gmail.example; "
     "dkim=none (message not signed)\r\n header.d=none;dmarc=bestguesspass action=none\r\n "
     "header.from=gmail.example;compauth=pass reason=109\r\n",
     true},
    {"forged, below the front's Received and the next",
     "Received: from a by front.example; Sun, 22 Nov 2026 00:00:00 +0000\r\n"
     "Received: from b by a; Sun, 22 Nov 2026 00:00:00 +0000\r\n"
     "Authentication-Results: front.example; dmarc=pass header.from=gmail.example\r\n",
     false},
    {"between the first two Received",
     "Received: from a by front.example; Sun, 22 Nov 2026 00:00:00 +0000\r\n"
     "Authentication-Results: front.example; dmarc=pass header.from=gmail.example\r\n"
     "Received: from b by a; Sun, 22 Nov 2026 00:00:00 +0000\r\n",
     true},
};

SessionOptions options_with_front() {
  SessionOptions options;
  options.authserv_ids = kIds;
  options.fronts.push_back(kage::net::Network::parse("192.0.2.0/24").value());
  options.trusted.push_back({"carrier", {kage::net::Network::parse("198.51.100.0/24").value()}});
  return options;
}

}  // namespace

TEST_CASE("verdicts") {
  for (const Case& each : kCases) {
    INFO(each.what);
    CHECK(vouched(each.block) == each.vouched);
  }
}

TEST_CASE("alignment follows the public suffix list") {
  CHECK(aligned("gmail.com", "gmail.com"));
  CHECK(aligned("a.b.example.co.jp", "example.co.jp"));
  CHECK(aligned("example.co.jp", "mail.example.co.jp"));
  CHECK_FALSE(aligned("other.co.jp", "example.co.jp"));
  CHECK_FALSE(aligned("co.jp", "example.co.jp"));
  CHECK_FALSE(aligned("jp", "example.jp"));
  CHECK_FALSE(aligned("", "example.jp"));
  CHECK_FALSE(aligned("example.jp", ""));
  CHECK_FALSE(aligned("notexample.jp", "example.jp"));
}

TEST_CASE("only the system in front and trusted networks count") {
  const auto options = options_with_front();
  const auto fields = kage::message::tokenize(
                          "Authentication-Results: front.example; dmarc=pass header.from=gmail.example\r\n")
                          .value();
  const auto ask = [&](std::string ip) {
    return is_vouched(fields, {std::move(ip), 25}, "gmail.example", options);
  };
  CHECK(ask("192.0.2.9"));
  CHECK_FALSE(ask("203.0.113.1"));
  CHECK_FALSE(ask(""));
  CHECK(ask("198.51.100.1"));
  CHECK(is_vouched({}, {"198.51.100.1", 25}, "gmail.example", options));
  CHECK_FALSE(is_vouched({}, {"192.0.2.9", 25}, "gmail.example", options));
}

TEST_CASE("a field cut anywhere never vouches for more than the whole") {
  const std::string_view fail = "dmarc=fail header.from=gmail.example";
  const std::string_view pass = "spf=pass (a) smtp.mailfrom=\"x y\"@gmail.example";
  for (const bool fails : {true, false}) {
    const std::string body =
        " front.example 1; " + (fails ? std::string(fail) + "; " : std::string()) + std::string(pass);
    const auto whole = parse_auth_results(body);
    REQUIRE(whole);
    CHECK(whole->results.size() == (fails ? 2 : 1));
    std::size_t vouching = 0;
    for (std::size_t size = 0; size <= body.size(); ++size) {
      const std::string cut = body.substr(0, size);
      INFO(cut);
      const auto parsed = parse_auth_results(cut);
      if (parsed) CHECK(parsed->results.size() <= whole->results.size());
      if (vouched("Authentication-Results:" + cut + "\r\n")) ++vouching;
    }
    // What passed has to stand there to its last octet.
    CHECK(vouching == (fails ? 0 : 1));
  }
}

TEST_CASE("bounds of the parser") {
  std::string many = "front.example";
  for (int i = 0; i < 65; ++i) many += "; dkim=none";
  CHECK_FALSE(parse_auth_results(many));
  CHECK_FALSE(parse_auth_results("front.example; spf=pass " + std::string(20'000, 'a') + "=b"));
  CHECK_FALSE(parse_auth_results(std::string(40, '(') + "front.example"));
  CHECK_FALSE(parse_auth_results(std::string(5000, '(')));
  std::string fields;
  for (int i = 0; i < 51; ++i) {
    fields += "Authentication-Results: front.example; dmarc=pass header.from=gmail.example\r\n";
  }
  CHECK_FALSE(vouched(fields));
}
