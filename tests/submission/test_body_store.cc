// What is put in comes out, at any offset and for many readers; what reaches the disk is nameless and
// unreadable.
#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "delivery_rig.h"
#include "submission/body_store.h"

using namespace kage;
using namespace kage::submission;
using namespace kage::submission::test;

namespace {

net::Task<void> fill(BodyStore* store, const std::string* octets, std::size_t chunk, bool* good) {
  *good = true;
  for (std::size_t at = 0; *good && at < octets->size(); at += chunk) {
    *good = bool(co_await store->append(std::string_view(*octets).substr(at, chunk)));
  }
  if (*good) *good = bool(co_await store->seal());
}

net::Task<void> read_all(BodyStore* store, std::uint64_t from, std::string* into) {
  std::string buffer;
  for (std::uint64_t at = from; at < store->size();) {
    const auto part = co_await store->read(at, buffer);
    REQUIRE(part);
    REQUIRE(!part->empty());
    REQUIRE(part->size() <= BodyStore::kBlock);
    into->append(*part);
    at += part->size();
  }
  const auto end = co_await store->read(store->size(), buffer);
  REQUIRE(end);
  CHECK(end->empty());
}

net::Task<void> read_many(BodyStore* store, std::vector<std::string>* into) {
  std::vector<net::Task<void>> tasks;
  for (auto& one : *into) tasks.push_back(read_all(store, 0, &one));
  co_await net::when_all(std::move(tasks));
}

/// Contents of the deleted files in `folder` that this process has open.
std::vector<std::string> nameless_files(const std::string& folder) {
  std::vector<std::string> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    const auto target = std::filesystem::read_symlink(entry.path(), gone).string();
    if (gone || !target.starts_with(folder)) continue;
    CHECK(target.ends_with("(deleted)"));
    std::ifstream in(entry.path(), std::ios::binary);
    found.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  return found;
}

}  // namespace

TEST_CASE("the body store gives back what it got") {
  constexpr auto kEdge = BodyStore::kInMemory;
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, kEdge - 1, kEdge, kEdge + 1, 2 * kEdge,
                                 2 * kEdge + 1, 3 * kEdge + 17, std::size_t{1'000'003}}) {
    for (const std::size_t chunk : {std::size_t{777}, std::size_t{65'536}, std::size_t{2'000'000}}) {
      INFO("size " << size << " chunk " << chunk);
      net::Loop loop;
      kage::test::TemporaryFolder folder;
      BodyStore store(loop, folder.path());
      const auto octets = make_body(size).substr(0, size);
      bool good = false;
      run(loop, fill(&store, &octets, chunk, &good));
      REQUIRE(good);
      CHECK(store.size() == size);
      std::vector<std::string> read(3);
      run(loop, read_many(&store, &read));
      for (const auto& one : read) CHECK(one == octets);
      for (const std::size_t from : {size / 2, size / 3 + 1, size - std::min<std::size_t>(size, 5)}) {
        std::string tail;
        run(loop, read_all(&store, from, &tail));
        CHECK(tail == octets.substr(std::min(from, size)));
      }
    }
  }
}

TEST_CASE("the spool file has no name and cannot be read") {
  net::Loop loop;
  kage::test::TemporaryFolder folder;
  std::string octets;
  while (octets.size() < 500'000) octets += "the quick brown fox jumps over the lazy dog\r\n";
  {
    BodyStore store(loop, folder.path());
    bool good = false;
    run(loop, fill(&store, &octets, 10'000, &good));
    REQUIRE(good);
    CHECK(std::filesystem::is_empty(folder.path()));
    const auto files = nameless_files(folder.path());
    REQUIRE(files.size() == 1);
    CHECK(files[0].size() == octets.size() - BodyStore::kInMemory);
    CHECK(files[0].find("quick brown fox") == std::string::npos);
    // No two blocks of equal plain text look alike: 45 octets a line and 16 a block meet every 720.
    CHECK(files[0].substr(0, 720) != files[0].substr(720, 720));
  }
  CHECK(nameless_files(folder.path()).empty());
}

TEST_CASE("a small body touches no file") {
  net::Loop loop;
  BodyStore store(loop, "/nonexistent");
  const std::string octets(BodyStore::kInMemory, 'x');
  bool good = false;
  run(loop, fill(&store, &octets, 1000, &good));
  CHECK(good);
}

TEST_CASE("no spool folder is an error, not a crash") {
  for (const char* folder : {"/nonexistent", ""}) {
    net::Loop loop;
    BodyStore store(loop, folder);
    const std::string octets(BodyStore::kInMemory + 1, 'x');
    bool good = true;
    run(loop, fill(&store, &octets, 1000, &good));
    CHECK(!good);
  }
}
