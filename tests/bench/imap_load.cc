// TLS client for scripts/bench proxy: blocking, one connection after the other, nothing of ours. Loopback
// only; never part of the program.
//
//   imap_load fetch PORT LOGIN MAILBOX COMMAND
//   imap_load sessions PORT LOGIN COUNT
//
// `fetch` sends one command after LOGIN and SELECT and reads its answer. `sessions` opens COUNT sessions with
// a login each, and selects a mailbox in all of them at each line of its standard input, saying "done", until
// "end". Results are lines of JSON.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace {

[[noreturn]] void fail(std::string_view what) {
  fmt::print(stderr, "imap_load: {}\n", what);
  std::exit(1);
}

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

class Client {
 public:
  Client(SSL_CTX* context, int port) : fd_(socket(AF_INET, SOCK_STREAM, 0)), ssl_(SSL_new(context)) {
    const sockaddr_in address = loopback(port);
    if (connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
      fail("cannot connect");
    const int on = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    SSL_set_fd(ssl_, fd_);
    if (SSL_connect(ssl_) != 1) fail("handshake failed");
    read_until("\r\n");
  }
  ~Client() {
    SSL_free(ssl_);
    close(fd_);
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// Sends a command and reads its answer, which has to be OK.
  void command(const std::string& text) {
    send(text);
    const std::string answer = read_until("\r\nt OK", "t OK");
    if (answer.find("t OK") == std::string::npos) fail("refused: " + text + ": " + answer);
  }

  struct Answer {
    std::size_t octets = 0, messages = 0;
  };
  /// The same for a FETCH of any size.
  Answer fetch(const std::string& text) {
    send(text);
    Answer answer;
    std::string window;       // the end of what came before, and what came now
    std::size_t counted = 0;  // how much of it
    static std::array<char, 65536> buffer;
    for (;;) {
      const int count = SSL_read(ssl_, buffer.data(), buffer.size());
      if (count <= 0) fail("the connection ended: " + window);
      answer.octets += static_cast<std::size_t>(count);
      window.append(buffer.data(), static_cast<std::size_t>(count));
      for (std::size_t found; (found = window.find(kMark, counted)) != std::string::npos;) {
        ++answer.messages;
        counted = found + kMark.size();
      }
      counted = std::max(counted, window.size() - std::min(window.size(), kMark.size() - 1));
      const std::size_t drop = window.size() - std::min<std::size_t>(window.size(), kTail);
      window.erase(0, drop);
      counted -= std::min(counted, drop);
      const std::size_t end = window.find("\r\nt ");
      if (end == std::string::npos || !window.ends_with("\r\n")) continue;
      if (window.compare(end + 4, 2, "OK") != 0) fail("refused: " + window.substr(end));
      return answer;
    }
  }

 private:
  static constexpr std::string_view kMark = " FETCH (";
  static constexpr std::size_t kTail = 300;  // holds the last line
  int fd_;
  SSL* ssl_;

  void send(const std::string& text) {
    const std::string line = "t " + text + "\r\n";
    if (SSL_write(ssl_, line.data(), static_cast<int>(line.size())) <= 0) fail("cannot send");
  }
  /// Reads until a line begins with the tag, or for the greeting until a line is there.
  std::string read_until(std::string_view mark, std::string_view at_start = "") {
    std::string text;
    std::array<char, 4096> buffer;
    for (;;) {
      const int count = SSL_read(ssl_, buffer.data(), buffer.size());
      if (count <= 0) fail("the connection ended: " + text);
      text.append(buffer.data(), static_cast<std::size_t>(count));
      if (!text.ends_with("\r\n")) continue;
      if (text.find(mark) != std::string::npos || (!at_start.empty() && text.starts_with(at_start)))
        return text;
      if (text.starts_with("t ") || text.find("\r\nt ") != std::string::npos) return text;
    }
  }
};

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

int run_fetch(SSL_CTX* context, int port, const std::string& login, const std::string& mailbox,
              const std::string& command) {
  Client client(context, port);
  client.command("LOGIN " + login + " secret");
  client.command("SELECT " + mailbox);
  const auto start = std::chrono::steady_clock::now();
  const Client::Answer answer = client.fetch(command);
  fmt::print("{{\"octets\": {}, \"messages\": {}, \"seconds\": {:.3f}}}\n", answer.octets, answer.messages,
             seconds_since(start));
  return 0;
}

int run_sessions(SSL_CTX* context, int port, const std::string& login, std::size_t count) {
  std::vector<std::unique_ptr<Client>> clients;
  const auto start = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < count; ++i) {
    clients.push_back(std::make_unique<Client>(context, port));
    clients.back()->command("LOGIN " + login + " secret");
  }
  fmt::print("{{\"sessions\": {}, \"seconds\": {:.3f}}}\n", count, seconds_since(start));
  std::fflush(stdout);
  for (std::string line; std::getline(std::cin, line) && line != "end";) {
    for (const auto& client : clients) client->command("SELECT S10.10240");
    fmt::print("done\n");
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view mode = argc > 1 ? argv[1] : "";
  const int port = argc > 2 ? std::atoi(argv[2]) : 0;
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  if (mode == "fetch" && argc == 6) return run_fetch(context, port, argv[3], argv[4], argv[5]);
  if (mode == "sessions" && argc == 5) {
    return run_sessions(context, port, argv[3], std::strtoul(argv[4], nullptr, 10));
  }
  fail("usage: see the head of imap_load.cc");
}
