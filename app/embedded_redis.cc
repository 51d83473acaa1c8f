// fork and exec by hand, because the child has to ask the kernel for a signal at our death between the two.
#include "app/embedded_redis.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <vector>

#include "app/process.h"
#include "app/signals.h"
#include "base/log.h"
#include "net/connect.h"

namespace kage::app {
namespace {

constexpr net::Millis kLeastPause{100};
constexpr net::Millis kMostPause{5000};
constexpr net::Millis kLongLife{10'000};  // a server that lived so long did not die of how it was started

/// Looks a program up as a shell does; empty when there is none.
std::string find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) {
    if (::access(name.c_str(), X_OK) != 0) return {};
    return std::filesystem::absolute(name).string();  // the child has another current folder
  }
  const char* variable = std::getenv("PATH");
  std::string_view path = variable == nullptr ? "/usr/local/bin:/usr/bin:/bin" : variable;
  while (!path.empty()) {
    const std::size_t colon = path.find(':');
    std::string candidate = std::string(path.substr(0, colon)) + "/" + name;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    path = colon == std::string_view::npos ? std::string_view() : path.substr(colon + 1);
  }
  return {};
}

/// In the child, between fork and exec: only what is safe there (signal-safety(7)).
[[noreturn]] void become(const char* program, char* const* arguments, const char* folder, int lock,
                         pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  // Our parent may have died before the kernel knew what we want.
  if (::getppid() != parent) ::_exit(127);
  // A terminal's interrupt is for us, who still need the server while we finish.
  ::setpgid(0, 0);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  ::umask(0077);
  if (::chdir(folder) != 0) ::_exit(127);
  const int null = ::open("/dev/null", O_RDONLY);
  const int log = ::open("redis.log", O_WRONLY | O_CREAT | O_APPEND, 0600);
  ::fcntl(lock, F_SETFD, 0);  // kept open by the server
  if (null < 0 || log < 0 || ::dup2(null, 0) < 0 || ::dup2(log, 1) < 0 || ::dup2(log, 2) < 0) ::_exit(127);
  ::execv(program, arguments);
  ::_exit(127);
}

}  // namespace

struct EmbeddedRedis::State {
  State(net::Loop& l, RedisConfig c, std::string h)
      : loop(l), config(std::move(c)), holder(std::move(h)), timer(l) {}

  net::Loop& loop;
  RedisConfig config;
  std::string holder;
  net::Timer timer;
  std::optional<SignalWatch> children;
  std::optional<FileLock> lock;         // ours; gone when this process has ended
  std::optional<FileLock> server_lock;  // shared with the server; gone when both have ended
  std::string program;
  pid_t pid = 0;  // 0: none runs
  net::TimePoint started{};
  net::Millis pause = kLeastPause;
  bool wanted = false;
  net::Event ended;

  void launch();
  void reap();
};

void EmbeddedRedis::State::launch() {
  const std::vector<std::string> words = {program,
                                          "--port",
                                          "0",
                                          "--unixsocket",
                                          "redis.sock",
                                          "--unixsocketperm",
                                          "700",
                                          "--dir",
                                          ".",
                                          "--appendonly",
                                          "yes",
                                          "--save",
                                          "",
                                          "--appendfsync",
                                          config.fsync_always ? "always" : "everysec",
                                          "--loglevel",
                                          "warning",
                                          "--logfile",
                                          "redis.log",
                                          "--daemonize",
                                          "no"};
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  ended.reset();
  started = loop.now();
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child == 0)
    become(program.c_str(), arguments.data(), config.folder.c_str(), server_lock->descriptor(), parent);
  if (child > 0) {
    pid = child;
    log::info("redis.started", {{"pid", pid}});
    return;
  }
  log::error("redis.not_started", {{"reason", "fork"}});
  timer.start(kMostPause, [this] { launch(); });
}

void EmbeddedRedis::State::reap() {
  int status = 0;
  if (pid == 0 || ::waitpid(pid, &status, WNOHANG) != pid) return;
  pid = 0;
  if (!wanted) {
    ended.set();
    return;
  }
  log::error("redis.ended", {{"status", WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status)}});
  pause = loop.now() - started >= kLongLife ? kLeastPause : std::min(pause * 2, kMostPause);
  timer.start(pause, [this] { launch(); });
}

EmbeddedRedis::EmbeddedRedis(net::Loop& loop, RedisConfig config, std::string holder)
    : state_(std::make_unique<State>(loop, std::move(config), std::move(holder))) {}

EmbeddedRedis::~EmbeddedRedis() {
  if (state_->pid == 0) return;
  ::kill(state_->pid, SIGKILL);
  ::waitpid(state_->pid, nullptr, 0);
}

Result<std::string> EmbeddedRedis::find_server(const RedisConfig& config) {
  std::string program = find_program(config.executable);
  if (!program.empty()) return program;
  return fail(Errc::not_found, "no program " + config.executable + " (redis.executable)");
}

Result<> EmbeddedRedis::start() {
  State& state = *state_;
  if (auto ours = own_content(state.config.folder); !ours) return ours;
  auto lock = FileLock::take(state.config.folder + "/lock", state.holder + " " + std::to_string(::getpid()));
  if (!lock) return std::unexpected(lock.error());
  auto server_lock = FileLock::take(state.config.folder + "/server.lock", "redis-server\n");
  if (!server_lock) {
    if (server_lock.error().code != Errc::conflict) return std::unexpected(server_lock.error());
    return fail(Errc::unavailable, "the Redis of an earlier process is still ending");
  }
  auto program = find_server(state.config);
  if (!program) return std::unexpected(program.error());
  state.program = std::move(*program);
  state.lock.emplace(std::move(*lock));
  state.server_lock.emplace(std::move(*server_lock));
  state.children.emplace(state.loop, SIGCHLD, [&state] { state.reap(); });
  state.wanted = true;
  state.launch();
  return {};
}

bool EmbeddedRedis::started() const {
  return state_->wanted;
}

net::Task<Result<>> EmbeddedRedis::probe(net::Loop& loop, std::string socket) {
  const net::TimePoint deadline = loop.now() + net::Millis(2000);
  auto stream = co_await net::connect_unix(loop, std::move(socket), deadline);
  if (!stream) co_return std::unexpected(stream.error());
  (*stream)->set_deadline(deadline);
  if (auto sent = co_await (*stream)->write("PING\r\n"); !sent) co_return sent;
  const auto answer = co_await (*stream)->read();
  if (!answer) co_return std::unexpected(answer.error());
  if (answer->starts_with("+PONG")) co_return Result<>();
  co_return fail(Errc::unavailable, answer->starts_with("-LOADING") ? "loading its file" : "not ready");
}

net::Task<Result<>> EmbeddedRedis::wait_ready(net::TimePoint deadline) {
  State& state = *state_;
  net::Millis pause{5};
  while (true) {
    const auto ready = co_await probe(state.loop, state.config.options.unix_path);
    if (ready) co_return Result<>();
    if (state.loop.now() >= deadline) {
      co_return fail(Errc::timed_out,
                     "the embedded Redis does not answer; see " + state.config.folder + "/redis.log");
    }
    // Redis tells nobody when it is ready.
    co_await state.loop.sleep(pause);
    pause = std::min(pause * 2, net::Millis(250));
  }
}

net::Task<void> EmbeddedRedis::stop(net::TimePoint deadline) {
  State& state = *state_;
  state.wanted = false;
  state.timer.stop();
  if (state.pid != 0) {
    ::kill(state.pid, SIGTERM);
    const pid_t pid = state.pid;
    state.timer.start(std::max(deadline - state.loop.now(), net::Millis(0)), [pid] { ::kill(pid, SIGKILL); });
    co_await state.ended;
    state.timer.stop();
  }
  state.children.reset();
  state.server_lock.reset();
  state.lock.reset();
}

}  // namespace kage::app
