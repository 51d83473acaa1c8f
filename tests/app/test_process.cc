// Folders, locks, signals and the embedded Redis of one process.
#include "app/process.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include "app/embedded_redis.h"
#include "app/redis_access.h"
#include "app/signals.h"
#include "app/terminal.h"
#include "base/log.h"
#include "mapping/store/route_store.h"
#include "net/connect.h"
#include "tests/app/files.h"
#include "tests/net/test_streams.h"
#include "tests/temporary_folder.h"

namespace kage::app {
namespace {

using test::TemporaryFolder;

unsigned mode_of(const std::string& path) {
  struct stat now{};
  REQUIRE(::stat(path.c_str(), &now) == 0);
  return now.st_mode & 0777u;
}

RedisConfig redis_config(const TemporaryFolder& folder) {
  RedisConfig config;
  config.executable = "redis-server";
  config.folder = folder / "redis";
  config.options.unix_path = config.folder + "/redis.sock";
  REQUIRE(make_private_folder(config.folder));
  return config;
}

net::Task<void> use_redis(net::Loop& loop, RedisConfig config, std::string key_file, MasterKeyAccess& out,
                          bool may_create, std::optional<Error>& error) {
  CommandRedis access(loop, std::move(config), "test");
  const auto opened = co_await access.open();
  if (!opened) error = opened.error();
  if (opened) {
    auto master = co_await open_master_key(access.redis(), std::move(key_file), may_create);
    if (master) out = std::move(*master);
    if (!master) error = master.error();
  }
  co_await access.close();
}

net::Task<void> die_and_recover(net::Loop& loop, RedisConfig config, bool& came_back, bool& second_refused) {
  EmbeddedRedis redis(loop, config, "serve");
  CHECK(redis.start());
  CHECK(co_await redis.wait_ready(loop.now() + net::Millis(20'000)));
  EmbeddedRedis other(loop, config, "apply");
  const auto refused = other.start();
  second_refused =
      !refused && refused.error().code == Errc::conflict && refused.error().detail.starts_with("serve ");
  // SHUTDOWN by a client is as good as a crash: nobody here wanted it.
  auto stream = co_await net::connect_unix(loop, config.options.unix_path, loop.now() + net::Millis(5000));
  CHECK(stream);
  CHECK(co_await (*stream)->write("SHUTDOWN NOSAVE\r\n"));
  const auto end = co_await (*stream)->read();
  CHECK((!end || end->empty()));
  came_back = (co_await redis.wait_ready(loop.now() + net::Millis(20'000))).has_value();
  co_await redis.stop(loop.now() + net::Millis(20'000));
  CHECK_FALSE(co_await EmbeddedRedis::probe(loop, config.options.unix_path));
}

net::Task<void> until(net::Event& event) {
  co_await event;
}

}  // namespace

TEST_CASE("private folders") {
  const TemporaryFolder folder;
  CHECK(make_private_folder(folder / "a/b/c"));
  CHECK(mode_of(folder / "a/b/c") == 0700);
  REQUIRE(::chmod((folder / "a/b/c").c_str(), 0755) == 0);
  CHECK(make_private_folder(folder / "a/b/c"));
  CHECK(mode_of(folder / "a/b/c") == 0700);
  REQUIRE(write_file_durably(folder / "file", "content\n"));
  CHECK(testing::content_of(folder / "file") == "content\n");
  CHECK_FALSE(make_private_folder(folder / "file"));
  CHECK_FALSE(write_file_durably(folder / "no/such/file", "x"));
}

TEST_CASE("a file that cannot be written leaves nothing behind and tells why") {
  const TemporaryFolder folder;
  // A folder cannot be replaced by a file: everything works up to the last step.
  REQUIRE(make_private_folder(folder / "taken"));
  const auto renamed = write_file_durably(folder / "taken", "x");
  REQUIRE_FALSE(renamed);
  CHECK(renamed.error().detail == folder / "taken: Is a directory");
  CHECK_FALSE(std::filesystem::exists(folder / "taken.new"));
  // Nothing fits on /dev/full.
  std::filesystem::create_symlink("/dev/full", folder / "full.new");
  const auto full = write_file_durably(folder / "full", "x");
  REQUIRE_FALSE(full);
  CHECK(full.error().detail == folder / "full: No space left on device");
  CHECK_FALSE(std::filesystem::is_symlink(folder / "full.new"));
}

TEST_CASE("a secret that every user may read is told") {
  const TemporaryFolder folder;
  const std::string path = folder / "secret";
  REQUIRE(write_file_durably(path, "x\n"));
  REQUIRE(::chmod(folder.path().c_str(), 0755) == 0);
  for (const mode_t mode : {0600U, 0640U, 0660U}) {
    REQUIRE(::chmod(path.c_str(), mode) == 0);
    CHECK(closed_to_others(path));
  }
  std::filesystem::create_symlink(path, folder / "link");
  for (const mode_t mode : {0644U, 0604U, 0602U}) {
    REQUIRE(::chmod(path.c_str(), mode) == 0);
    const auto open = closed_to_others(folder / "link");
    REQUIRE_FALSE(open);
    CHECK(open.error().detail == "every user may read it; chmod o= " + path);
  }
  REQUIRE(::chmod(folder.path().c_str(), 0750) == 0);
  CHECK(closed_to_others(path));  // nobody gets there
  CHECK(closed_to_others(folder / "none"));
}

TEST_CASE("a lock has one holder") {
  const TemporaryFolder folder;
  auto first = FileLock::take(folder / "lock", "serve 1");
  REQUIRE(first);
  const auto second = FileLock::take(folder / "lock", "apply 2");
  REQUIRE_FALSE(second);
  CHECK(second.error().code == Errc::conflict);
  CHECK(second.error().detail == "serve 1");
  *first = FileLock();
  CHECK(FileLock::take(folder / "lock", "apply 2"));
}

TEST_CASE("signals are calls on the loop") {
  net::Loop loop;
  net::Event arrived;
  int count = 0;
  std::optional<SignalWatch> watch;
  watch.emplace(loop, SIGUSR1, [&] {
    ++count;
    watch.reset();  // allowed
    arrived.set();
  });
  ::kill(::getpid(), SIGUSR1);
  net::testing::run_on_loop(loop, until(arrived));
  CHECK(count == 1);
}

TEST_CASE("the embedded Redis comes back when it dies, and has one owner") {
  log::configure(log::Level::error);
  const TemporaryFolder folder;
  net::Loop loop;
  bool came_back = false;
  bool second_refused = false;
  net::testing::run_on_loop(loop, die_and_recover(loop, redis_config(folder), came_back, second_refused));
  CHECK(came_back);
  CHECK(second_refused);
  CHECK(mode_of(folder / "redis") == 0700);
}

TEST_CASE("a program that is not there") {
  const TemporaryFolder folder;
  net::Loop loop;
  RedisConfig config = redis_config(folder);
  config.executable = "no-such-redis-server";
  EmbeddedRedis redis(loop, config, "serve");
  const auto started = redis.start();
  REQUIRE_FALSE(started);
  CHECK(started.error().code == Errc::not_found);
}

TEST_CASE("the master key is made once, and only for an empty Redis") {
  const TemporaryFolder folder;
  const RedisConfig config = redis_config(folder);
  net::Loop loop;
  std::optional<Error> error;
  MasterKeyAccess looked, made, again;
  net::testing::run_on_loop(loop, use_redis(loop, config, folder / "key", looked, false, error));
  CHECK_FALSE(error);
  CHECK(looked.store_empty);
  CHECK_FALSE(looked.created);
  CHECK_FALSE(std::filesystem::exists(folder / "key"));
  net::testing::run_on_loop(loop, use_redis(loop, config, folder / "key", made, true, error));
  CHECK_FALSE(error);
  CHECK(made.created);
  CHECK(mode_of(folder / "key") == 0600);
  net::testing::run_on_loop(loop, use_redis(loop, config, folder / "key", again, true, error));
  CHECK_FALSE(error);
  CHECK_FALSE(again.created);
}

TEST_CASE("words for people") {
  CHECK(count_of(0, "member") == "0 members");
  CHECK(count_of(1, "public address") == "1 public address");
  CHECK(count_of(2, "public address") == "2 public addresses");
  CHECK(printable("a\x1b[31mb\n") == "a\\x1b[31mb\\x0a");
  CHECK(printable("a\u009bb\xff\u0085") == "a\\u009bb\\xff\\u0085");
  for (const char* unseen :
       {"\u200b", "\ufeff", "\u00ad", "\u2060", "\u200d", "\u202e", "\u00a0", "\u3000", "\u2028"}) {
    INFO(unseen);
    CHECK(printable("a@b.example" + std::string(unseen)).starts_with("a@b.example\\u"));
    CHECK(printable(unseen + std::string("山a")).starts_with("\\u"));
  }
  CHECK(printable("\U000e0041") == "\\U000e0041");
  for (const char* name : {"山田　太郎", "葛\U000e0100城", "👩‍🏫❤\ufe0f", "Ünïcödé"})
    CHECK(printable(name) == name);
  CHECK(json_string("a\"b\\c\n\x01保\xff") == "\"a\\\"b\\\\c\\u000a\\u0001保\uFFFD\"");
}

}  // namespace kage::app
