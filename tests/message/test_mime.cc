// Parameters of MIME fields as mailers write them.
#include "message/mime.h"

#include <catch2/catch.hpp>

#include "message/utf8.h"

namespace kage::message {
namespace {

using Values = std::vector<std::pair<std::string, std::string>>;

Values values(std::string_view body) {
  Values found;
  const auto parsed = parse_parameters(body);
  REQUIRE(parsed);
  for (const Parameter& parameter : parsed->parameters) found.emplace_back(parameter.name, parameter.value);
  return found;
}

TEST_CASE("parse_parameters: value and parameters") {
  struct Case {
    std::string_view body;
    std::string value;
    Values parameters;
  };
  const std::vector<Case> cases = {
      {" text/plain", "text/plain", {}},
      {" text/plain; charset=utf-8", "text/plain", {{"charset", "utf-8"}}},
      {" text/plain;\r\n\tcharset=\"iso-2022-jp\";\r\n format=flowed",
       "text/plain",
       {{"charset", "iso-2022-jp"}, {"format", "flowed"}}},
      {"text/plain; charset=utf-8;", "text/plain", {{"charset", "utf-8"}}},
      {"text/plain;; ;charset=utf-8 ; ", "text/plain", {{"charset", "utf-8"}}},
      {"text/plain; CHARSET = utf-8", "text/plain", {{"charset", "utf-8"}}},
      {"text/plain (a comment; x=y); charset=us-ascii (Plain text)", "text/plain", {{"charset", "us-ascii"}}},
      {"text/plain; charset (x=y; z) = (a) utf-8", "text/plain", {{"charset", "utf-8"}}},
      {"text/plain; cha rset=x; (y) format=flowed", "text/plain", {{"format", "flowed"}}},
      {"text/plain; name=\"a;b=c\"", "text/plain", {{"name", "a;b=c"}}},
      {"text/plain; name=\"a \\\"b\\\\ c\"", "text/plain", {{"name", "a \"b\\ c"}}},
      {"text/plain; name=\"open; charset=utf-8", "text/plain", {{"name", "open"}, {"charset", "utf-8"}}},
      {"attachment; filename=my file.txt", "attachment", {{"filename", "my file.txt"}}},
      {"attachment; filename=a(1).txt", "attachment", {{"filename", "a(1).txt"}}},
      {"attachment; filename=", "attachment", {{"filename", ""}}},
      {"attachment; filename", "attachment", {}},
      {"attachment; =x; a=b", "attachment", {{"a", "b"}}},
      {"attachment; a=1; A=2", "attachment", {{"a", "1"}}},
      {"attachment; filename=\"=?UTF-8?B?5bGx55Sw?=\"", "attachment", {{"filename", "山田"}}},
      {"attachment; filename==?UTF-8?B?5bGx55Sw?=", "attachment", {{"filename", "山田"}}},
      {"attachment; filename=\"=?ISO-2022-JP?B?GyRCOzNFRBsoQg==?=.txt\"",
       "attachment",
       {{"filename", "山田.txt"}}},
      {"attachment; filename=\"\x8E\x52\x93\x63\"", "attachment", {{"filename", "山田"}}},
      {"attachment; filename*=UTF-8''%E5%B1%B1%E7%94%B0", "attachment", {{"filename", "山田"}}},
      {"attachment; filename*=utf-8'ja'%E5%B1%B1", "attachment", {{"filename", "山"}}},
      {"attachment; filename*=iso-2022-jp''%1B$B%3B3%1B(B", "attachment", {{"filename", "山"}}},
      {"attachment; filename*=Shift_JIS''%8E%52", "attachment", {{"filename", "山"}}},
      {"attachment; filename*0=\"abc\"; filename*1=\"def\"", "attachment", {{"filename", "abcdef"}}},
      {"attachment; filename*1=\"def\"; filename*0=\"abc\"", "attachment", {{"filename", "abcdef"}}},
      {"attachment; filename*0*=UTF-8''%E5%B1; filename*1*=%B1x; filename*2=\"%41\"",
       "attachment",
       {{"filename", "山x%41"}}},
      {"attachment; filename*0=a; filename*2=c", "attachment", {{"filename", "a"}}},
      {"attachment; filename*0=a; filename*0=b; filename*1=c", "attachment", {{"filename", "ac"}}},
      {"attachment; filename=plain.txt; filename*=UTF-8''rich.txt", "attachment", {{"filename", "rich.txt"}}},
      {"attachment; filename*=%41%zz%4", "attachment", {{"filename", "A%zz%4"}}},
      {"attachment; filename*x=1; a=b", "attachment", {{"a", "b"}}},
      {"", "", {}},
      {";", "", {}},
      {"; a=b", "", {{"a", "b"}}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.body);
    const auto parsed = parse_parameters(c.body);
    REQUIRE(parsed);
    CHECK(parsed->value == c.value);
    CHECK(values(c.body) == c.parameters);
  }
}

TEST_CASE("parse_parameters: what was written, and whether it may be kept") {
  const auto one = [](std::string_view body) { return parse_parameters(body)->parameters.at(0); };
  CHECK(one("x; a=b").raw == "a=b");
  CHECK(one("x; a=b").intact);
  CHECK(one("x; a=\"b;c\"; d=e").raw == "a=\"b;c\"");
  CHECK(one("x; a=\"b;c\"").intact);
  CHECK(one("x; a*=UTF-8''%41").intact);
  CHECK(one("x; a*0=b; a*1=c").raw.empty());
  CHECK(one("x; a*0=b; a*1=c").pieces == "a*0=b; a*1=c");
  CHECK(one("x; a=\"b\r\n c\"").pieces == "a=\"b c\"");
  CHECK_FALSE(one("x; a=b (canary@x.example)").intact);
  CHECK_FALSE(one("x; a=\"b\" canary@x.example").intact);
  CHECK_FALSE(one("x; (canary@x.example) a=b").intact);
  CHECK_FALSE(one("x; a=\"b").intact);
  CHECK_FALSE(one("x; a=b c").intact);
  CHECK(one("x; filename=plain@x.example; filename*=UTF-8''rich").pieces == "filename*=UTF-8''rich");
}

TEST_CASE("parse_parameters: at most 100 pieces") {
  std::string body = "text/plain";
  for (int i = 0; i < 100; ++i) body += "; p" + std::to_string(i) + "=x";
  CHECK(parse_parameters(body)->parameters.size() == 100);
  CHECK(parse_parameters(body + "; more=x").error().code == Errc::limit);
}

TEST_CASE("parse_parameters: cut at every octet") {
  const std::string body =
      " attachment (c (d)); filename*0*=ISO-2022-JP'ja'%1B$B;3%1B(B; filename*1=\"q\\\"x\";\r\n "
      "name==?utf-8?q?a=40b?=; "
      "x=\"open";
  for (std::size_t cut = 0; cut <= body.size(); ++cut) {
    const auto parsed = parse_parameters(std::string_view(body).substr(0, cut));
    REQUIRE(parsed);
    for (const Parameter& parameter : parsed->parameters) CHECK(is_valid_utf8(parameter.value));
  }
}

TEST_CASE("parse_parameters: hostile sizes") {
  for (std::string_view unit : {"(", "\"", ";", "\\", "=", "a=(", "; (", "'", "*"}) {
    std::string body = "x; a=";
    while (body.size() < 1U << 20U) body += unit;
    const auto parsed = parse_parameters(body);
    if (parsed) CHECK(parsed->parameters.size() <= 100);
    if (!parsed) CHECK(parsed.error().code == Errc::limit);
  }
}

TEST_CASE("write_parameter") {
  CHECK(write_parameter("charset", "utf-8") == "charset=utf-8");
  CHECK(write_parameter("name", "") == "name=\"\"");
  CHECK(write_parameter("name", "my file.txt") == "name=\"my file.txt\"");
  CHECK(write_parameter("name", "a\"b\\") == "name=\"a\\\"b\\\\\"");
  CHECK(write_parameter("name", "山田") == "name*=UTF-8''%E5%B1%B1%E7%94%B0");
  CHECK(write_parameter("name", "=?x?q?y?=") == "name*=UTF-8''%3D%3Fx%3Fq%3Fy%3F%3D");
  CHECK(write_parameter("name", "a\r\nB: c") == "name=\"aB: c\"");
}

TEST_CASE("write_parameter: what is written is read back") {
  std::string longer;
  for (int i = 0; i < 50; ++i) longer += "山田 太郎@" + std::to_string(i);
  for (const std::string& value : {std::string("a"), std::string("a b; c=\"d\" \\"), std::string("日本語'%*"),
                                   longer, std::string(500, 'x'), std::string("tab\there")}) {
    const std::string text = write_parameter("filename", value);
    const auto parsed = parse_parameters("attachment; " + text);
    REQUIRE(parsed);
    REQUIRE(parsed->parameters.size() == 1);
    CHECK(parsed->parameters[0].value == value);
    CHECK(parsed->parameters[0].intact);
  }
}

TEST_CASE("write_parameter: a value above 1,000 octets is cut between characters") {
  std::string value = "a";
  for (int i = 0; i < 1000; ++i) value += "山";
  const auto parsed = parse_parameters("x; " + write_parameter("name", value));
  REQUIRE(parsed);
  CHECK(parsed->parameters.at(0).value == value.substr(0, 1000));
}

}  // namespace
}  // namespace kage::message
