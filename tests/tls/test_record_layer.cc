// The records behind a TLS 1.3 handshake: against OpenSSL's client, and against one that says what it should
// not.
#include "tls/record_layer.h"

#include <catch2/catch.hpp>
#include <random>

#include "tests/tls/test_certificates.h"
#include "tls/server_context.h"
#include "tls/ssl_connection.h"
#include "tls/view_bio.h"

namespace kage::tls {
namespace {

using testing::TestAuthority;
using Step = Protection::Step;

constexpr const char* kSuiteNames[] = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
                                       "TLS_CHACHA20_POLY1305_SHA256"};

/// OpenSSL's client and our server; octets are carried by hand.
struct Pair {
  SslCtxPtr context{SSL_CTX_new(TLS_client_method())};
  CipherText client_text;
  CipherText server_text;
  std::string down;
  SslPtr client;
  std::unique_ptr<SslConnection> connection;
  std::unique_ptr<Protection> server;

  explicit Pair(const ServerContext& served, const char* suite = kSuiteNames[0],
                SSL_SESSION* session = nullptr, std::uint64_t records_a_key = RecordLayer::kRecordsAKey) {
    client.reset(SSL_new(context.get()));
    SSL_set_ciphersuites(client.get(), suite);
    if (session != nullptr) SSL_set_session(client.get(), session);
    SSL_set_connect_state(client.get());
    REQUIRE(attach(client.get(), client_text));
    auto made = served.connection();
    connection = std::make_unique<SslConnection>(made.ssl, made.keep, server_text);
    for (int turn = 0; turn < 5; ++turn) {
      const bool done = SSL_do_handshake(client.get()) == 1;
      const std::string up = std::exchange(client_text.output, {});
      server_text.input = up;
      if (connection->shake(server_text) == Step::full) {
        server = connection->hand_over(records_a_key);
        break;
      }
      CHECK_FALSE(done);
      to_client();
    }
  }

  /// Lets the client read what the server has written; what it got.
  std::string to_client() {
    down = std::exchange(server_text.output, {});
    client_text.input = down;
    if (SSL_is_init_finished(client.get()) == 0) return {};
    std::string got;
    std::string room(20000, '\0');
    std::size_t count = 0;
    while (SSL_read_ex(client.get(), room.data(), room.size(), &count) == 1) got.append(room, 0, count);
    CHECK(client_text.input.empty());
    return got;
  }

  /// Lets the server read what the client has written, `piece` octets at a time.
  std::string to_server(Step& step, std::size_t piece = 1U << 20U, std::size_t room_size = 32768) {
    const std::string up = std::exchange(client_text.output, {});
    std::string got;
    std::string room(room_size, '\0');
    step = Step::more;
    for (std::size_t at = 0; at < up.size(); at += piece) {
      server_text.input = std::string_view(up).substr(at, piece);
      do {
        std::size_t size = 0;
        step = server->open(server_text, room, size);
        got.append(room, 0, size);
      } while (step == Step::full);
      if (step == Step::more) CHECK(server_text.input.empty());
    }
    return got;
  }

  void say(std::string_view data) {
    std::size_t count = 0;
    REQUIRE((data.empty() || SSL_write_ex(client.get(), data.data(), data.size(), &count) == 1));
  }
};

std::string text_of(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 7 + i / 251);
  return text;
}

std::shared_ptr<ServerContext> serving(const TestAuthority& authority) {
  auto context = ServerContext::load({authority.issue("mail", "DNS:mail.example")});
  REQUIRE(context);
  return *context;
}

Secret secret_of(std::size_t size, unsigned char first) {
  Secret secret;
  for (unsigned char& octet : secret.resize(size)) octet = first++;
  return secret;
}

std::string from_hex(std::string_view digits) {
  std::string out;
  for (std::size_t i = 0; i < digits.size(); i += 2)
    out.push_back(static_cast<char>(std::stoi(std::string(digits.substr(i, 2)), nullptr, 16)));
  return out;
}

/// A peer without OpenSSL, which can say anything. Ours is called `server` though it may be the client.
class Rogue {
 public:
  static constexpr std::uint64_t kSent = 3;

  [[nodiscard]] std::string record(std::string_view content, std::uint8_t type) {
    const std::size_t body = content.size() + 17;
    std::string out{23, 3, 3, static_cast<char>(body >> 8U), static_cast<char>(body & 0xffU)};
    const std::string header = out;
    out.resize(out.size() + body);
    REQUIRE(up_.seal(octets(header), content, type, reinterpret_cast<unsigned char*>(out.data()) + 5));
    return out;
  }

  /// A KeyUpdate that asks for one.
  [[nodiscard]] std::string request_keys() {
    std::string out = record(std::string_view("\x18\0\0\1\1", 5), 22);
    REQUIRE(up_.update());
    return out;
  }

  /// The server's next records are under new keys.
  void renew_down() { REQUIRE(down_.update()); }

  Step hear(std::string_view octets_sent) {
    text.input = octets_sent;
    std::string room(32768, '\0');
    std::size_t size = 0;
    const Step step = server.open(text, room, size);
    got.append(room, 0, size);
    return step;
  }

  /// The content of the server's next record, type at its end.
  std::string answer() {
    if (text.output.size() < 22) return {};
    const std::size_t body = static_cast<std::size_t>(static_cast<unsigned char>(text.output[3])) << 8U |
                             static_cast<unsigned char>(text.output[4]);
    std::string content(body - RecordKeys::kTag, '\0');
    REQUIRE(down_.open(octets(text.output.substr(0, 5)), std::string_view(text.output).substr(5, body),
                       reinterpret_cast<unsigned char*>(content.data())));
    text.output.erase(0, 5 + body);
    return content;
  }

  CipherText text;
  std::string got;
  RecordLayer server;

  explicit Rogue(RecordLayer::Role role = RecordLayer::Role::server)
      : server(suite(), secrets(), role, {kSent, 0}),
        up_(suite(), role == RecordLayer::Role::server ? secrets().client : secrets().server,
            RecordKeys::Use::sealing, 0),
        down_(suite(), role == RecordLayer::Role::server ? secrets().server : secrets().client,
              RecordKeys::Use::opening, kSent) {}

 private:
  static const Suite& suite() { return *find_suite(0x1301); }
  static TrafficSecrets secrets() { return {secret_of(32, 1), secret_of(32, 100)}; }
  static std::span<const unsigned char> octets(std::string_view header) {
    return {reinterpret_cast<const unsigned char*>(header.data()), header.size()};
  }

  RecordKeys up_, down_;
};

constexpr std::uint8_t kAlert = 21;
constexpr std::uint8_t kHandshake = 22;
constexpr std::uint8_t kData = 23;

}  // namespace

TEST_CASE("keys come from a traffic secret as in RFC 8448") {
  const std::string given = from_hex("a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643");
  Secret secret;
  std::ranges::copy(given, secret.resize(given.size()).begin());
  std::string key(16, '\0');
  std::string iv(12, '\0');
  REQUIRE(expand_label("SHA256", secret, "key", {reinterpret_cast<unsigned char*>(key.data()), key.size()}));
  REQUIRE(expand_label("SHA256", secret, "iv", {reinterpret_cast<unsigned char*>(iv.data()), iv.size()}));
  CHECK(key == from_hex("9f02283b6c9c07efc26bb9f2ac92e356"));
  CHECK(iv == from_hex("cf782b88dd83549aadf1e984"));
}

TEST_CASE("OpenSSL's client understands our records, with every suite, in pieces of any size") {
  const TestAuthority authority;
  const auto served = serving(authority);
  for (const char* suite : kSuiteNames) {
    INFO(suite);
    Pair pair(*served, suite);
    REQUIRE(pair.server);
    CHECK(std::string_view(SSL_get_cipher_name(pair.client.get())) == suite);
    for (const std::size_t size : {1UL, 2UL, 100UL, 16383UL, 16384UL, 16385UL, 100'000UL}) {
      for (const std::size_t piece : {1UL << 20U, 16406UL, 1000UL}) {
        const std::string data = text_of(size);
        pair.say(data);
        Step step{};
        CHECK(pair.to_server(step, piece, 16500) == data);
        CHECK(step == Step::more);
        CHECK(pair.server->seal(pair.server_text, data));
        pair.server->rest();
        CHECK(pair.to_client() == data);
      }
    }
    pair.say("a few octets, one by one");
    Step step{};
    CHECK(pair.to_server(step, 1) == "a few octets, one by one");
    SSL_shutdown(pair.client.get());
    CHECK(pair.to_server(step).empty());
    CHECK(step == Step::ended);
    CHECK(pair.server->seal(pair.server_text, "and the other direction is open"));
    pair.server->end(pair.server_text);
    CHECK_FALSE(pair.server->seal(pair.server_text, "no more"));
    CHECK(pair.to_client() == "and the other direction is open");
    CHECK((SSL_get_shutdown(pair.client.get()) & SSL_RECEIVED_SHUTDOWN) != 0);
  }
}

TEST_CASE("keys are renewed when the client does so, when it asks, and when ours are used up") {
  const TestAuthority authority;
  const auto served = serving(authority);
  for (const char* suite : kSuiteNames) {
    INFO(suite);
    Pair pair(*served, suite, nullptr, 4);
    REQUIRE(pair.server);
    CHECK(pair.to_client().empty());  // the ticket
    for (const int kind : {SSL_KEY_UPDATE_NOT_REQUESTED, SSL_KEY_UPDATE_REQUESTED}) {
      for (int round = 0; round < 5; ++round) {
        REQUIRE(SSL_key_update(pair.client.get(), kind) == 1);
        pair.say("under new keys");
        Step step{};
        CHECK(pair.to_server(step) == "under new keys");
        CHECK(pair.server_text.output.empty() == (kind == SSL_KEY_UPDATE_NOT_REQUESTED));
        CHECK(pair.server->seal(pair.server_text, text_of(50'000)));
        CHECK(pair.to_client() == text_of(50'000));
      }
    }
  }
}

TEST_CASE("a session is resumed with the ticket that was sent before the records were handed over") {
  const TestAuthority authority;
  const auto served = serving(authority);
  SslSessionPtr session;
  for (int visit = 0; visit < 3; ++visit) {
    Pair pair(*served, kSuiteNames[1], session.get());
    REQUIRE(pair.server);
    CHECK((SSL_session_reused(pair.client.get()) == 1) == (visit > 0));
    CHECK(pair.server->seal(pair.server_text, "220 ready"));
    CHECK(pair.to_client() == "220 ready");
    session.reset(SSL_get1_session(pair.client.get()));
    REQUIRE(SSL_SESSION_is_resumable(session.get()) == 1);
    SSL_set_shutdown(pair.client.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  }
}

TEST_CASE("TLS 1.2, and a client that takes small records only, stay with OpenSSL") {
  const TestAuthority authority;
  const auto served = serving(authority);
  for (const bool small : {false, true}) {
    SslCtxPtr context(SSL_CTX_new(TLS_client_method()));
    if (small) {
      SSL_CTX_set_tlsext_max_fragment_length(context.get(), TLSEXT_max_fragment_length_512);
    } else {
      SSL_CTX_set_max_proto_version(context.get(), TLS1_2_VERSION);
    }
    const SslPtr client(SSL_new(context.get()));
    CipherText client_text;
    CipherText server_text;
    SSL_set_connect_state(client.get());
    REQUIRE(attach(client.get(), client_text));
    auto made = served->connection();
    SslConnection connection(made.ssl, made.keep, server_text);
    Step step = Step::more;
    std::string up;
    std::string down;
    for (int turn = 0; turn < 5 && step == Step::more; ++turn) {
      SSL_do_handshake(client.get());
      up = std::exchange(client_text.output, {});
      server_text.input = up;
      step = connection.shake(server_text);
      down = std::exchange(server_text.output, {});
      client_text.input = down;
    }
    REQUIRE(step == Step::full);
    CHECK(connection.hand_over() == nullptr);
    CHECK(SSL_version(client.get()) == (small ? TLS1_3_VERSION : TLS1_2_VERSION));
  }
}

TEST_CASE("padding and a few empty records are nothing, many are refused") {
  Rogue rogue;
  CHECK(rogue.hear(rogue.record(std::string("padded\x17\0\0\0", 10), 0)) == Step::more);
  for (int i = 0; i < 32; ++i) CHECK(rogue.hear(rogue.record("", kData)) == Step::more);
  CHECK(rogue.hear(rogue.record(std::string(16384, 'x'), kData)) == Step::more);
  CHECK(rogue.got == "padded" + std::string(16384, 'x'));
  for (int i = 0; i < 32; ++i) CHECK(rogue.hear(rogue.record("", kData)) == Step::more);
  CHECK(rogue.answer().empty());
  CHECK(rogue.hear(rogue.record("", kData)) == Step::failed);
  CHECK(rogue.answer() == "\2\x0a\x15");
}

TEST_CASE("what a client must not say ends the connection with the alert of RFC 8446") {
  struct Case {
    std::string content;
    std::uint8_t type;
    char alert;  ///< 0: none
  };
  const std::vector<Case> cases{
      {"", 0, 10},
      {std::string(20, '\0'), 0, 10},
      {"x", 99, 10},
      {"\1", 20, 10},                        // ChangeCipherSpec
      {std::string(16385, 'x'), kData, 22},  // longer than a record
      {"", kAlert, 10},
      {"\1", kAlert, 50},
      {"\1\0\0", kAlert, 50},
      {"\2\x14", kAlert, 0},  // bad_record_mac: not answered
      {std::string("\x18\0\0\1\2", 5), kHandshake, 47},
      {std::string("\x18\0\0\1", 4), kHandshake, 10},
      {std::string("\x18\0\0\1\0\x18\0\0\1\0", 10), kHandshake, 10},
      {std::string("\1\0\0\1\0", 5), kHandshake, 10},  // ClientHello
      {"", kHandshake, 10},
  };
  for (const Case& c : cases) {
    INFO(int(c.type) << " " << c.content.size() << " " << int(c.alert));
    Rogue rogue;
    CHECK(rogue.hear(rogue.record("before", kData) + rogue.record(c.content, c.type)) == Step::failed);
    CHECK(rogue.got == "before");
    CHECK(rogue.server.failed());
    CHECK(rogue.answer() == (c.alert == 0 ? std::string() : std::string{2, c.alert, kAlert}));
    CHECK(rogue.hear(rogue.record("after", kData)) == Step::failed);
    CHECK_FALSE(rogue.server.seal(rogue.text, "after"));
    rogue.server.end(rogue.text);
    CHECK(rogue.text.output.empty());
  }
}

TEST_CASE("records that are none, too long, too short or not authentic are refused at once") {
  const auto refused = [](std::string_view octets, char alert) {
    Rogue rogue;
    INFO(octets.size());
    CHECK(rogue.hear(octets) == Step::failed);
    CHECK(rogue.answer() == std::string{2, alert, kAlert});
  };
  refused("GET / HTTP/1.1\r\n", 10);
  refused(std::string("\x15\3\3\0\2\1\0", 7), 10);  // an alert in the clear
  refused(std::string("\x17\3\3\x41\1", 5), 22);    // only the header has come
  refused(std::string("\x17\3\3\0\x10", 5), 50);
  refused(std::string("\x17\3\3\0\x11", 5) + std::string(17, 'x'), 20);
  Rogue rogue;
  const std::string first = rogue.record("first", kData);
  const std::string second = rogue.record("second", kData);
  CHECK(rogue.hear(second) == Step::failed);  // out of order
  Rogue again;
  const std::string once = again.record("once", kData);
  CHECK(again.hear(once) == Step::more);
  CHECK(again.hear(once) == Step::failed);  // twice
  CHECK(again.got == "once");
}

TEST_CASE("close_notify ends what is read, user_canceled does not") {
  Rogue rogue;
  CHECK(rogue.hear(rogue.record("\1\x5a", kAlert)) == Step::more);
  CHECK(rogue.hear(rogue.record(std::string("\1\0", 2), kAlert) + rogue.record("late", kData)) ==
        Step::ended);
  CHECK(rogue.got.empty());
  CHECK(rogue.hear(rogue.record("later", kData)) == Step::ended);
  rogue.server.end(rogue.text);
  rogue.server.end(rogue.text);
  CHECK(rogue.answer() == std::string{1, 0, kAlert});
  CHECK(rogue.answer().empty());
}

TEST_CASE("many requests for new keys get one answer") {
  Rogue rogue;
  CHECK(rogue.hear(rogue.record(std::string("\x18\0\0\1\1", 5), kHandshake)) == Step::more);
  CHECK(rogue.answer() == std::string("\x18\0\0\1\0\x16", 6));
  CHECK(rogue.text.output.empty());
}

namespace {

/// Our client and OpenSSL's server; octets are carried by hand.
struct ClientPair {
  SslCtxPtr context{SSL_CTX_new(TLS_client_method())};
  CipherText client_text;
  CipherText server_text;
  std::string up, down;
  SslPtr server;
  SslConnection client;

  ClientPair(const ServerContext& served, SSL_SESSION* session)
      : server(served.connection().ssl), client(make_client(session), nullptr, client_text) {
    // As a context has it that keeps sessions.
    tell_secrets(context.get());
    REQUIRE(attach(server.get(), server_text));
    Step step = Step::more;
    for (int turn = 0; turn < 5; ++turn) {
      if (step == Step::more) step = client.shake(client_text);
      carry_up();
      SSL_do_handshake(server.get());
      if (step == Step::full) break;
      carry_down();
    }
    REQUIRE(step == Step::full);
    CHECK(client.hand_over() == nullptr);  // the tickets have not come
  }

  SSL* make_client(SSL_SESSION* session) {
    SSL* const ssl = SSL_new(context.get());
    SSL_set_connect_state(ssl);
    if (session != nullptr) SSL_set_session(ssl, session);
    return ssl;
  }
  void carry_up() {
    up = std::exchange(client_text.output, {});
    server_text.input = up;
  }
  void carry_down() {
    down = std::exchange(server_text.output, {});
    client_text.input = down;
  }
  void say(std::string_view data) {
    std::size_t count = 0;
    REQUIRE(SSL_write_ex(server.get(), data.data(), data.size(), &count) == 1);
  }
  /// What the client gets of what the server has written.
  std::string hear(Protection& at) {
    carry_down();
    std::string room(200'000, '\0');
    std::size_t size = 0;
    CHECK(at.open(client_text, room, size) == Step::more);
    return room.substr(0, size);
  }
  std::string server_hears() {
    carry_up();
    std::string room(200'000, '\0');
    std::string got;
    std::size_t count = 0;
    while (SSL_read_ex(server.get(), room.data(), room.size(), &count) == 1) got.append(room, 0, count);
    CHECK(SSL_get_error(server.get(), 0) == SSL_ERROR_WANT_READ);
    return got;
  }
};

}  // namespace

TEST_CASE("a client hands over when the server has sent its tickets and data") {
  const TestAuthority authority;
  const auto served = serving(authority);
  SslSessionPtr session;
  for (int visit = 0; visit < 2; ++visit) {
    INFO(visit);
    ClientPair pair(*served, session.get());
    CHECK((SSL_session_reused(pair.server.get()) == 1) == (visit > 0));
    CHECK(pair.client.seal(pair.client_text, "CAPA"));
    CHECK(pair.server_hears() == "CAPA");
    pair.say("+OK");
    pair.say(text_of(50'000));
    CHECK(pair.hear(pair.client) == "+OK" + text_of(50'000));
    session = pair.client.session();
    CHECK(SSL_SESSION_is_resumable(session.get()) == 1);
    const auto records = pair.client.hand_over();
    REQUIRE(records);
    for (const int kind : {SSL_KEY_UPDATE_NONE, SSL_KEY_UPDATE_REQUESTED, SSL_KEY_UPDATE_NOT_REQUESTED}) {
      if (kind != SSL_KEY_UPDATE_NONE) REQUIRE(SSL_key_update(pair.server.get(), kind) == 1);
      pair.say(text_of(40'000));
      CHECK(pair.hear(*records) == text_of(40'000));
      CHECK(records->seal(pair.client_text, text_of(70'000)));
      CHECK(pair.server_hears() == text_of(70'000));
    }
    REQUIRE(SSL_new_session_ticket(pair.server.get()) == 1);  // one that is not expected any more
    pair.say("after a ticket");
    CHECK(pair.hear(*records) == "after a ticket");
  }
}

TEST_CASE("a client does not hand over in the middle of a record, or after other keys") {
  const TestAuthority authority;
  const auto served = serving(authority);
  ClientPair pair(*served, nullptr);
  pair.say("first");
  pair.say("second");
  pair.carry_down();
  pair.client_text.input.remove_suffix(1);
  std::string room(32768, '\0');
  std::size_t size = 0;
  CHECK(pair.client.open(pair.client_text, room, size) == Step::more);
  CHECK(room.substr(0, size) == "first");
  CHECK(pair.client.hand_over() == nullptr);
  pair.client_text.input = std::string_view(pair.down).substr(pair.down.size() - 1);
  CHECK(pair.client.open(pair.client_text, room, size) == Step::more);
  CHECK(room.substr(0, size) == "second");
  CHECK(pair.client.hand_over() != nullptr);

  ClientPair other(*served, nullptr);
  REQUIRE(SSL_key_update(other.server.get(), SSL_KEY_UPDATE_NOT_REQUESTED) == 1);
  other.say("under new keys");
  CHECK(other.hear(other.client) == "under new keys");
  CHECK(other.client.hand_over() == nullptr);
}

TEST_CASE("a client neither hands over nor fails in the middle of a ticket") {
  const TestAuthority authority;
  const auto served = serving(authority);
  for (const bool writes_much : {false, true}) {
    ClientPair pair(*served, nullptr);
    pair.say("220 ready");
    CHECK(pair.hear(pair.client) == "220 ready");
    // A ticket that takes several records.
    const std::string ballast = text_of(2000);
    REQUIRE(SSL_SESSION_set1_ticket_appdata(SSL_get_session(pair.server.get()), ballast.data(),
                                            ballast.size()) == 1);
    REQUIRE(SSL_set_max_send_fragment(pair.server.get(), 512) == 1);
    REQUIRE(SSL_new_session_ticket(pair.server.get()) == 1);
    pair.say("250 ok");
    pair.carry_down();
    constexpr std::size_t kFirstRecord = 5 + 512 + 1 + RecordKeys::kTag;
    REQUIRE(pair.down.size() > 4 * kFirstRecord);
    pair.client_text.input = std::string_view(pair.down).substr(0, kFirstRecord);
    std::string room(32768, '\0');
    std::size_t size = 0;
    CHECK(pair.client.open(pair.client_text, room, size) == Step::more);
    CHECK(pair.client.hand_over() == nullptr);
    CHECK(pair.client.seal(pair.client_text, "NOOP"));
    CHECK(pair.client.seal(pair.client_text, " again"));
    if (writes_much) {
      CHECK_FALSE(pair.client.seal(pair.client_text, text_of(256UL * 1024)));
      CHECK(pair.client.failed());
      continue;
    }
    pair.client_text.input = std::string_view(pair.down).substr(kFirstRecord);
    CHECK(pair.client.open(pair.client_text, room, size) == Step::more);
    CHECK(room.substr(0, size) == "250 ok");
    CHECK(pair.server_hears() == "NOOP again");
    CHECK(pair.client.hand_over() != nullptr);
  }
}

TEST_CASE("a server's late tickets are passed over, whole, several or in pieces") {
  const std::string ticket = std::string("\4\0\0\7", 4) + "ticket!";
  Rogue rogue(RecordLayer::Role::client);
  CHECK(rogue.hear(rogue.record(ticket, kHandshake)) == Step::more);
  CHECK(rogue.hear(rogue.record(ticket + ticket + std::string("\x18\0\0\1\1", 5), kHandshake)) == Step::more);
  CHECK(rogue.answer() == std::string("\x18\0\0\1\0\x16", 6));
  Rogue pieces(RecordLayer::Role::client);
  CHECK(pieces.hear(
            pieces.record(ticket.substr(0, 4), kHandshake) + pieces.record(ticket.substr(4, 3), kHandshake) +
            pieces.record(ticket.substr(7), kHandshake) + pieces.record("data", kData)) == Step::more);
  CHECK(pieces.got == "data");
  CHECK(pieces.hear(pieces.record(ticket.substr(0, 8), kHandshake) + pieces.record("data", kData)) ==
        Step::failed);
  CHECK(pieces.answer() == "\2\x0a\x15");
  Rogue empty(RecordLayer::Role::client);
  CHECK(empty.hear(empty.record(ticket.substr(0, 8), kHandshake) + empty.record("", kHandshake)) ==
        Step::failed);
  CHECK(empty.answer() == "\2\x0a\x15");
  Rogue server;
  CHECK(server.hear(server.record(ticket, kHandshake)) == Step::failed);  // a client has none to give
}

TEST_CASE("requests for new keys fill no memory while nothing is sent, and are answered before more data") {
  const std::string answer("\x18\0\0\1\0\x16", 6);
  Rogue rogue;
  for (int i = 0; i < 1000; ++i) {
    CHECK(rogue.hear(rogue.request_keys() + rogue.record("x", kData)) == Step::more);
  }
  CHECK(rogue.text.output.size() == 5 + 6 + RecordKeys::kTag);
  CHECK(rogue.server.seal(rogue.text, "data"));
  CHECK(rogue.answer() == answer);
  rogue.renew_down();
  CHECK(rogue.answer() == answer);
  rogue.renew_down();
  CHECK(rogue.answer() == "data\x17");
  CHECK(rogue.server.seal(rogue.text, "more"));
  CHECK(rogue.answer() == "more\x17");
}

}  // namespace kage::tls
