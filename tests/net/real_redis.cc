// Starting and ending redis-server. Its own log line tells when it is ready, through a pipe, so nobody
// sleeps.
#include "tests/net/real_redis.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <stdexcept>

extern char** environ;

namespace kage::net::testing {
namespace {

constexpr int kStartMillis = 20'000;

/// A port that was free a moment ago.
std::uint16_t free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  const bool bound = ::bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                     ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  ::close(fd);
  if (!bound) throw std::runtime_error("no free port");
  return ntohs(address.sin_port);
}

/// Reads the server's log until it says that it accepts connections.
void wait_until_ready(int fd) {
  std::string log;
  pollfd watched{fd, POLLIN, 0};
  while (::poll(&watched, 1, kStartMillis) == 1) {
    char bytes[4096];
    const ssize_t count = ::read(fd, bytes, sizeof bytes);
    if (count <= 0) break;
    log.append(bytes, static_cast<std::size_t>(count));
    if (log.find("eady to accept connections") != std::string::npos ||
        log.find("server is now ready") != std::string::npos) {
      return;
    }
  }
  throw std::runtime_error("redis-server did not start: " + log);
}

}  // namespace

RealRedis::RealRedis(Listen listen, std::vector<std::string> arguments)
    : listen_(listen), arguments_(std::move(arguments)) {
  if (listen != Listen::unix_socket) port_ = free_port();
  start();
}

RealRedis::~RealRedis() {
  kill();
}

RedisOptions RealRedis::options() const {
  RedisOptions options;
  if (listen_ == Listen::unix_socket) {
    options.unix_path = folder_.path() + "/redis.sock";
  } else {
    options.host = "127.0.0.1";
    options.port = port_;
  }
  return options;
}

void RealRedis::start() {
  std::vector<std::string> words = {"redis-server",
                                    "--dir",
                                    folder_.path(),
                                    "--save",
                                    "",
                                    "--daemonize",
                                    "no",
                                    "--bind",
                                    "127.0.0.1",
                                    "--port",
                                    listen_ == Listen::tcp ? std::to_string(port_) : "0"};
  if (listen_ == Listen::unix_socket) {
    words.insert(words.end(), {"--unixsocket", folder_.path() + "/redis.sock"});
  }
  if (listen_ == Listen::tls) words.insert(words.end(), {"--tls-port", std::to_string(port_)});
  words.insert(words.end(), arguments_.begin(), arguments_.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  int log[2];
  if (::pipe2(log, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, log[1], 1);
  posix_spawn_file_actions_adddup2(&actions, log[1], 2);
  const int failed = ::posix_spawnp(&pid_, "redis-server", &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(log[1]);
  try {
    if (failed != 0) throw std::runtime_error("redis-server cannot be started");
    wait_until_ready(log[0]);
  } catch (...) {
    ::close(log[0]);
    if (failed == 0) kill();
    throw;
  }
  ::close(log[0]);
}

void RealRedis::kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void RealRedis::pause() {
  ::kill(pid_, SIGSTOP);
  ::waitpid(pid_, nullptr, WUNTRACED);
}

void RealRedis::go_on() {
  ::kill(pid_, SIGCONT);
}

}  // namespace kage::net::testing
