// A redis-server of our own as a child process (contract R9.3): Unix socket in the state folder, append-only
// file.
//
// Whoever holds the lock in its folder runs it: `serve`, or a command when no serve runs. It is started again
// when it dies while it is wanted, and it ends when we end, however that happens. The server holds a lock of
// its own, so two never write one file.
#pragma once

#include <memory>
#include <string>

#include "app/config.h"
#include "net/loop.h"
#include "net/task.h"

namespace kage::app {

class EmbeddedRedis {
 public:
  /// `holder`: "serve" or a command's name, for others to see. The loop is the main thread's: the child is
  /// told to end when the thread that started it ends.
  EmbeddedRedis(net::Loop& loop, RedisConfig config, std::string holder);
  ~EmbeddedRedis();  ///< kills a child that stop() has not ended
  EmbeddedRedis(const EmbeddedRedis&) = delete;
  EmbeddedRedis& operator=(const EmbeddedRedis&) = delete;

  /// Where its program is. Errc::not_found.
  static Result<std::string> find_server(const RedisConfig& config);

  /// Takes the lock and starts the server. Errc::conflict: somebody else runs it, the detail says who.
  /// Errc::unavailable: nobody does, but a server whose starter has died has not ended yet; try again.
  /// Errc::not_found: no such program. Errc::denied: what lies in the folder is not ours. The folder must
  /// exist.
  Result<> start();

  /// start() has succeeded.
  [[nodiscard]] bool started() const;

  /// Whether a server answers on the socket now, ours or another's. Errc::unavailable: it is still loading
  /// its file.
  static net::Task<Result<>> probe(net::Loop& loop, std::string socket);

  /// Waits until it answers. Errc::timed_out.
  net::Task<Result<>> wait_ready(net::TimePoint deadline);

  /// SIGTERM, and SIGKILL when it has not ended at `deadline`; then gives the lock back.
  net::Task<void> stop(net::TimePoint deadline);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kage::app
