// SASL messages, both ways.
#include <catch2/catch.hpp>

#include "base/sasl.h"
#include "base/text.h"

using namespace kage;
using namespace std::string_literals;

TEST_CASE("PLAIN") {
  const auto good = read_plain("\0user@x.example\0secret"s);
  REQUIRE(good);
  CHECK(good->login == "user@x.example");
  CHECK(good->secret == "secret");
  CHECK(read_plain("USER\0user\0secret"s));
  for (const std::string& wrong :
       {""s, "\0"s, "\0\0"s, "user"s, "\0user"s, "\0user\0"s, "\0\0secret"s, "other\0user\0secret"s,
        "\0us\ner\0s"s, "\0user\0sec\0ret"s, "\0"s + std::string(400, 'a') + "\0s"s,
        "\0user\0"s + std::string(2000, 'a')}) {
    INFO(kage::hex(wrong));
    CHECK_FALSE(read_plain(wrong));
  }
}

TEST_CASE("XOAUTH2") {
  const std::string message = "user=u@x.example\x01"s + "auth=Bearer tok.en\x01\x01";
  const auto good = read_xoauth2(message);
  REQUIRE(good);
  CHECK(good->login == "u@x.example");
  CHECK(good->secret == "tok.en");
  CHECK(good->response == message);
  for (std::size_t size = 0; size < message.size(); ++size)
    CHECK_FALSE(read_xoauth2(message.substr(0, size)));
  CHECK_FALSE(read_xoauth2("auth=Bearer a\x01\x01"));
  CHECK_FALSE(read_xoauth2("user=u\x01"s + "auth=Basic a\x01\x01"));
  CHECK_FALSE(read_xoauth2("user=u\x01"s + "auth=Bearer a b\x01\x01"));
}

TEST_CASE("OAUTHBEARER") {
  const std::string message = "n,a=u=2C@x.example,\x01host=h\x01port=1\x01"s + "auth=Bearer t\x01\x01";
  const auto good = read_oauthbearer(message);
  REQUIRE(good);
  CHECK(good->login == "u,@x.example");
  CHECK(good->secret == "t");
  for (std::size_t size = 0; size < message.size(); ++size)
    CHECK_FALSE(read_oauthbearer(message.substr(0, size)));
  CHECK_FALSE(read_oauthbearer("y,a=u,\x01"s + "auth=Bearer t\x01\x01"));
  CHECK_FALSE(read_oauthbearer("n,,\x01"s + "auth=Bearer t\x01\x01"));
  CHECK_FALSE(read_oauthbearer("n,a=u=ZZ,\x01"s + "auth=Bearer t\x01\x01"));
}

TEST_CASE("responses") {
  CHECK(decode_response("=") == "");
  CHECK(decode_response("YQ==") == "a");
  CHECK_FALSE(decode_response("YQ"));
  CHECK_FALSE(decode_response("!"));
  CHECK(read_plain(make_plain("a", "b"))->secret == "b");
  Credentials password;
  password.login = "a";
  password.secret = Secret("b");
  CHECK(mechanism_name(password.kind) == "PLAIN");
  CHECK(base64_decode(initial_response(password)) == "\0a\0b"s);
  Credentials bearer;
  bearer.kind = Credentials::Kind::xoauth2;
  bearer.response = Secret("whole");
  CHECK(mechanism_name(bearer.kind) == "XOAUTH2");
  CHECK(base64_decode(initial_response(bearer)) == "whole");
  CHECK_FALSE(is_login("a\nb"));
  CHECK_FALSE(is_login(""));
  CHECK_FALSE(is_password("a\0b"s));
  CHECK_FALSE(is_password(std::string(2000, 'a')));
}

TEST_CASE("mechanisms by name") {
  CHECK(mechanism_list() == "PLAIN LOGIN XOAUTH2 OAUTHBEARER");
  CHECK(find_mechanism("OAUTHBEARER") == SaslMechanism::oauthbearer);
  CHECK_FALSE(find_mechanism("CRAM-MD5"));
  CHECK(oauth_acknowledgement(Credentials::Kind::oauthbearer) == base64("\x01"));
  CHECK(oauth_acknowledgement(Credentials::Kind::xoauth2).empty());
}

TEST_CASE("secrets are wiped") {
  std::string secret = "a long enough secret that is not in the small buffer";
  const char* where = secret.data();
  const std::size_t size = secret.size();
  wipe(secret);
  CHECK(secret.empty());
  CHECK(std::string_view(where, size).find("secret") == std::string_view::npos);

  const std::string text = join_secret({"a", "", "bc"});
  CHECK(text == "abc");
  std::string given = "abc";
  Secret first(std::move(given)), second(std::move(first));
  CHECK(std::string_view(given.data(), 3) != "abc");
  CHECK(first.empty());
  CHECK(second == "abc");
  first = std::move(second);
  CHECK(first == text);
  CHECK(second.empty());
}
