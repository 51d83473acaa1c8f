// Whose a path is, told to who may not use it.
#include "base/owner.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "tests/temporary_folder.h"

namespace kage {

TEST_CASE("users have names, or numbers") {
  CHECK(user_name(0) == "root");
  CHECK(user_name(4'000'000'001U) == "the user 4000000001");
}

TEST_CASE("an error says whose a path is when it is not ours") {
  const test::TemporaryFolder folder;
  CHECK(owner_hint(folder / "").empty());
  CHECK(owner_hint(folder / "no/such").empty());  // ours to make
  if (::geteuid() == 0) {
    std::filesystem::create_directory(folder / "theirs");
    REQUIRE(::chown((folder / "theirs").c_str(), 4'000'000'001U, static_cast<gid_t>(-1)) == 0);
    CHECK(owner_hint(folder / "theirs") ==
          "; it belongs to the user 4000000001 and has to belong to root, who runs this");
    CHECK(owner_hint(folder / "theirs/a/b") == "; it has to belong to root, who runs this, and " +
                                                   (folder / "theirs") + " belongs to the user 4000000001");
  } else {
    CHECK(owner_hint("/").find("; it belongs to root and has to belong to ") == 0);
    CHECK(owner_hint("/no/such").ends_with(", who runs this, and / belongs to root"));
  }
}

}  // namespace kage
