// A real redis-server for a test: own temporary folder, Unix socket, append-only file that is written before
// the answer; gone with the object.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "net/redis.h"
#include "tests/temporary_folder.h"

namespace kage::mapping::test {

class RedisServer {
 public:
  /// Returns when it accepts connections. `arguments` come after ours and win.
  explicit RedisServer(std::vector<std::string> arguments = {});
  ~RedisServer();
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

  void kill();    ///< SIGKILL, as a crash
  void start();   ///< again, in the same folder
  void pause();   ///< SIGSTOP: it hangs
  void resume();  ///< after pause()

  [[nodiscard]] net::RedisOptions options() const;
  [[nodiscard]] std::string socket() const { return folder_ / "redis.sock"; }
  /// The bytes of every file in its folder.
  [[nodiscard]] std::string files() const;
  /// Makes it forget its files: the next start is an empty one.
  void remove_files();

 private:
  kage::test::TemporaryFolder folder_;
  std::vector<std::string> arguments_;
  pid_t process_ = -1;
  std::thread reader_;  // drains its log
};

}  // namespace kage::mapping::test
