// What tests of the store share: specs, a key file, a node with its loop and its own connection.
#pragma once

#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../net/test_streams.h"
#include "base/text.h"
#include "mapping/store/directory.h"
#include "mapping/store/route_store.h"
#include "redis_server.h"
#include "tests/temporary_folder.h"

namespace kage::mapping::test {

template <class T>
net::Task<void> keep_result(net::Task<T> task, std::optional<T>& out) {
  out.emplace(co_await std::move(task));
}

/// Runs a task to its end on the loop.
template <class T>
T await(net::Loop& loop, net::Task<T> task) {
  std::optional<T> out;
  net::testing::run_on_loop(loop, keep_result(std::move(task), out));
  return std::move(*out);
}

inline message::Address parse(std::string_view text) {
  return message::parse_address(text).value();
}

inline MemberSpec member_spec(std::string_view mailbox) {
  MemberSpec spec;
  spec.mailbox = parse(mailbox);
  return spec;
}

inline AddressSpec address_spec(std::string_view address, const std::vector<std::string>& mailboxes) {
  AddressSpec spec;
  spec.address = parse(address);
  for (const auto& mailbox : mailboxes) spec.members.push_back(member_spec(mailbox));
  return spec;
}

/// pta@school.example with two members, office@school.example with one.
inline RouteSpec small_spec() {
  RouteSpec spec;
  spec.domains.push_back({"school.example", ""});
  spec.addresses.push_back(
      address_spec("pta@school.example", {"officer@gmail.example", "Taro@docomo.example"}));
  spec.addresses.push_back(address_spec("office@school.example", {"officer@gmail.example"}));
  return spec;
}

inline std::shared_ptr<const MasterKeys> master_keys(char fill = 'k') {
  return std::make_shared<const MasterKeys>(std::string(32, fill));
}

/// A connection of its own, as a tool or an onlooker has.
struct Client {
  explicit Client(const RedisServer& server) : Client(patient(server.options())) {}
  explicit Client(net::RedisOptions options) : redis(loop, std::move(options)) {}

  /// Tests run on busy machines.
  static net::RedisOptions patient(net::RedisOptions options) {
    options.command_timeout = net::Millis(60'000);
    return options;
  }

  net::Loop loop;
  net::Redis redis;

  net::RedisReply command(const std::vector<std::string_view>& words) {
    net::RedisBatch batch;
    batch.add(words);
    return await(loop, redis.run(std::move(batch))).value().front();
  }
  Routes load(const std::shared_ptr<const MasterKeys>& master = master_keys()) {
    return await(loop, load_routes(redis, master)).value();
  }
  Result<> apply(RouteSpec spec) { return await(loop, apply_routes(redis, load(), std::move(spec), {})); }
  Result<> forget_member(std::string_view address, std::string_view mailbox) {
    return await(loop, forget(redis, load(), std::string(address), std::string(mailbox)));
  }
};

/// The file of master_keys().
class KeyFile {
 public:
  KeyFile() { write('k'); }
  KeyFile(const KeyFile&) = delete;
  KeyFile& operator=(const KeyFile&) = delete;

  void write(char fill) const {
    const std::string fresh = path() + ".new";
    std::ofstream(fresh) << hex(std::string(32, fill)) << "\n";
    using std::filesystem::perms;
    std::filesystem::permissions(fresh, perms::owner_read | perms::owner_write);
    std::filesystem::rename(fresh, path());
  }
  void remove() const { std::filesystem::remove(path()); }
  [[nodiscard]] std::string path() const { return folder_ / "master.key"; }

 private:
  kage::test::TemporaryFolder folder_;
};

/// One node of the gateway: a loop, a connection, a directory.
struct Node {
  Node(const RedisServer& server, const KeyFile& key, net::Millis timeout = net::Millis(30'000))
      : redis(loop, with_timeout(server.options(), timeout)),
        shared(key.path()),
        directory(loop, redis, shared) {}

  static net::RedisOptions with_timeout(net::RedisOptions options, net::Millis timeout) {
    options.command_timeout = timeout;
    return options;
  }

  net::Loop loop;
  net::Redis redis;
  SharedRoutes shared;
  Directory directory;

  Result<Routes> refresh() { return await(loop, directory.refresh()); }
  /// Looks again and again, as watch() does, until it is ready.
  Routes recover() {
    for (;;) {
      auto routes = refresh();
      if (routes) return *routes;
      // The client holds back connecting for some milliseconds after a failure.
      net::testing::run_on_loop(loop, loop.sleep(net::Millis(20)));
    }
  }
  Result<Transaction> begin(const Routes& routes, BeginRequest request) {
    return await(loop, directory.begin(routes, std::move(request)));
  }
  Result<Directory::Resolved> resolve(std::vector<std::string> locals) {
    return await(loop, directory.resolve(std::move(locals)));
  }
};

}  // namespace kage::mapping::test
