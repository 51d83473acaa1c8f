// Delivery when all goes well: octets, rounds, connections.
#include <algorithm>
#include <catch2/catch.hpp>

#include "delivery_rig.h"

using namespace kage;
using namespace kage::submission;
using namespace kage::submission::test;

namespace {

bool all_delivered(const std::vector<CopyResult>& results) {
  return std::ranges::all_of(results, [](const CopyResult& r) { return r.outcome == Outcome::delivered; });
}

/// Each copy once at the sink, each served once.
void check_exactly_once(const Rig& rig, std::size_t copies) {
  CHECK(all_delivered(rig.results));
  REQUIRE(rig.results.size() == copies);
  CHECK(rig.sink->messages.size() == copies);
  CHECK(rig.served.size() == copies);
  for (std::size_t i = 0; i < copies; ++i) {
    CHECK(rig.sink->count("<r" + std::to_string(i) + ".") == 1);
    CHECK(rig.served[i] == 1);
  }
}

std::size_t commands_with(const SmtpSink& sink, std::string_view verb) {
  return static_cast<std::size_t>(
      std::ranges::count_if(sink.commands, [&](const std::string& c) { return c.starts_with(verb); }));
}

}  // namespace

TEST_CASE("one copy arrives as it was") {
  Rig rig;
  const auto body = make_body(5000);
  rig.deliver({make_copy("a@example.net", "From: x\r\n.odd: y\r\n")}, body);
  REQUIRE(all_delivered(rig.results));
  CHECK(rig.results[0].status == "2.0.0");
  REQUIRE(rig.sink->messages.size() == 1);
  CHECK(rig.sink->messages[0].data == "From: x\r\n.odd: y\r\n\r\n" + body);
  CHECK(rig.sink->messages[0].mail == "MAIL FROM:<b-test@p.example>");
  CHECK(rig.sink->messages[0].rcpt == "RCPT TO:<a@example.net>");
  CHECK(rig.served == std::map<std::size_t, int>{{0, 1}});
  CHECK(rig.sink->most_pipelined > 0);
}

TEST_CASE("a body in any cut arrives as it was") {
  Rig rig;
  const std::string tricky = ".\r\n..\r\n.a\r\n\r\nb\r\n.\r\n";
  for (std::size_t chunk = 1; chunk <= tricky.size(); ++chunk) {
    rig.sink->messages.clear();
    rig.deliver({make_copy("a@example.net", "S: t\r\n")}, tricky, chunk);
    REQUIRE(rig.sink->messages.size() == 1);
    CHECK(rig.sink->messages[0].data == "S: t\r\n\r\n" + tricky);
  }
  CHECK(rig.sink->connections == 1);
}

TEST_CASE("messages without a body, and one without a last line end") {
  Rig rig;
  rig.deliver(make_copies(1), "");
  rig.deliver(make_copies(1), "no end");
  REQUIRE(rig.sink->messages.size() == 2);
  CHECK(rig.sink->messages[0].data == "Subject: for r0.\r\n\r\n");
  CHECK(rig.sink->messages[1].data == "Subject: for r0.\r\n\r\nno end\r\n");
}

TEST_CASE("without PIPELINING every command waits for its answer") {
  Rig rig;
  rig.sink->extensions = {};
  rig.deliver(make_copies(3), make_body(3000));
  check_exactly_once(rig, 3);
  CHECK(rig.sink->most_pipelined == 0);
}

TEST_CASE("an idle connection is used again") {
  Rig rig;
  for (int i = 0; i < 5; ++i) rig.deliver(make_copies(1), make_body(1000));
  CHECK(rig.sink->connections == 1);
  CHECK(rig.sink->messages.size() == 5);
  CHECK(commands_with(*rig.sink, "RSET") == 0);
  CHECK(rig.hops->find("example.net")->idle() == 1);
  CHECK(rig.hops->find("example.net")->in_use() == 0);
}

TEST_CASE("an idle connection is closed after its time") {
  Rig rig;
  auto hop = rig.hop_to(*rig.sink);
  hop.idle_timeout = net::Millis(20);
  rig.use({hop});
  rig.deliver(make_copies(2), make_body(1000));
  struct Wait {
    static net::Task<void> until_idle(SmtpSink* sink) { co_await sink->idle; }
  };
  run(rig.loop, Wait::until_idle(rig.sink.get()));
  CHECK(rig.sink->open == 0);
  CHECK(rig.hops->find("x")->idle() == 0);
  CHECK(rig.sink->commands.back() == "QUIT");
}

TEST_CASE("close() ends idle connections and keeps none, but goes on delivering") {
  Rig rig;
  rig.deliver(make_copies(1), "x\r\n");
  rig.hops->close();
  rig.deliver(make_copies(1), "x\r\n");
  CHECK(all_delivered(rig.results));
  CHECK(rig.hops->find("x")->idle() == 0);
  CHECK(rig.sink->connections == 2);
}

TEST_CASE("something unasked for behind the last answer ends the connection") {
  Rig rig;
  rig.sink->trailer = "250 2.0.0 one too many\r\n";
  rig.deliver(make_copies(1), "x\r\n");
  rig.deliver(make_copies(1), "x\r\n");
  CHECK(all_delivered(rig.results));
  CHECK(rig.sink->connections == 2);
}

TEST_CASE("more copies than connections follow from the store") {
  const auto size =
      GENERATE(std::size_t{1000}, std::size_t{60'000}, std::size_t{65'536}, std::size_t{300'000});
  for (const std::size_t connections : {1U, 2U, 3U, 20U}) {
    Rig rig;
    auto hop = rig.hop_to(*rig.sink);
    hop.max_connections = connections;
    rig.use({hop});
    const auto body = make_body(size);
    rig.deliver(make_copies(7), body, 10'000);
    check_exactly_once(rig, 7);
    CHECK(static_cast<std::size_t>(rig.sink->most_open) <= connections);
    CHECK(static_cast<std::size_t>(rig.sink->connections) <= connections);
    for (const auto& message : rig.sink->messages) CHECK(message.data.ends_with("\r\n\r\n" + body));
  }
}

TEST_CASE("two hundred copies of a megabyte over few connections") {
  Rig rig;
  auto hop = rig.hop_to(*rig.sink);
  hop.max_connections = 5;
  rig.use({hop});
  const auto body = make_body(1 << 20);
  std::size_t equal = 0;
  rig.sink->received = [&](SmtpSink::Message& message) {
    equal += message.data.ends_with("\r\n\r\n" + body) ? 1 : 0;
    std::string().swap(message.data);
  };
  rig.deliver(make_copies(200), body);
  check_exactly_once(rig, 200);
  CHECK(equal == 200);
  CHECK(rig.sink->connections <= 5);
}

TEST_CASE("messages that share few connections all end") {
  struct Both {
    static net::Task<void> deliver(Rig* rig, std::vector<std::vector<CopyResult>>* results) {
      std::vector<net::Task<void>> tasks;
      for (auto& into : *results) {
        auto copies = make_copies(2, "x.example");
        for (auto& copy : make_copies(2, "y.example")) copies.push_back(std::move(copy));
        tasks.push_back(rig->delivery(std::move(copies), make_body(200'000), 5000, &into));
      }
      co_await net::when_all(std::move(tasks));
    }
  };
  for (const std::size_t connections : {1U, 2U, 5U}) {
    Rig rig;
    const auto other = std::make_shared<SmtpSink>(rig.loop);
    other->listen();
    auto x = rig.hop_to(*rig.sink, {"x.example"});
    auto y = rig.hop_to(*other, {"y.example"});
    x.max_connections = y.max_connections = connections;
    rig.use({x, y});
    std::vector<std::vector<CopyResult>> results(10);
    run(rig.loop, Both::deliver(&rig, &results));
    for (const auto& one : results) {
      CHECK(one.size() == 4);
      CHECK(all_delivered(one));
    }
    CHECK(rig.sink->messages.size() == 20);
    CHECK(other->messages.size() == 20);
    CHECK(static_cast<std::size_t>(rig.sink->most_open) <= connections);
    other->stop();
  }
}

TEST_CASE("the next hop is chosen by domain") {
  Rig rig;
  NextHopOptions fallback = rig.hop_to(*rig.sink);
  NextHopOptions exact = rig.hop_to(*rig.sink, {"example.net"});
  NextHopOptions below = rig.hop_to(*rig.sink, {".example.net", ".net"});
  NextHopOptions deeper = rig.hop_to(*rig.sink, {".b.example.net"});
  fallback.name = "fallback";
  exact.name = "exact";
  below.name = "below";
  deeper.name = "deeper";
  rig.use({fallback, exact, below, deeper});
  const auto name = [&](std::string_view domain) { return rig.hops->find(domain)->options().name; };
  CHECK(name("example.net") == "exact");
  CHECK(name("a.example.net") == "below");
  CHECK(name("a.b.example.net") == "deeper");
  CHECK(name("b.example.net") == "below");
  CHECK(name("other.net") == "below");
  CHECK(name("net") == "fallback");
  CHECK(name("example.org") == "fallback");
  rig.use({exact});
  CHECK(rig.hops->find("example.org") == nullptr);
  rig.deliver({make_copy("a@example.org"), make_copy("a@example.net")}, "x\r\n");
  CHECK(rig.results[0].outcome == Outcome::deferred);
  CHECK(rig.results[0].status == "4.4.4");
  CHECK(rig.results[1].outcome == Outcome::delivered);
}

TEST_CASE("parameters of MAIL and RCPT where the next hop knows them") {
  Rig rig;
  rig.options.body_8bit = true;
  rig.options.smtputf8 = true;
  rig.options.size_estimate = 1234;
  auto copy = make_copy("a@example.net");
  copy.notify = "FAILURE,DELAY";
  copy.ret = "HDRS";
  copy.mail_from = "";
  rig.deliver({copy}, "x\r\n");
  CHECK(rig.sink->messages[0].mail == "MAIL FROM:<> SIZE=1234 BODY=8BITMIME SMTPUTF8 RET=HDRS");
  CHECK(rig.sink->messages[0].rcpt == "RCPT TO:<a@example.net> NOTIFY=FAILURE,DELAY");
}

TEST_CASE("a domain that is not ASCII is written as A-labels where the next hop has no SMTPUTF8") {
  Rig rig;
  const std::string header =
      "From: =?UTF-8?Q?PTA?= <pta@\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e.jp>\r\n"
      "To: Taro <taro@\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e.jp>, a@example.net\r\n"
      "Subject: of taro@\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e.jp\r\n";
  auto copy = make_copy("taro@\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e.jp", header);
  auto odd = make_copy("ta..ro@\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e.jp", header);
  SECTION("without") {
    std::erase(rig.sink->extensions, "SMTPUTF8");
    rig.sink->script = [](Stage stage, std::string_view line, int) -> std::optional<Action> {
      if (stage != Stage::rcpt || !line.starts_with("RCPT TO:<ta..ro@")) return std::nullopt;
      return reply("501 5.1.3 Bad recipient address syntax");
    };
    rig.deliver({copy, odd, make_copy("a@example.net", header)}, "x\r\n");
    REQUIRE(rig.sink->messages.size() == 3);
    CHECK(rig.sink->count("<taro@xn--wgv71a119e.jp>") == 1);
    CHECK(rig.sink->count("<\"ta..ro\"@xn--wgv71a119e.jp>") == 1);
    for (const auto& message : rig.sink->messages) {
      CHECK(message.mail.find("SMTPUTF8") == std::string::npos);
      CHECK(message.data.find("From: =?UTF-8?Q?PTA?= <pta@xn--wgv71a119e.jp>\r\n"
                              "To: Taro <taro@xn--wgv71a119e.jp>, a@example.net\r\nSubject: of taro@\xe6") !=
            std::string::npos);
    }
  }
  SECTION("with") {
    rig.deliver({copy}, "x\r\n");
    REQUIRE(rig.sink->messages.size() == 1);
    CHECK(rig.sink->messages[0].rcpt == "RCPT TO:<" + copy.recipient.spelling + ">");
    CHECK(rig.sink->messages[0].mail.ends_with("SMTPUTF8"));
    CHECK(rig.sink->messages[0].data.find(header) != std::string::npos);
  }
  SECTION("declared, and a header that is not ASCII") {
    auto declared = make_copy("a@example.net", header);
    declared.smtputf8 = true;
    rig.deliver({declared}, "x\r\n");
    REQUIRE(rig.sink->messages.size() == 1);
    CHECK(rig.sink->messages[0].mail.ends_with("SMTPUTF8"));
  }
}

TEST_CASE("a spelling of old carriers is sent bare, and quoted where that is refused") {
  Rig rig;
  auto copies = {make_copy("a..b@docomo.example"), make_copy("abc.@docomo.example"),
                 make_copy("ok@docomo.example"), make_copy("\"q..r\"@docomo.example")};
  SECTION("taken bare") {
    rig.deliver(copies, "x\r\n");
    CHECK(rig.sink->count("<a..b@docomo.example>") == 1);
    CHECK(rig.sink->count("<abc.@docomo.example>") == 1);
  }
  SECTION("refused bare") {
    rig.sink->script = [](Stage stage, std::string_view line, int) -> std::optional<Action> {
      const bool odd = line.find("..") != std::string_view::npos || line.find(".@") != std::string_view::npos;
      if (stage != Stage::rcpt || !odd || line.find('"') != std::string_view::npos) return std::nullopt;
      return reply("501 5.1.3 Bad recipient address syntax");
    };
    rig.deliver(copies, "x\r\n");
    CHECK(rig.sink->count("<\"a..b\"@docomo.example>") == 1);
    CHECK(rig.sink->count("<\"abc.\"@docomo.example>") == 1);
  }
  SECTION("refused in both forms") {
    rig.sink->script = [](Stage stage, std::string_view line, int) -> std::optional<Action> {
      if (stage != Stage::rcpt || line.find("..") == std::string_view::npos) return std::nullopt;
      return reply("550 5.1.1 unknown");
    };
    rig.deliver(copies, "x\r\n");
    CHECK(rig.results[0].outcome == Outcome::refused);
    CHECK(rig.results[0].status == "5.1.1");
    CHECK(rig.results[1].outcome == Outcome::delivered);
    CHECK(rig.results[3].outcome == Outcome::refused);
    CHECK(rig.sink->messages.size() == 2);
    return;
  }
  CHECK(all_delivered(rig.results));
  CHECK(rig.sink->count("<ok@docomo.example>") == 1);
  CHECK(rig.sink->count("<\"q..r\"@docomo.example>") == 1);
  CHECK(rig.sink->messages.size() == 4);
}
