// SASL messages and password hashes.
#include <catch2/catch.hpp>

#include "base/text.h"
#include "submission/provider_login.h"
#include "submission/sasl.h"

using namespace kage::submission;
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
}

TEST_CASE("secrets are wiped") {
  std::string secret = "a long enough secret that is not in the small buffer";
  const char* where = secret.data();
  const std::size_t size = secret.size();
  wipe(secret);
  CHECK(secret.empty());
  CHECK(std::string_view(where, size).find("secret") == std::string_view::npos);
}

TEST_CASE("IMAP strings") {
  CHECK(imap_quoted(R"(a"b\c)") == R"("a\"b\\c")");
  CHECK(is_imap_quotable("a b{}"));
  CHECK_FALSE(is_imap_quotable("a\r\nb"));
  CHECK_FALSE(is_imap_quotable("\xc3\xa9"));
}

TEST_CASE("password hashes") {
  // hashlib.scrypt(b"correct horse", salt=b"0123456789abcdef", n=1024, r=8, p=1, dklen=32)
  const std::string hash =
      "$scrypt$ln=10,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$6g3umF+uVrJsObaTZhIbbTlgrvOEFcCItdwSjtPF67M";
  CHECK(verify_password("correct horse", hash).value());
  CHECK_FALSE(verify_password("correct horsf", hash).value());
  CHECK_FALSE(verify_password("", hash).value());
  const std::string made = hash_password("p\xc3\xa4ss");
  CHECK(made.starts_with("$scrypt$ln=15,r=8,p=1$"));
  CHECK(verify_password("p\xc3\xa4ss", made).value());
  CHECK(hash_password("p\xc3\xa4ss") != made);
}

TEST_CASE("password hashes that are refused") {
  for (const auto wrong :
       {"", "secret", "$scrypt$", "$2y$10$abcdefghijklmnopqrstuv",
        "$scrypt$ln=9,r=8,p=1$MDEyMzQ1Njc$MDEyMzQ1Njc4OWFiY2RlZg",
        "$scrypt$ln=21,r=8,p=1$MDEyMzQ1Njc$MDEyMzQ1Njc4OWFiY2RlZg",
        "$scrypt$ln=20,r=8,p=1$MDEyMzQ1Njc$MDEyMzQ1Njc4OWFiY2RlZg",  // 1 GiB
        "$scrypt$ln=10,r=33,p=1$MDEyMzQ1Njc$MDEyMzQ1Njc4OWFiY2RlZg",
        "$scrypt$ln=10,r=8,p=17$MDEyMzQ1Njc$MDEyMzQ1Njc4OWFiY2RlZg",
        "$scrypt$ln=10,r=8$MDEyMzQ1Njc$MDEyMzQ1Njc4OWFiY2RlZg",
        "$scrypt$ln=10,r=8,p=1,x=1$MDEyMzQ1Njc$MDEyMzQ1Njc4OWFiY2RlZg",
        "$scrypt$ln=10,r=8,p=1$MDEy$MDEyMzQ1Njc4OWFiY2RlZg",
        "$scrypt$ln=10,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$MDEy",
        "$scrypt$ln=10,r=8,p=1$MDEyMzQ1Njc$MDEyMzQ1Njc4OWFiY2RlZg==", "$scrypt$ln=10,r=8,p=1$MDEyMzQ1Njc"}) {
    INFO(wrong);
    CHECK_FALSE(check_password_hash(wrong));
    CHECK_FALSE(verify_password("x", wrong));
  }
}
