// TLS streams against each other over socket pairs: names, trust, resumption, reload, endings, garbage, bulk.
#include "tls/tls_stream.h"

#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "base/clock.h"
#include "net/tcp_stream.h"
#include "net/worker.h"
#include "tests/net/test_streams.h"
#include "tests/tls/test_certificates.h"
#include "tls/openssl.h"

namespace kage::tls {
namespace {

constexpr std::string_view kLockedKey =
    "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
    "MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAio3cB6MD1qnwICCAAw\n"
    "DAYIKoZIhvcNAgkFADAdBglghkgBZQMEAQIEEDThzT9WLPY7Yt/jbVeTXv8EgZBj\n"
    "MdIuFY1bvhU6zAnYOmVG0B2OzWWKklZWYBM9EAUIlnZqpOBDhbHBHNfMJVOesCxb\n"
    "aiMUWQb0voT4tA1e9EjzeP4R9l7DlIx3UhLnKHz8g74bQH//CHQU8lerB4JuMSgi\n"
    "wQ/Gj7x+vLmHtd3GFmS8fkfWPW/pCyqusDX5wGosSsdz0wVU937+WpKAETH9TP4=\n"
    "-----END ENCRYPTED PRIVATE KEY-----\n";

using net::Event;
using net::Loop;
using net::Millis;
using net::Stream;
using net::StreamPtr;
using net::Task;
using net::testing::run_on_loop;
using net::testing::TricklingStream;
using testing::TestAuthority;

struct Ends {
  Result<StreamPtr> server = fail(Errc::io);
  Result<StreamPtr> client = fail(Errc::io);
};

Task<void> accept_into(StreamPtr lower, std::shared_ptr<ServerContext> context, Result<StreamPtr>& out) {
  const auto deadline = lower->loop().now() + Millis(10'000);
  out = co_await accept_tls(std::move(lower), std::move(context), deadline);
}

Task<void> connect_into(StreamPtr lower, std::shared_ptr<ClientContext> context, std::string host,
                        Result<StreamPtr>& out) {
  const auto deadline = lower->loop().now() + Millis(10'000);
  out = co_await connect_tls(std::move(lower), std::move(context), std::move(host), deadline);
}

Task<void> both(Task<void> a, Task<void> b) {
  std::vector<Task<void>> tasks;
  tasks.push_back(std::move(a));
  tasks.push_back(std::move(b));
  co_await net::when_all(std::move(tasks));
}

std::pair<StreamPtr, StreamPtr> socket_pair(Loop& loop) {
  int fds[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
  return {std::move(*net::adopt_unix(loop, fds[0])), std::move(*net::adopt_unix(loop, fds[1]))};
}

/// What OpenSSL knows of the handshake that a server ended last.
struct Handshake {
  std::string protocol;
  std::string cipher;
  std::string server_name;
  int bits = 0;
  bool resumed = false;
} last_handshake;

void note_handshake(const SSL* ssl, int where, int /*result*/) {
  if ((where & SSL_CB_HANDSHAKE_DONE) == 0) return;
  const char* const name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  last_handshake = {SSL_get_version(ssl), SSL_get_cipher_name(ssl), name != nullptr ? name : "",
                    SSL_get_cipher_bits(ssl, nullptr), SSL_session_reused(ssl) == 1};
}

/// A handshake of the two, which last_handshake then tells of.
Ends shake(Loop& loop, std::shared_ptr<ServerContext> server, std::shared_ptr<ClientContext> client,
           std::string host, bool trickle = false) {
  Ends ends;
  last_handshake = {};
  const SslPtr any(server->connection().ssl);
  SSL_CTX_set_info_callback(SSL_get_SSL_CTX(any.get()), note_handshake);
  auto [a, b] = socket_pair(loop);
  if (trickle) {
    a = std::make_unique<TricklingStream>(std::move(a));
    b = std::make_unique<TricklingStream>(std::move(b));
  }
  run_on_loop(loop, both(accept_into(std::move(a), std::move(server), ends.server),
                         connect_into(std::move(b), std::move(client), std::move(host), ends.client)));
  return ends;
}

std::shared_ptr<ClientContext> trusting(const TestAuthority& authority) {
  auto context = ClientContext::create({authority.ca_file(), true, {}, {}});
  REQUIRE(context);
  return *context;
}

std::shared_ptr<ServerContext> serving(std::vector<CertificateFiles> files) {
  auto context = ServerContext::load(std::move(files));
  REQUIRE(context);
  return *context;
}

Task<void> write_all(Stream& stream, std::string data) {
  (void)co_await stream.write(data);
}

Task<void> write_then_end(Stream& stream, std::string data) {
  (void)co_await stream.write(data);
  (void)co_await stream.shutdown();
}

/// Reads `size` octets, or to the end or an error when there are fewer; waits for some of them first.
Task<void> read_octets(Stream& stream, std::size_t size, Result<std::string>& out) {
  std::string all;
  while (all.size() < size) {
    if (all.size() % 2 == 0) (void)co_await stream.readable();
    const auto bytes = co_await stream.read();
    if (!bytes) {
      out = std::unexpected(bytes.error());
      co_return;
    }
    if (bytes->empty()) break;
    all.append(*bytes);
  }
  out = std::move(all);
}

void check_echo(Loop& loop, Stream& from, Stream& to, const std::string& data) {
  Result<std::string> got;
  run_on_loop(loop, both(write_all(from, data), read_octets(to, data.size(), got)));
  REQUIRE(got);
  CHECK(*got == data);
}

std::string pattern(std::size_t size) {
  std::string data(size, '\0');
  for (std::size_t i = 0; i < size; ++i) data[i] = static_cast<char>(i * 31 + i / 251);
  return data;
}

}  // namespace

TEST_CASE("a verified handshake, with a good protocol and cipher, names the host") {
  const TestAuthority authority;
  Loop loop;
  auto ends = shake(loop, serving({authority.issue("mail", "DNS:mail.example")}), trusting(authority),
                    "MAIL.example.");
  REQUIRE(ends.server);
  REQUIRE(ends.client);
  CHECK(last_handshake.protocol == "TLSv1.3");
  CHECK(last_handshake.cipher.starts_with("TLS_"));
  CHECK(last_handshake.bits >= 128);
  CHECK_FALSE(last_handshake.resumed);
  CHECK(last_handshake.server_name == "mail.example");
  check_echo(loop, **ends.client, **ends.server, "hello");
  check_echo(loop, **ends.server, **ends.client, "welcome");
}

TEST_CASE("all of it works one byte at a time") {
  const TestAuthority authority;
  Loop loop;
  auto ends = shake(loop, serving({authority.issue("mail", "DNS:mail.example")}), trusting(authority),
                    "mail.example", true);
  REQUIRE(ends.server);
  REQUIRE(ends.client);
  check_echo(loop, **ends.client, **ends.server, "hello");
  check_echo(loop, **ends.server, **ends.client, pattern(5000));
}

TEST_CASE("the certificate is chosen by the name that is asked for") {
  const TestAuthority authority;
  const auto server = serving({authority.issue("default", "DNS:default.example"),
                               authority.issue("wild", "DNS:*.wild.example"),
                               authority.issue("two", "DNS:one.example,DNS:Two.Example,IP:127.0.0.1")});
  struct Case {
    std::string host;
    bool verified;
  };
  const Case cases[] = {
      {"default.example", true}, {"a.wild.example", true},    {"one.example", true},    {"two.example", true},
      {"wild.example", false},   {"a.b.wild.example", false}, {"other.example", false}, {"127.0.0.1", false},
  };
  for (const Case& c : cases) {
    INFO(c.host);
    Loop loop;
    const auto ends = shake(loop, server, trusting(authority), c.host);
    CHECK(ends.client.has_value() == c.verified);
    if (!ends.client) CHECK(ends.client.error().code == Errc::tls);
  }
}

TEST_CASE("a wrong name, an unknown authority and an expired certificate are refused, unless nobody asks") {
  const TestAuthority authority;
  const TestAuthority stranger;
  const auto server = serving({authority.issue("mail", "DNS:mail.example,IP:127.0.0.1,IP:::1")});
  const auto old = serving({authority.issue("old", "DNS:mail.example", true)});
  const auto careless = ClientContext::create({{}, false, {}, {}});
  REQUIRE(careless);
  struct Case {
    std::shared_ptr<ServerContext> server;
    std::shared_ptr<ClientContext> client;
    std::string host;
    std::string reason;  // empty: accepted
  };
  const Case cases[] = {
      {server, trusting(authority), "mail.example", ""},
      {server, trusting(authority), "127.0.0.1", ""},
      {server, trusting(authority), "::1", ""},
      {server, trusting(authority), "mail2.example", "handshake: hostname mismatch"},
      {server, trusting(authority), "mail.example.org", "handshake: hostname mismatch"},
      {server, trusting(authority), "127.0.0.2", "handshake: IP address mismatch"},
      {server, trusting(stranger), "mail.example", "handshake: unable to get local issuer certificate"},
      {old, trusting(authority), "mail.example", "handshake: certificate has expired"},
      {server, trusting(authority), "", "cannot begin a handshake"},
      {old, *careless, "anything.example", ""},
  };
  for (const Case& c : cases) {
    INFO(c.host << " " << c.reason);
    Loop loop;
    const auto ends = shake(loop, c.server, c.client, c.host);
    CHECK(ends.client.has_value() == c.reason.empty());
    if (!ends.client) {
      CHECK(ends.client.error().code == Errc::tls);
      CHECK(ends.client.error().detail == c.reason);
      if (!c.host.empty()) CHECK_FALSE(ends.server);
    }
  }
}

namespace {

/// One connection with some traffic, so that tickets arrive; whether it resumed.
bool visit(Loop& loop, const std::shared_ptr<ServerContext>& server,
           const std::shared_ptr<ClientContext>& client, const std::string& host) {
  auto ends = shake(loop, server, client, host);
  REQUIRE(ends.server);
  REQUIRE(ends.client);
  check_echo(loop, **ends.server, **ends.client, "220 ready");
  check_echo(loop, **ends.client, **ends.server, "EHLO");
  return last_handshake.resumed;
}

}  // namespace

TEST_CASE("sessions resume, by host, and over a reload of the server") {
  const TestAuthority authority;
  const auto files = authority.issue("mail", "DNS:mail.example,DNS:imap.example");
  const auto server = serving({files});
  const auto client = trusting(authority);
  Loop loop;
  CHECK_FALSE(visit(loop, server, client, "mail.example"));
  CHECK(visit(loop, server, client, "mail.example"));
  CHECK(visit(loop, server, client, "mail.example"));
  CHECK_FALSE(visit(loop, server, client, "imap.example"));
  REQUIRE(server->reload());
  CHECK(visit(loop, server, client, "mail.example"));
  CHECK_FALSE(visit(loop, serving({files}), client, "mail.example"));
  CHECK_FALSE(visit(loop, server, trusting(authority), "mail.example"));
}

TEST_CASE("a reload changes new connections and leaves old ones; a wrong file changes nothing") {
  const TestAuthority authority;
  const auto files = authority.issue("mail", "DNS:before.example");
  const auto server = serving({files});
  Loop loop;
  auto old = shake(loop, server, trusting(authority), "before.example");
  REQUIRE(old.client);

  (void)authority.issue("mail", "DNS:after.example");
  REQUIRE(server->reload());
  check_echo(loop, **old.client, **old.server, "still here");
  check_echo(loop, **old.server, **old.client, pattern(100'000));
  CHECK(shake(loop, server, trusting(authority), "after.example").client);
  CHECK_FALSE(shake(loop, server, trusting(authority), "before.example").client);

  std::ofstream(files.chain, std::ios::trunc) << "no certificate\n";
  auto reloaded = server->reload();
  REQUIRE_FALSE(reloaded);
  CHECK(reloaded.error().code == Errc::invalid);
  CHECK(reloaded.error().detail.find(files.chain) != std::string::npos);
  CHECK(shake(loop, server, trusting(authority), "after.example").client);

  (void)authority.issue("mail", "DNS:after.example");
  const auto other = authority.issue("other", "DNS:other.example");
  std::filesystem::copy_file(other.key, files.key, std::filesystem::copy_options::overwrite_existing);
  reloaded = server->reload();
  REQUIRE_FALSE(reloaded);
  CHECK(reloaded.error().detail.find(files.key) != std::string::npos);
  check_echo(loop, **old.client, **old.server, "and still");

  const auto missing = ServerContext::load({{authority.folder() + "/none.pem", files.key}});
  REQUIRE_FALSE(missing);
  CHECK(missing.error().detail.find("/none.pem") != std::string::npos);
  CHECK_FALSE(ServerContext::load({}));
  const auto no_authority = ClientContext::create({authority.folder() + "/none.pem", true, {}, {}});
  REQUIRE_FALSE(no_authority);
  CHECK(no_authority.error().detail.find("/none.pem") != std::string::npos);
}

TEST_CASE("a server knows when its certificates end") {
  const TestAuthority authority;
  const auto server =
      serving({authority.issue("mail", "DNS:mail.example"), authority.issue("old", "DNS:old.example", true)});
  const auto ends = server->ends();
  REQUIRE(ends.size() == 2);
  CHECK(ends[0].file.ends_with("/mail.pem"));
  CHECK(std::abs(ends[0].seconds - unix_seconds() - 86'400) < 60);
  CHECK(ends[1].seconds < unix_seconds());
}

TEST_CASE("what is wrong with a PEM file is said in words") {
  const TestAuthority authority;
  const auto files = authority.issue("mail", "DNS:mail.example");
  const auto refusal = [](const std::string& chain, const std::string& key) {
    const auto loaded = ServerContext::load({{chain, key}});
    REQUIRE_FALSE(loaded);
    return loaded.error().detail;
  };
  const std::string text = authority.folder() + "/text";
  std::ofstream(text) << "no certificate\n";
  CHECK(refusal(text, files.key) == "certificate " + text + ": not a PEM certificate");
  CHECK(refusal(files.key, files.key) == "certificate " + files.key + ": not a PEM certificate");
  CHECK(refusal(files.chain, text) == "key " + text + ": not a PEM key");
  CHECK(refusal(files.chain, files.chain) == "key " + files.chain + ": not a PEM key");
  std::ofstream(text, std::ios::trunc) << "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  CHECK(refusal(text, files.key) == "certificate " + text + ": not a PEM certificate");
  const std::string locked = authority.folder() + "/locked";
  std::ofstream(locked) << kLockedKey;
  CHECK(refusal(files.chain, locked) == "key " + locked + ": it has a passphrase");
}

TEST_CASE("close_notify is the end; a connection that just ends is an error") {
  const TestAuthority authority;
  const auto server = serving({authority.issue("mail", "DNS:mail.example")});
  Loop loop;
  auto clean = shake(loop, server, trusting(authority), "mail.example");
  REQUIRE(clean.client);
  Result<std::string> got;
  run_on_loop(loop,
              both(write_then_end(**clean.client, "last words"), read_octets(**clean.server, 1000, got)));
  CHECK(got == "last words");
  run_on_loop(loop, read_octets(**clean.server, 1, got));
  CHECK(got == "");
  check_echo(loop, **clean.server, **clean.client, "the other direction is open");

  auto cut = shake(loop, server, trusting(authority), "mail.example");
  REQUIRE(cut.client);
  check_echo(loop, **cut.client, **cut.server, "words");
  (*cut.client)->close();
  run_on_loop(loop, read_octets(**cut.server, 1, got));
  REQUIRE_FALSE(got);
  CHECK(got.error().code == Errc::closed);
}

TEST_CASE("megabytes cross both ways at once") {
  const TestAuthority authority;
  Loop loop;
  auto ends = shake(loop, serving({authority.issue("mail", "DNS:mail.example")}), trusting(authority),
                    "mail.example");
  REQUIRE(ends.client);
  const std::string data = pattern(10'000'000);
  Result<std::string> at_server;
  Result<std::string> at_client;
  run_on_loop(loop,
              both(both(write_all(**ends.client, data), read_octets(**ends.server, data.size(), at_server)),
                   both(write_all(**ends.server, data), read_octets(**ends.client, data.size(), at_client))));
  REQUIRE(at_server);
  REQUIRE(at_client);
  CHECK(*at_server == data);
  CHECK(*at_client == data);
}

namespace {

/// Passes another stream on, and turns over one bit of the byte at `position` of what is read.
class FlippingStream final : public Stream {
 public:
  FlippingStream(StreamPtr inner, std::size_t position) : inner_(std::move(inner)), position_(position) {}

  Task<Result<std::string_view>> read() override {
    const auto bytes = co_await inner_->read();
    if (!bytes) co_return bytes;
    const auto buffer = loop().read_buffer();
    if (position_ >= seen_ && position_ < seen_ + bytes->size()) {
      char& byte = buffer[position_ - seen_];
      byte = static_cast<char>(byte ^ 1);
    }
    seen_ += bytes->size();
    co_return bytes;
  }
  Task<Result<>> write(std::string_view data) override { return inner_->write(data); }
  Task<Result<>> shutdown() override { return inner_->shutdown(); }
  void close() override { inner_->close(); }
  void set_deadline(std::optional<net::TimePoint> at) override { inner_->set_deadline(at); }
  Loop& loop() override { return inner_->loop(); }

 private:
  StreamPtr inner_;
  std::size_t position_;
  std::size_t seen_ = 0;
};

}  // namespace

TEST_CASE("a bit that was turned over anywhere is noticed") {
  const TestAuthority authority;
  const auto server = serving({authority.issue("mail", "DNS:mail.example")});
  // The handshake of the client is about 300 octets and Finished about 80; what comes later is data.
  std::size_t in_handshake = 0;
  std::size_t in_data = 0;
  for (std::size_t position = 0; position < 2000; position += 61) {
    INFO(position);
    Loop loop;
    Ends ends;
    auto [a, b] = socket_pair(loop);
    auto flipping = std::make_unique<FlippingStream>(std::move(a), position);
    run_on_loop(loop, both(accept_into(std::move(flipping), server, ends.server),
                           connect_into(std::move(b), trusting(authority), "mail.example", ends.client)));
    if (!ends.server || !ends.client) {
      // One side noticed, and closed on the other.
      ++in_handshake;
      continue;
    }
    ++in_data;
    (*ends.server)->set_timeout(Millis(5000));
    Result<std::string> got;
    run_on_loop(loop, both(write_all(**ends.client, pattern(3000)), read_octets(**ends.server, 3000, got)));
    REQUIRE_FALSE(got);
    CHECK((got.error().code == Errc::tls || got.error().code == Errc::closed ||
           got.error().code == Errc::timed_out));
    Result<std::string> after;
    run_on_loop(loop, read_octets(**ends.server, 1, after));
    CHECK_FALSE(after);
  }
  CHECK(in_handshake >= 5);
  CHECK(in_data >= 20);
}

namespace {

Task<void> accept_silence(Loop& loop, std::shared_ptr<ServerContext> context, Result<StreamPtr>& out) {
  out = co_await accept_tls(net::testing::make_stalling_stream(loop, {}, 1000), std::move(context),
                            loop.now() + Millis(10));
}

}  // namespace

TEST_CASE("garbage instead of a handshake is refused, silence ends at the deadline") {
  const TestAuthority authority;
  const auto server = serving({authority.issue("mail", "DNS:mail.example")});
  for (const std::string& garbage :
       {std::string("EHLO mail.example\r\n"), std::string(300, '\x16'),
        std::string("\x16\x03\x01\xff\xff", 5) + "x", std::string("GET / HTTP/1.1\r\n\r\n"), pattern(1000)}) {
    Loop loop;
    Ends ends;
    run_on_loop(
        loop, accept_into(std::make_unique<net::testing::MemoryStream>(loop, garbage), server, ends.server));
    REQUIRE_FALSE(ends.server);
    CHECK((ends.server.error().code == Errc::tls || ends.server.error().code == Errc::closed));
    CHECK(ends.server.error().detail.find("mail") == std::string::npos);
  }
  Loop loop;
  Result<StreamPtr> silent;
  run_on_loop(loop, accept_silence(loop, server, silent));
  REQUIRE_FALSE(silent);
  CHECK(silent.error().code == Errc::timed_out);
}

namespace {

Task<void> note_error(Stream& stream, std::optional<Errc>& error, Event& done) {
  const auto bytes = co_await stream.read();
  if (!bytes) error = bytes.error().code;
  done.set();
}

Task<void> wait_for(Event& event) {
  co_await event;
}

}  // namespace

TEST_CASE("a TLS stream has deadlines and may be destroyed while somebody waits for it") {
  const TestAuthority authority;
  Loop loop;
  auto ends = shake(loop, serving({authority.issue("mail", "DNS:mail.example")}), trusting(authority),
                    "mail.example");
  REQUIRE(ends.client);
  std::optional<Errc> error;
  Event timed_out;
  (*ends.client)->set_timeout(Millis(5));
  spawn(note_error(**ends.client, error, timed_out));
  run_on_loop(loop, wait_for(timed_out));
  CHECK(error == Errc::timed_out);
  Event destroyed;
  spawn(note_error(**ends.server, error, destroyed));
  loop.post([&] { ends.server->reset(); });
  run_on_loop(loop, wait_for(destroyed));
  CHECK(error == Errc::closed);
}

namespace {

/// Sends its second write together with the third.
class CorkedStream final : public Stream {
 public:
  explicit CorkedStream(StreamPtr inner) : inner_(std::move(inner)) {}

  Task<Result<std::string_view>> read() override { return inner_->read(); }
  Task<Result<>> write(std::string_view data) override {
    corked_.append(data);
    if (++writes_ == 2) co_return Result<>();
    const std::string joined = std::exchange(corked_, {});
    co_return co_await inner_->write(joined);
  }
  Task<Result<>> shutdown() override { return inner_->shutdown(); }
  void close() override { inner_->close(); }
  void set_deadline(std::optional<net::TimePoint> at) override { inner_->set_deadline(at); }
  Loop& loop() override { return inner_->loop(); }

 private:
  StreamPtr inner_;
  std::string corked_;
  int writes_ = 0;
};

Task<void> connect_and_speak(StreamPtr lower, std::shared_ptr<ClientContext> context,
                             Result<StreamPtr>& out) {
  const auto deadline = lower->loop().now() + Millis(10'000);
  out = co_await connect_tls(std::make_unique<CorkedStream>(std::move(lower)), std::move(context),
                             "mail.example", deadline);
  if (out) (void)co_await (*out)->write("first words");
}

}  // namespace

TEST_CASE("bytes that came with the end of the handshake are not lost") {
  const TestAuthority authority;
  const auto server = serving({authority.issue("mail", "DNS:mail.example")});
  Loop loop;
  auto [a, b] = socket_pair(loop);
  Ends ends;
  run_on_loop(loop, both(accept_into(std::move(a), server, ends.server),
                         connect_and_speak(std::move(b), trusting(authority), ends.client)));
  REQUIRE(ends.server);
  Result<std::string> got;
  run_on_loop(loop, read_octets(**ends.server, 11, got));
  CHECK(got == "first words");
}

namespace {

/// So many connections one after another, with a word each; how many worked.
Task<void> visit_often(Loop& loop, std::shared_ptr<ServerContext> server,
                       std::shared_ptr<ClientContext> client, int times, std::promise<int>& worked) {
  int good = 0;
  for (int i = 0; i < times; ++i) {
    int fds[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0) break;
    auto a = net::adopt_unix(loop, fds[0]);
    auto b = net::adopt_unix(loop, fds[1]);
    Ends ends;
    co_await both(accept_into(std::move(*a), server, ends.server),
                  connect_into(std::move(*b), client, "mail.example", ends.client));
    if (!ends.server || !ends.client) continue;
    Result<std::string> got;
    co_await both(write_all(**ends.server, "220 ready"), read_octets(**ends.client, 9, got));
    if (got == "220 ready") ++good;
  }
  worked.set_value(good);
}

}  // namespace

TEST_CASE("workers share contexts while they are reloaded") {
  constexpr int kTimes = 40;
  const TestAuthority authority;
  const auto server = serving({authority.issue("mail", "DNS:mail.example")});
  const auto client = trusting(authority);
  std::promise<int> worked[3];
  net::Worker workers[3];
  for (std::size_t i = 0; i < 3; ++i) {
    workers[i].start([&, i](Loop& loop) { spawn(visit_often(loop, server, client, kTimes, worked[i])); });
  }
  for (int i = 0; i < kTimes; ++i) CHECK(server->reload());
  for (auto& result : worked) CHECK(result.get_future().get() == kTimes);
}

}  // namespace kage::tls
