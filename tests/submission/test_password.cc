// Password hashes.
#include <catch2/catch.hpp>

#include "submission/auth.h"

using namespace kage::submission;

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
