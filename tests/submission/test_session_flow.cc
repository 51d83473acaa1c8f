// What a session does when Redis, the next hop or the client fails, when it is told to stop, and what it
// costs.
#include <catch2/catch.hpp>

#include "../net/test_streams.h"
#include "base/metrics.h"
#include "base/sasl.h"
#include "base/text.h"
#include "dialog.h"
#include "net/buffered_reader.h"

using namespace kage;
using namespace kage::submission;
using namespace kage::submission::test;

namespace {

/// A client that says one thing after another.
struct Client {
  explicit Client(net::StreamPtr s) : stream(std::move(s)), reader(*stream) {
    stream->set_timeout(net::Millis(30'000));
  }

  net::Task<void> send(std::string octets) { (void)co_await stream->write(octets); }
  /// The last line of the next answer; empty at the end.
  net::Task<std::string> answer() {
    for (;;) {
      const auto line = co_await reader.line(4096);
      if (!line) co_return std::string();
      if (line->size() < 4 || (*line)[3] != '-') co_return std::string(*line);
    }
  }
  net::Task<std::string> ask(std::string command) {
    co_await send(std::move(command) + "\r\n");
    co_return co_await answer();
  }

  net::StreamPtr stream;
  net::BufferedReader reader;
};

using Script = net::Task<void> (*)(SessionRig& rig, Client& client);

net::Task<void> play_script(SessionRig& rig, Client& client, Script script) {
  (void)co_await client.answer();
  co_await script(rig, client);
}

void play_inbound(SessionRig& rig, Script script, Face face = Face::inbound) {
  Client client(rig.connect(face));
  net::testing::run_on_loop(rig.loop, play_script(rig, client, script));
  client.stream->close();
}

std::string message_text(const std::string& id) {
  return "From: a@out.example\r\nMessage-ID: <" + id + "@out.example>\r\n\r\nbody\r\n.\r\n";
}

/// Up to the 354.
net::Task<void> begin(Client& client, std::string recipient = "pta@school.example") {
  (void)co_await client.ask("EHLO c.example");
  (void)co_await client.ask("MAIL FROM:<a@out.example>");
  (void)co_await client.ask("RCPT TO:<" + recipient + ">");
  (void)co_await client.ask("DATA");
}

net::Task<void> expect(Client& client, std::string command, std::string wanted) {
  const std::string answer = co_await client.ask(std::move(command));
  CHECK(answer.substr(0, wanted.size()) == wanted);
}

net::Task<void> log_in(Client& client) {
  (void)co_await client.ask("EHLO c.example");
  co_await expect(client, "AUTH PLAIN " + base64(make_plain("officer@gmail.example", kPassword)), "235");
}

}  // namespace

TEST_CASE("200 phantoms that are pipelined cost two trips to Redis before the answer") {
  SessionRig rig;
  rig.options.require_tls = false;
  static std::vector<std::string> phantoms;
  phantoms.clear();
  for (int i = 0; i < 200; ++i) {
    phantoms.push_back(rig.phantom("officer@gmail.example", "r" + std::to_string(i) + "@out.example"));
  }
  play_inbound(
      rig,
      [](SessionRig& the, Client& client) -> net::Task<void> {
        co_await log_in(client);
        std::string batch = "MAIL FROM:<officer@gmail.example>\r\n";
        for (const std::string& phantom : phantoms) batch += "RCPT TO:<" + phantom + ">\r\n";
        batch += "DATA\r\n";
        const auto before = metrics::value(metrics::Counter::redis_waits);
        co_await client.send(batch);
        for (int i = 0; i < 201; ++i) {
          const std::string answer = co_await client.answer();
          CHECK(answer.starts_with("250"));
        }
        const std::string go = co_await client.answer();
        CHECK(go.starts_with("354"));
        co_await expect(client,
                        "From: officer@gmail.example\r\nMessage-ID: <many@gmail.example>\r\n\r\nto all\r\n.",
                        "250");
        CHECK(the.sink->messages.size() == 200);
        // One to resolve, one to begin; those that note what was served are not waited for.
        CHECK(metrics::value(metrics::Counter::redis_waits) - before == 2);
      },
      Face::submission);
}

TEST_CASE("one copy is deferred: 451, and the retry delivers that one only") {
  SessionRig rig;
  bool broken = true;
  rig.sink->script = [&broken](Stage stage, std::string_view rcpt, int) -> std::optional<Action> {
    if (stage == Stage::rcpt && broken && rcpt.find("docomo") != std::string_view::npos) {
      return reply("450 4.2.1 mailbox of somebody@docomo.example busy\r\n");
    }
    return std::nullopt;
  };
  const auto attempt = [](SessionRig& the, Client& client) -> net::Task<void> {
    co_await begin(client);
    const bool first = the.sink->messages.empty();
    co_await client.send(message_text("retry"));
    const std::string answer = co_await client.answer();
    CHECK(answer == (first ? "451 4.2.1 Delivery deferred, try again later" : "250 2.0.0 Ok: delivered"));
  };
  play_inbound(rig, attempt);
  CHECK(rig.sink->messages.size() == 1);
  broken = false;
  play_inbound(rig, attempt);
  CHECK(rig.sink->messages.size() == 2);
  CHECK(rig.sink->count("docomo") == 1);
  CHECK(rig.sink->count("gmail") == 1);
}

TEST_CASE("one copy is refused: 554 without the next hop's words") {
  SessionRig rig;
  rig.sink->script = [](Stage stage, std::string_view rcpt, int) -> std::optional<Action> {
    if (stage == Stage::rcpt && rcpt.find("docomo") != std::string_view::npos) {
      return reply("550 5.2.1 somebody@docomo.example is gone\r\n");
    }
    return std::nullopt;
  };
  play_inbound(rig, [](SessionRig&, Client& client) -> net::Task<void> {
    co_await begin(client);
    co_await client.send(message_text("refused"));
    const std::string answer = co_await client.answer();
    CHECK(answer == "554 5.2.1 Delivery refused");
  });
}

TEST_CASE("a correspondent at a domain that is not ASCII, by a next hop without SMTPUTF8") {
  SessionRig rig;
  rig.options.require_tls = false;
  std::erase(rig.sink->extensions, "SMTPUTF8");
  play_inbound(
      rig,
      [](SessionRig& the, Client& client) -> net::Task<void> {
        co_await log_in(client);
        const std::string to = "taro@\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e.jp";
        for (const std::string subject : {"plain", "\xe6\x97\xa5"}) {
          (void)co_await client.ask("MAIL FROM:<officer@gmail.example> SMTPUTF8");
          (void)co_await client.ask("RCPT TO:<" + to + ">");
          (void)co_await client.ask("DATA");
          co_await expect(client,
                          "From: officer@gmail.example\r\nTo: Taro <" + to + ">\r\nSubject: " + subject +
                              "\r\nMessage-ID: <" + base64(subject) + "@gmail.example>\r\n\r\nb\r\n.",
                          subject == "plain" ? "250" : "554 5.6.7");
        }
        REQUIRE(the.sink->messages.size() == 1);
        CHECK(the.sink->messages[0].rcpt.starts_with("RCPT TO:<taro@xn--wgv71a119e.jp>"));
        CHECK(the.sink->messages[0].data.find("To: Taro <taro@xn--wgv71a119e.jp>\r\n") != std::string::npos);
      },
      Face::submission);
}

TEST_CASE("a client that goes away in mid-body delivers nothing, and its retry is not held up") {
  SessionRig rig;
  play_inbound(rig, [](SessionRig&, Client& client) -> net::Task<void> {
    co_await begin(client);
    co_await client.send("From: a@out.example\r\nMessage-ID: <gone@out.example>\r\n\r\n" +
                         make_body(100'000));
  });
  play_inbound(rig, [](SessionRig&, Client& client) -> net::Task<void> {
    co_await begin(client);
    co_await client.send(message_text("gone"));
    const std::string answer = co_await client.answer();
    CHECK(answer.starts_with("250"));
  });
  CHECK(rig.sink->messages.size() == 2);
}

namespace {

/// A client that holds a message's lock in mid-body, and another that sends the same message.
struct InFlight {
  SessionRig rig;
  std::optional<Client> first{rig.connect(Face::inbound)};
  std::optional<Client> second{rig.connect(Face::inbound)};
  std::uint64_t trips = 0;

  void play(net::Task<void> (*script)(InFlight& at)) {
    net::testing::run_on_loop(rig.loop, begin_both(*this, script));
  }
  /// Until the second has been refused the lock so often.
  net::Task<void> until_refused(std::uint64_t times) {
    while (metrics::value(metrics::Counter::redis_waits) < trips + times)
      co_await rig.loop.sleep(net::Millis(1));
  }

 private:
  static net::Task<void> begin_both(InFlight& at, net::Task<void> (*script)(InFlight& at)) {
    (void)co_await at.first->answer();
    (void)co_await at.second->answer();
    co_await begin(*at.first);
    co_await at.first->send("From: a@out.example\r\nMessage-ID: <twice@out.example>\r\n\r\nbo");
    at.trips = metrics::value(metrics::Counter::redis_waits);
    co_await at.until_refused(1);  // the first has the lock, or is about to
    co_await begin(*at.second, "office@school.example");
    at.trips = metrics::value(metrics::Counter::redis_waits);
    co_await at.second->send("From: a@out.example\r\nMessage-ID: <twice@out.example>\r\n\r\nbody\r\n.\r\n");
    co_await script(at);
  }
};

}  // namespace

TEST_CASE("a message for others, while the same is in flight, waits for it") {
  InFlight at;
  at.play([](InFlight& the) -> net::Task<void> {
    co_await the.until_refused(8);
    CHECK(the.rig.sink->messages.empty());
    co_await the.first->send("dy\r\n.\r\n");
    const std::string one = co_await the.first->answer();
    CHECK(one == "250 2.0.0 Ok: delivered");
    const std::string two = co_await the.second->answer();
    CHECK(two == "250 2.0.0 Ok: delivered");
    CHECK(the.rig.sink->messages.size() == 3);
  });
}

TEST_CASE("who waits for a message in flight and goes away, or stops listening, waits no longer") {
  InFlight at;
  at.play([](InFlight& the) -> net::Task<void> {
    co_await the.until_refused(2);
    (void)co_await the.second->stream->shutdown();
    const std::string answer = co_await the.second->answer();
    CHECK(answer == "451 4.3.2 Not now, try again later");
    CHECK(metrics::value(metrics::Counter::redis_waits) - the.trips < 8);
    co_await the.first->send("dy\r\n.\r\n");
    const std::string one = co_await the.first->answer();
    CHECK(one.starts_with("250"));
    CHECK(the.rig.sink->messages.size() == 2);
  });
}

TEST_CASE("a stop that passes its deadline ends the wait for a message in flight") {
  InFlight at;
  at.play([](InFlight& the) -> net::Task<void> {
    co_await the.until_refused(8);  // the next pause is a long one
    const net::TimePoint before = the.rig.loop.now();
    co_await the.rig.sessions->stop(before + net::Millis(20));
    CHECK(the.rig.sessions->size() == 0);
    CHECK(the.rig.loop.now() - before < net::Millis(600));
  });
  CHECK(at.rig.sink->messages.empty());
}

TEST_CASE("without routes everything is a 4xx") {
  SessionRig rig;
  rig.options.require_tls = false;
  mapping::SharedRoutes none("/nonexistent/master.key");
  mapping::Directory blind(rig.loop, rig.redis, none);
  rig.sessions = std::make_unique<Sessions>(
      Services{rig.loop, blind, *rig.hops, rig.authenticator, rig.throttle, rig.tls, rig.options});
  play_inbound(
      rig,
      [](SessionRig&, Client& client) -> net::Task<void> {
        (void)co_await client.ask("EHLO c.example");
        co_await expect(client, "AUTH PLAIN " + base64(make_plain("officer@gmail.example", kPassword)),
                        "454 4.7.0 Temporary failure: mapping not available");
        co_await expect(client, "MAIL FROM:<a@out.example>", "530");
      },
      Face::submission);
  play_inbound(rig, [](SessionRig&, Client& client) -> net::Task<void> {
    (void)co_await client.ask("EHLO c.example");
    co_await expect(client, "MAIL FROM:<a@out.example>",
                    "451 4.3.0 Temporary failure: mapping not available");
  });
  run(rig.loop, rig.sessions->stop(rig.loop.now() + net::Millis(1000)));
  rig.sessions.reset();
}

TEST_CASE("Redis that has gone: 451 at RCPT and after DATA, nothing delivered") {
  SessionRig rig;
  rig.redis.close();
  play_inbound(rig, [](SessionRig&, Client& client) -> net::Task<void> {
    (void)co_await client.ask("EHLO c.example");
    (void)co_await client.ask("MAIL FROM:<a@out.example>");
    co_await expect(client, "RCPT TO:<nobody@school.example>", "451 4.3.0");
    co_await expect(client, "RCPT TO:<pta@school.example>", "250");
    (void)co_await client.ask("DATA");
    co_await client.send(message_text("no-redis"));
    const std::string answer = co_await client.answer();
    CHECK(answer == "451 4.3.0 Temporary failure: mapping not available");
  });
  CHECK(rig.sink->messages.empty());
}

TEST_CASE("a graceful stop tells the idle and lets the busy end") {
  SessionRig rig;
  Client idle(rig.connect(Face::inbound));
  Client busy(rig.connect(Face::inbound));
  const auto script = [](SessionRig& the, Client& waiting, Client& sending) -> net::Task<void> {
    (void)co_await waiting.answer();
    (void)co_await sending.answer();
    co_await begin(sending);
    co_await sending.send("From: a@out.example\r\nMessage-ID: <stop@out.example>\r\n\r\nbo");
    net::spawn(the.sessions->stop(the.loop.now() + net::Millis(20'000)));
    const std::string told = co_await waiting.answer();
    CHECK(told == "421 4.3.2 Service shutting down");
    const std::string end = co_await waiting.answer();
    CHECK(end.empty());
    co_await sending.send("dy\r\n.\r\n");
    const std::string delivered = co_await sending.answer();
    CHECK(delivered == "250 2.0.0 Ok: delivered");
    const std::string last = co_await sending.answer();
    CHECK(last == "421 4.3.2 Service shutting down");
  };
  net::testing::run_on_loop(rig.loop, script(rig, idle, busy));
  CHECK(rig.sink->messages.size() == 2);
  CHECK(rig.sessions->size() == 0);
}

TEST_CASE("a stop that passes its deadline closes what is left, and nothing is delivered") {
  SessionRig rig;
  play_inbound(rig, [](SessionRig& the, Client& client) -> net::Task<void> {
    co_await begin(client);
    co_await client.send("From: a@out.example\r\n\r\nbo");
    co_await the.sessions->stop(the.loop.now() + net::Millis(50));
    CHECK(the.sessions->size() == 0);
    const std::string end = co_await client.answer();
    CHECK(end.empty());
  });
  CHECK(rig.sink->messages.empty());
}

TEST_CASE("a message of 100,000 fields, and one field without end") {
  SessionRig rig;
  play_inbound(rig, [](SessionRig&, Client& client) -> net::Task<void> {
    co_await begin(client);
    std::string fields;
    for (int i = 0; i < 100'000; ++i) fields += "A: b\r\n";
    co_await client.send(fields + "\r\n.\r\n");
    const std::string many = co_await client.answer();
    CHECK(many == "552 5.3.4 Header too large");
    (void)co_await client.ask("MAIL FROM:<a@out.example>");
    (void)co_await client.ask("RCPT TO:<pta@school.example>");
    (void)co_await client.ask("DATA");
    co_await client.send("Subject: ");
    const std::string piece(1 << 20, 'x');
    for (int i = 0; i < 20; ++i) co_await client.send(piece);
    co_await client.send("\r\n\r\n.\r\n");
    const std::string one = co_await client.answer();
    CHECK(one == "552 5.3.4 Header too large");
    co_await expect(client, "NOOP", "250");
  });
}

TEST_CASE("a sender without end is cut off") {
  SessionRig rig;
  rig.options.max_message_size = 1 << 20;
  play_inbound(rig, [](SessionRig&, Client& client) -> net::Task<void> {
    co_await begin(client);
    const std::string piece(1 << 20, 'x');
    std::size_t taken = 0;
    while (taken < 100) {
      const auto written = co_await client.stream->write(piece);
      if (!written) break;
      ++taken;
    }
    CHECK(taken < 30);
  });
  CHECK(rig.sink->messages.empty());
}

TEST_CASE("lines without end are skipped up to a bound") {
  SessionRig rig;
  play_inbound(rig, [](SessionRig&, Client& client) -> net::Task<void> {
    const std::string piece(1 << 20, 'x');
    std::size_t taken = 0;
    while (taken < 100) {
      const auto written = co_await client.stream->write(piece);
      if (!written) break;
      ++taken;
    }
    CHECK(taken < 10);
  });
}
