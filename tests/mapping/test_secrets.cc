// Whether keys stay in memory that was given back (contract R3.5): this program's heap remembers what its
// blocks held when they were freed.
#include <malloc.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <cstring>
#include <new>

#include "base/random.h"
#include "base/text.h"
#include "mapping/store/route_codec.h"
#include "tests/temporary_folder.h"

namespace {

/// What blocks held when they were freed while `on`. Not on the heap.
struct Freed {
  std::array<char, 8U << 20U> octets;
  std::size_t size = 0;
  bool on = false;
};
Freed freed;

void remember(void* block) noexcept {
  if (!freed.on || block == nullptr) return;
  const std::size_t size = ::malloc_usable_size(block);
  if (size > freed.octets.size() - freed.size) std::abort();
  std::memcpy(freed.octets.data() + freed.size, block, size);
  freed.size += size;
}

/// Remembers what is freed while it lives.
class Watch {
 public:
  Watch() {
    freed.size = 0;
    freed.on = true;
  }
  ~Watch() { freed.on = false; }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
};

/// Half of a secret is as good as all of it.
bool was_left(std::string_view secret) {
  const std::string_view all(freed.octets.data(), freed.size);
  return all.find(secret.substr(0, secret.size() / 2)) != std::string_view::npos;
}

}  // namespace

void* operator new(std::size_t size) {
  if (void* block = std::malloc(size)) return block;
  throw std::bad_alloc();
}
void* operator new(std::size_t size, const std::nothrow_t& /*tag*/) noexcept {
  return std::malloc(size);
}
void operator delete(void* block) noexcept {
  remember(block);
  std::free(block);
}
void operator delete(void* block, std::size_t /*size*/) noexcept {
  remember(block);
  std::free(block);
}

using namespace kage;
using namespace kage::mapping;

TEST_CASE("what is left in freed memory is seen") {
  const std::string secret = random_bytes(32);
  {
    const Watch watch;
    const std::string copy = secret + "!";
  }
  CHECK(was_left(secret));
}

TEST_CASE("deriving keys leaves nothing of them behind") {
  const std::string key = random_bytes(32);
  const Secret derived = hkdf_sha256(key, "both halves", 64);
  Secret again;
  {
    const Watch watch;
    again = hkdf_sha256(key, "both halves", 64);
  }
  CHECK(again == derived);
  CHECK_FALSE(was_left(derived));
  CHECK_FALSE(was_left(key));

  const std::string part = random_bytes(40);
  {
    const Watch watch;
    (void)hmac_sha256(key, {part, derived, "info"});
  }
  CHECK_FALSE(was_left(part));
  CHECK_FALSE(was_left(derived));
}

TEST_CASE("the master key file leaves nothing behind") {
  const kage::test::TemporaryFolder folder;
  const std::string path = folder.path() + "/master.key";
  Result<Secret> made = fail(Errc::io), read = fail(Errc::io);
  {
    const Watch watch;
    made = create_master_key(path);
    read = read_master_key(path);
  }
  REQUIRE(made);
  REQUIRE(read);
  CHECK(std::string_view(*made) == std::string_view(*read));
  CHECK_FALSE(was_left(*made));
  CHECK_FALSE(was_left(hex(*made)));
}

TEST_CASE("opening the routes leaves no member's key behind") {
  const auto master = std::make_shared<const MasterKeys>(std::string(32, 'm'));
  const std::string key = random_bytes(32);
  MemberSpec member;
  member.mailbox = message::parse_address("taro@docomo.example").value();
  AddressSpec address;
  address.address = message::parse_address("pta@school.example").value();
  std::vector<StoredRow> rows = {seal_domain(*master, {"school.example", "p.school.example"}),
                                 seal_address(*master, address, "pta@school.example"),
                                 seal_key(*master, 1, key),
                                 seal_member(MemberKeys(key), 1, "pta@school.example", member)};
  std::size_t total = rows.size();
  bool opens = true;
  SECTION("that are whole") {}
  SECTION("that lost a row") {
    ++total;
    opens = false;
  }
  rows.push_back(seal_total(*master, total));

  std::vector<net::RedisReply> replies(kLoadCommands);
  replies[0].type = replies[1].type = net::RedisReply::Type::string;
  replies[0].text = "7";
  replies[1].text = seal_check(*master);
  replies[2].type = net::RedisReply::Type::array;
  for (const StoredRow& row : rows) {
    for (const std::string& text : {row.field, row.value}) {
      replies[2].elements.emplace_back();
      replies[2].elements.back().type = net::RedisReply::Type::string;
      replies[2].elements.back().text = text;
    }
  }
  Result<Routes> routes = fail(Errc::io);
  {
    const Watch watch;
    routes = open_routes(replies, master);
  }
  CHECK(routes.has_value() == opens);
  CHECK_FALSE(was_left(key));
}
