#include "redis_server.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <future>
#include <iterator>
#include <stdexcept>

namespace kage::mapping::test {
namespace {

/// Reads the log to its end; keeps the promise when the server says that it is ready, or at the end.
void drain(int pipe, std::promise<bool> ready) {
  std::string seen;
  bool told = false;
  std::array<char, 4096> buffer{};
  for (;;) {
    const ssize_t count = ::read(pipe, buffer.data(), buffer.size());
    if (count <= 0) break;
    if (told) continue;
    seen.append(buffer.data(), static_cast<std::size_t>(count));
    told = seen.find("eady to accept connections") != std::string::npos;
    if (told) ready.set_value(true);
  }
  if (!told) ready.set_value(false);
  ::close(pipe);
}

}  // namespace

RedisServer::RedisServer(std::vector<std::string> arguments) : arguments_(std::move(arguments)) {
  start();
}

RedisServer::~RedisServer() {
  kill();
}

void RedisServer::start() {
  std::vector<std::string> command{"redis-server",
                                   "--port",
                                   "0",
                                   "--unixsocket",
                                   socket(),
                                   "--dir",
                                   folder_.path(),
                                   "--appendonly",
                                   "yes",
                                   "--appendfsync",
                                   "always",
                                   "--save",
                                   "",
                                   "--logfile",
                                   ""};
  command.insert(command.end(), arguments_.begin(), arguments_.end());
  std::vector<char*> pointers;
  for (std::string& word : command) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe");
  process_ = ::fork();
  if (process_ < 0) throw std::runtime_error("fork");
  if (process_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::dup2(pipe[1], 1);
    ::dup2(pipe[1], 2);
    ::execvp(pointers[0], pointers.data());
    ::_exit(127);
  }
  ::close(pipe[1]);
  std::promise<bool> ready;
  auto is_ready = ready.get_future();
  reader_ = std::thread(drain, pipe[0], std::move(ready));
  if (!is_ready.get()) throw std::runtime_error("redis-server did not start");
}

void RedisServer::kill() {
  if (process_ > 0) {
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
    process_ = -1;
  }
  if (reader_.joinable()) reader_.join();
}

void RedisServer::pause() {
  ::kill(process_, SIGSTOP);
  int status = 0;
  ::waitpid(process_, &status, WUNTRACED);
}

void RedisServer::resume() {
  ::kill(process_, SIGCONT);
}

net::RedisOptions RedisServer::options() const {
  net::RedisOptions options;
  options.unix_path = socket();
  return options;
}

std::string RedisServer::files() const {
  std::string bytes;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_.path())) {
    if (!entry.is_regular_file()) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    bytes.append(std::istreambuf_iterator<char>(file), {});
  }
  return bytes;
}

void RedisServer::remove_files() {
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path()))
    std::filesystem::remove_all(entry);
}

}  // namespace kage::mapping::test
