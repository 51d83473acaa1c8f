// Load generator and sink for scripts/bench: blocking sockets and one thread for each connection, so that
// what is measured is the server between the two. Loopback only; never part of the program.
//
//   smtp_load sink PORT
//   smtp_load send PORT SINK_PORT CONNECTIONS MESSAGES SIZE COPIES SENDER_FORMAT HEADER_FILE RECIPIENTS_FILE
//
// Each body begins with the moment of sending, from which the sink tells how long a copy was on its way.
// SENDER_FORMAT holds one %d: the number of the message modulo 1000. The result is one line of JSON.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

constexpr std::size_t kHeaderBound = 1u << 20;

std::int64_t now_ns() {
  const auto since = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(since).count();
}

[[noreturn]] void fail(std::string_view what) {
  fmt::print(stderr, "smtp_load: {}: {}\n", what, std::strerror(errno));
  std::exit(1);
}

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

double percentile(std::vector<double>& sorted, double part) {
  if (sorted.empty()) return 0;
  return sorted[std::min(sorted.size() - 1,
                         static_cast<std::size_t>(part * static_cast<double>(sorted.size())))];
}

/// One connection: lines in, octets out.
class Connection {
 public:
  explicit Connection(int fd) : fd_(fd) {
    const int on = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  ~Connection() { close(fd_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void send(std::string_view data) {
    while (!data.empty()) {
      const ssize_t n = ::send(fd_, data.data(), data.size(), MSG_NOSIGNAL);
      if (n <= 0) return;
      data.remove_prefix(static_cast<std::size_t>(n));
    }
  }

  /// False at the end of the connection.
  bool fill() {
    if (start_ > 0) {
      buffer_.erase(0, start_);
      start_ = 0;
    }
    const std::size_t had = buffer_.size();
    buffer_.resize(had + 65536);
    const ssize_t n = recv(fd_, buffer_.data() + had, 65536, 0);
    buffer_.resize(had + (n > 0 ? static_cast<std::size_t>(n) : 0));
    return n > 0;
  }

  bool line(std::string& out) {
    for (;;) {
      const std::size_t end = buffer_.find("\r\n", start_);
      if (end != std::string::npos) {
        out.assign(buffer_, start_, end - start_);
        start_ = end + 2;
        return true;
      }
      if (!fill()) return false;
    }
  }

  /// Reads one reply; its code, or 0 at the end of the connection.
  int reply(std::string* last = nullptr) {
    std::string text;
    while (line(text)) {
      if (text.size() < 4 || text[3] != '-') {
        if (last) *last = text;
        return std::atoi(text.c_str());
      }
    }
    return 0;
  }

  [[nodiscard]] std::string_view pending() const { return std::string_view(buffer_).substr(start_); }
  void consume(std::size_t n) { start_ += n; }

 private:
  int fd_;
  std::string buffer_;
  std::size_t start_ = 0;
};

// The sink

struct Tally {
  std::mutex mutex;
  std::condition_variable changed;
  std::size_t copies = 0;
  std::int64_t last = 0;
  std::vector<double> milliseconds;
} tally;

/// Reads message data up to its final dot; the head of it, for the time stamp. Nothing is unstuffed: only
/// counted.
bool take_data(Connection& client, std::string& head) {
  head.clear();
  std::string tail = "\r\n";
  for (;;) {
    const std::string_view got = client.pending();
    if (!got.empty()) {
      const std::string seam = tail + std::string(got.substr(0, 4));
      const std::size_t at_seam = seam.find("\r\n.\r\n");
      if (at_seam != std::string::npos && at_seam < tail.size()) {
        client.consume(at_seam + 5 - tail.size());
        return true;
      }
      const std::size_t end = got.find("\r\n.\r\n");
      if (head.size() < kHeaderBound) head.append(got.substr(0, std::min(end, kHeaderBound)));
      if (end != std::string_view::npos) {
        client.consume(end + 5);
        return true;
      }
      tail += got.substr(got.size() - std::min<std::size_t>(got.size(), 4));
      tail.erase(0, tail.size() - std::min<std::size_t>(tail.size(), 4));
      client.consume(got.size());
    }
    if (!client.fill()) return false;
  }
}

void count_copy(const std::string& head) {
  const std::int64_t now = now_ns();
  const std::size_t stamp = head.find("\r\n\r\nT ");
  const std::lock_guard lock(tally.mutex);
  ++tally.copies;
  tally.last = now;
  if (stamp != std::string::npos) {
    tally.milliseconds.push_back(static_cast<double>(now - std::atoll(head.c_str() + stamp + 6)) / 1e6);
  }
  tally.changed.notify_all();
}

/// "XWAIT n": answers when n copies have come since the last answer, with what was measured, and begins anew.
std::string wait_copies(std::size_t wanted) {
  std::unique_lock lock(tally.mutex);
  const bool all =
      tally.changed.wait_for(lock, std::chrono::minutes(5), [&] { return tally.copies >= wanted; });
  std::ranges::sort(tally.milliseconds);
  std::string answer = fmt::format("{} {} {} {:.3f} {:.3f}", all ? 250 : 450, tally.copies, tally.last,
                                   percentile(tally.milliseconds, 0.5), percentile(tally.milliseconds, 0.99));
  tally.copies = 0;
  tally.milliseconds.clear();
  return answer;
}

void serve(int fd) {
  Connection client(fd);
  client.send("220 sink ESMTP\r\n");
  std::string line, head;
  while (client.line(line)) {
    const std::string_view verb = std::string_view(line).substr(0, 4);
    if (verb == "EHLO") {
      client.send("250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250 SIZE 0\r\n");
    } else if (verb == "DATA") {
      client.send("354 go on\r\n");
      if (!take_data(client, head)) return;
      count_copy(head);
      client.send("250 2.0.0 ok\r\n");
    } else if (verb == "XWAI") {
      client.send(wait_copies(std::strtoul(line.c_str() + 6, nullptr, 10)) + "\r\n");
    } else if (verb == "QUIT") {
      client.send("221 2.0.0 bye\r\n");
      return;
    } else {
      client.send("250 2.0.0 ok\r\n");
    }
  }
}

int run_sink(int port) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  const int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const sockaddr_in address = loopback(port);
  if (bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fail("bind");
  if (listen(listener, 1024) != 0) fail("listen");
  for (;;) {
    const int fd = accept(listener, nullptr, nullptr);
    if (fd >= 0) std::thread(serve, fd).detach();
  }
}

// The senders

struct Load {
  int port = 0;
  std::size_t messages = 0, size = 0;
  std::string sender, header;
  std::vector<std::string> recipients;
  std::atomic<std::size_t> next{0}, failed{0};
  std::mutex mutex;
  std::vector<double> milliseconds;
};

int connect_to(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  const sockaddr_in address = loopback(port);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fail("connect");
  return fd;
}

void replace_number(std::string& text, std::size_t number) {
  for (std::size_t at = text.find("%d"); at != std::string::npos; at = text.find("%d", at)) {
    text.replace(at, 2, std::to_string(number));
  }
}

void replace_id(std::string& text, std::size_t number) {
  const std::size_t at = text.find("%i");
  if (at != std::string::npos) text.replace(at, 2, fmt::format("{}.{}.{}", getpid(), now_ns(), number));
}

void send_messages(Load& load) {
  Connection server(connect_to(load.port));
  if (server.reply() != 220) fail("greeting");
  server.send("EHLO load.test\r\n");
  if (server.reply() != 250) fail("EHLO");
  std::string body;
  while (body.size() < load.size) body += "A line of an ordinary message, which is as long as lines are.\r\n";
  std::vector<double> mine;
  for (std::size_t n = load.next++; n < load.messages; n = load.next++) {
    std::string sender = load.sender, header = load.header;
    replace_number(sender, n % 1000);
    replace_number(header, n % 1000);
    replace_id(header, n);
    std::string envelope = "MAIL FROM:<" + sender + ">\r\n";
    for (const std::string& recipient : load.recipients) envelope += "RCPT TO:<" + recipient + ">\r\n";
    const std::int64_t begin = now_ns();
    server.send(envelope + "DATA\r\n");
    bool good = true;
    for (std::size_t i = 0; i < load.recipients.size() + 1; ++i) good &= server.reply() == 250;
    if (server.reply() != 354) fail("DATA refused");
    server.send(fmt::format("{}\r\nT {}\r\n{}.\r\n", header, begin, body));
    std::string last;
    if (server.reply(&last) != 250 || !good) {
      if (load.failed++ == 0) fmt::print(stderr, "smtp_load: {}\n", last);
    }
    mine.push_back(static_cast<double>(now_ns() - begin) / 1e6);
  }
  server.send("QUIT\r\n");
  const std::lock_guard lock(load.mutex);
  load.milliseconds.insert(load.milliseconds.end(), mine.begin(), mine.end());
}

std::string read_file(const char* path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) fail(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

int run_load(char** argument) {
  Load load;
  load.port = std::atoi(argument[0]);
  const int sink_port = std::atoi(argument[1]);
  const int connections = std::atoi(argument[2]);
  load.messages = std::strtoul(argument[3], nullptr, 10);
  load.size = std::strtoul(argument[4], nullptr, 10);
  const std::size_t copies = std::strtoul(argument[5], nullptr, 10);
  load.sender = argument[6];
  load.header = read_file(argument[7]);
  std::ifstream recipients(argument[8]);
  for (std::string line; std::getline(recipients, line);) load.recipients.push_back(line);

  const std::int64_t begin = now_ns();
  std::vector<std::thread> threads;
  for (int i = 0; i < connections; ++i) threads.emplace_back(send_messages, std::ref(load));
  for (std::thread& thread : threads) thread.join();
  const std::int64_t accepted = now_ns();
  Connection sink(connect_to(sink_port));
  sink.reply();
  sink.send(fmt::format("XWAIT {}\r\n", load.messages * copies));
  std::string answer;
  const int code = sink.reply(&answer);
  long got = 0, last = 0;
  double p50 = 0, p99 = 0;
  if (std::sscanf(answer.c_str(), "%*d %ld %ld %lf %lf", &got, &last, &p50, &p99) != 4) fail("sink");
  std::ranges::sort(load.milliseconds);
  fmt::print(
      "{{\"failed\": {}, \"copies\": {}, \"accepted_seconds\": {:.3f}, \"delivered_seconds\": {:.3f}, "
      "\"accepted_p50\": {:.3f}, \"accepted_p99\": {:.3f}, \"delivered_p50\": {:.3f}, \"delivered_p99\": "
      "{:.3f}}}\n",
      load.failed.load(), got, static_cast<double>(accepted - begin) / 1e9,
      static_cast<double>(last - begin) / 1e9, percentile(load.milliseconds, 0.5),
      percentile(load.milliseconds, 0.99), p50, p99);
  return code == 250 && load.failed == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3 && std::string_view(argv[1]) == "sink") return run_sink(std::atoi(argv[2]));
  if (argc == 11 && std::string_view(argv[1]) == "send") return run_load(argv + 2);
  fmt::print(stderr, "usage: see the head of smtp_load.cc\n");
  return 2;
}
