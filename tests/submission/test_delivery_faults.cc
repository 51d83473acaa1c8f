// Delivery when a next hop refuses, closes or hangs: the exact outcome of the copy it happens to, and all
// other copies exactly once.
#include <algorithm>
#include <catch2/catch.hpp>

#include "delivery_rig.h"

using namespace kage;
using namespace kage::submission;
using namespace kage::submission::test;

namespace {

struct Fault {
  Stage stage;
  Action action;
  Outcome outcome;
  std::string_view status;
};

const Fault kFaults[] = {
    {Stage::mail, reply("451 4.3.0 later"), Outcome::deferred, "4.3.0"},
    {Stage::mail, reply("452 no code"), Outcome::deferred, "4.0.0"},
    {Stage::mail, reply("550 5.7.1 no"), Outcome::refused, "5.7.1"},
    {Stage::mail, reply("530 5.7.0 authentication required"), Outcome::deferred, "4.3.5"},
    {Stage::mail, reply_and_close("421 4.3.2 going down"), Outcome::deferred, "4.3.2"},
    {Stage::mail, close_now(), Outcome::deferred, "4.4.2"},
    {Stage::mail, hang(), Outcome::deferred, "4.4.2"},
    {Stage::mail, reply("what?"), Outcome::deferred, "4.5.0"},
    {Stage::rcpt, reply("450 4.2.0 greylisted"), Outcome::deferred, "4.2.0"},
    {Stage::rcpt, reply("550 5.1.1 who?"), Outcome::refused, "5.1.1"},
    {Stage::rcpt, reply("550 who?"), Outcome::refused, "5.0.0"},
    {Stage::rcpt, reply("550 4.1.1 of two minds"), Outcome::refused, "5.0.0"},
    {Stage::rcpt, reply("550-5.2.1 one\r\n550 5.2.2 two"), Outcome::refused, "5.2.1"},
    {Stage::rcpt, reply("550-one\r\n551 two"), Outcome::deferred, "4.5.0"},
    {Stage::rcpt, reply("354 go"), Outcome::deferred, "4.5.0"},
    {Stage::rcpt, reply(std::string(5000, '5')), Outcome::deferred, "4.5.0"},
    {Stage::rcpt, reply_and_close("421 bye"), Outcome::deferred, "4.0.0"},
    {Stage::rcpt, close_now(), Outcome::deferred, "4.4.2"},
    {Stage::rcpt, hang(), Outcome::deferred, "4.4.2"},
    {Stage::data, reply("451 4.3.1 disk"), Outcome::deferred, "4.3.1"},
    {Stage::data, reply("554 5.7.1 no"), Outcome::refused, "5.7.1"},
    {Stage::data, reply("250 2.0.0 strange"), Outcome::deferred, "4.5.0"},
    {Stage::data, reply_and_close("421 4.4.2 bye"), Outcome::deferred, "4.4.2"},
    {Stage::data, close_now(), Outcome::deferred, "4.4.2"},
    {Stage::data, hang(), Outcome::deferred, "4.4.2"},
    {Stage::body, close_now(), Outcome::deferred, "4.4.2"},
    {Stage::body, hang(), Outcome::deferred, "4.4.2"},
    {Stage::dot, reply("451 4.7.1 later"), Outcome::deferred, "4.7.1"},
    {Stage::dot, reply("552 5.2.2 full"), Outcome::refused, "5.2.2"},
    {Stage::dot, reply("354 more"), Outcome::deferred, "4.5.0"},
    {Stage::dot, reply_and_close("421 4.3.2 bye"), Outcome::deferred, "4.3.2"},
    {Stage::dot, close_now(), Outcome::deferred, "4.4.2"},
    {Stage::dot, hang(), Outcome::deferred, "4.4.2"},
};

/// Patient where nothing hangs: a busy machine must not look like a hanging peer.
NextHopOptions impatient(Rig& rig, std::size_t connections, net::Millis patience = net::Millis(10'000)) {
  auto hop = rig.hop_to(*rig.sink);
  hop.max_connections = connections;
  hop.command_timeout = patience;
  hop.final_timeout = patience;
  return hop;
}

net::Millis patience_for(const Action& action) {
  return net::Millis(action.kind == Action::Kind::hang ? 500 : 10'000);
}

/// The copy that the fault is for is known by its sender at MAIL, by its recipient later.
SmtpSink::Script only_for(const Fault& fault) {
  return [fault](Stage stage, std::string_view line, int) -> std::optional<Action> {
    const bool meant = line.find("bad@") != std::string_view::npos;
    return stage == fault.stage && meant ? std::optional(fault.action) : std::nullopt;
  };
}

void check_fault(const Fault& fault, std::size_t connections, std::size_t bad, std::size_t size) {
  INFO("stage " << int(fault.stage) << " action " << int(fault.action.kind) << ' '
                << fault.action.text.substr(0, 60) << " connections " << connections << " bad " << bad);
  Rig rig;
  rig.use({impatient(rig, connections, patience_for(fault.action))});
  rig.sink->script = only_for(fault);
  auto copies = make_copies(4);
  copies[bad] = make_copy("bad@example.net");
  copies[bad].mail_from = "bad@p.example";
  rig.deliver(std::move(copies), make_body(size));
  REQUIRE(rig.results.size() == 4);
  for (std::size_t i = 0; i < 4; ++i) {
    if (i == bad) {
      CHECK(rig.results[i].outcome == fault.outcome);
      CHECK(rig.results[i].status == fault.status);
      CHECK(rig.served[i] == 0);
      continue;
    }
    CHECK(rig.results[i].outcome == Outcome::delivered);
    CHECK(rig.sink->count("<r" + std::to_string(i) + ".") == 1);
    CHECK(rig.served[i] == 1);
  }
  CHECK(rig.sink->messages.size() == 3);
  // What is left in the pool works.
  rig.deliver(make_copies(3), "again\r\n");
  for (const auto& result : rig.results) CHECK(result.outcome == Outcome::delivered);
  CHECK(rig.sink->messages.size() == 6);
  CHECK(rig.hops->find("x")->in_use() == 0);
}

}  // namespace

TEST_CASE("one copy fails, the others arrive exactly once") {
  for (const auto& fault : kFaults) {
    // A hanging reader is noticed only when the kernel's buffers are full.
    const bool stalls = fault.stage == Stage::body && fault.action.kind == Action::Kind::hang;
    const std::size_t size = stalls ? 16UL << 20 : 150'000;
    check_fault(fault, 20, 1, size);
    check_fault(fault, 1, 0, size);
    check_fault(fault, 1, 2, size);
  }
}

TEST_CASE("one copy of a small message fails without PIPELINING, too") {
  for (const auto& fault : kFaults) {
    if (fault.action.kind == Action::Kind::hang) continue;
    INFO("stage " << int(fault.stage) << ' ' << fault.action.text);
    Rig rig;
    rig.sink->extensions = {};
    rig.sink->script = only_for(fault);
    auto copies = make_copies(3);
    copies[1] = make_copy("bad@example.net");
    copies[1].mail_from = "bad@p.example";
    rig.deliver(std::move(copies), "hello\r\n");
    CHECK(rig.results[1].outcome == fault.outcome);
    CHECK(rig.results[1].status == fault.status);
    CHECK(rig.results[0].outcome == Outcome::delivered);
    CHECK(rig.results[2].outcome == Outcome::delivered);
    CHECK(rig.sink->messages.size() == 2);
  }
}

TEST_CASE("no connection to the next hop: everything is deferred") {
  struct Case {
    Stage stage;
    Action action;
    std::string_view status;
  };
  const Case cases[] = {
      {Stage::greeting, close_now(), "4.4.2"},
      {Stage::greeting, hang(), "4.4.2"},
      {Stage::greeting, reply("554 5.7.1 go away"), "4.3.5"},
      {Stage::greeting, reply_and_close("421 4.7.0 too many"), "4.7.0"},
      {Stage::greeting, reply("HTTP/1.1 400 Bad Request"), "4.5.0"},
      {Stage::ehlo, close_now(), "4.4.2"},
      {Stage::ehlo, hang(), "4.4.2"},
      {Stage::ehlo, reply("451 4.3.0 later"), "4.3.0"},
      {Stage::ehlo, reply_and_close("421 4.3.2 bye"), "4.3.2"},
      {Stage::ehlo, reply("354 eh"), "4.5.0"},
  };
  for (const auto& one : cases) {
    INFO("stage " << int(one.stage) << ' ' << one.action.text);
    Rig rig;
    rig.use({impatient(rig, 3, patience_for(one.action))});
    bool broken = true;
    rig.sink->script = [&](Stage stage, std::string_view, int) -> std::optional<Action> {
      return broken && stage == one.stage ? std::optional(one.action) : std::nullopt;
    };
    rig.deliver(make_copies(10), make_body(100'000));
    for (const auto& result : rig.results) {
      CHECK(result.outcome == Outcome::deferred);
      CHECK(result.status == one.status);
    }
    CHECK(rig.served.empty());
    CHECK(rig.sink->messages.empty());
    CHECK(rig.sink->connections <= 3);
    // It recovers by itself.
    broken = false;
    do rig.deliver(make_copies(1), "x\r\n");
    while (rig.results[0].outcome != Outcome::delivered);
    CHECK(rig.sink->messages.size() == 1);
  }
}

TEST_CASE("EHLO and HELO both refused") {
  Rig rig;
  rig.sink->script = [](Stage stage, std::string_view, int) -> std::optional<Action> {
    if (stage == Stage::ehlo || stage == Stage::helo) return reply("550 5.7.1 bad name");
    return std::nullopt;
  };
  rig.deliver(make_copies(1), "x\r\n");
  CHECK(rig.results[0].outcome == Outcome::deferred);
  CHECK(rig.results[0].status == "4.3.5");
}

TEST_CASE("a next hop that is not there, and then is") {
  Rig rig;
  const auto port = rig.sink->port();
  rig.sink->stop();
  rig.deliver(make_copies(50), make_body(10'000));
  for (const auto& result : rig.results) {
    CHECK(result.outcome == Outcome::deferred);
    CHECK(result.status == "4.4.1");
  }
  const auto back = std::make_shared<SmtpSink>(rig.loop);
  back->listen(port);
  int tries = 0;
  do {
    rig.deliver(make_copies(3), "x\r\n");
    ++tries;
  } while (rig.results[0].outcome != Outcome::delivered);
  for (const auto& result : rig.results) CHECK(result.outcome == Outcome::delivered);
  CHECK(tries > 1);  // the last failure stood for a while: no hammering
  CHECK(back->messages.size() == 3);
  rig.hops.reset();
  back->stop();
}

TEST_CASE("one next hop is down, the copies of the other arrive") {
  Rig rig;
  auto down = rig.hop_to(*rig.sink, {"down.example"});
  auto up = rig.hop_to(*rig.sink);
  down.port = 1;  // tcpmux: nobody
  rig.use({down, up});
  auto copies = make_copies(3);
  copies.push_back(make_copy("x@down.example"));
  rig.deliver(std::move(copies), make_body(100'000));
  CHECK(rig.results[3].outcome == Outcome::deferred);
  CHECK(rig.results[3].status == "4.4.1");
  CHECK(rig.sink->messages.size() == 3);
}

TEST_CASE("a connection that went stale in the pool is made anew, once") {
  Rig rig;
  rig.deliver(make_copies(1), "x\r\n");
  SECTION("closed while idle") {
    rig.sink->close_sessions();
  }
  SECTION("421 to the next MAIL") {
    rig.sink->script = [](Stage stage, std::string_view, int connection) -> std::optional<Action> {
      if (stage != Stage::mail || connection != 1) return std::nullopt;
      return reply_and_close("421 4.4.2 idle too long");
    };
  }
  SECTION("closed at the next MAIL") {
    rig.sink->script = [](Stage stage, std::string_view, int connection) -> std::optional<Action> {
      if (stage != Stage::mail || connection != 1) return std::nullopt;
      return close_now();
    };
  }
  rig.deliver(make_copies(1), "x\r\n");
  CHECK(rig.results[0].outcome == Outcome::delivered);
  CHECK(rig.sink->connections == 2);
  CHECK(rig.sink->messages.size() == 2);
}

TEST_CASE("a next hop that takes one message a connection") {
  Rig rig;
  rig.use({impatient(rig, 2)});
  rig.sink->script = [](Stage stage, std::string_view, int) -> std::optional<Action> {
    return stage == Stage::dot ? std::optional(reply_and_close("250 2.0.0 bye")) : std::nullopt;
  };
  rig.deliver(make_copies(9), make_body(100'000));
  for (const auto& result : rig.results) CHECK(result.outcome == Outcome::delivered);
  CHECK(rig.sink->messages.size() == 9);
  CHECK(rig.sink->connections == 9);
}

TEST_CASE("every copy is refused: there is no hope, and the connection is used again") {
  struct Story {
    static net::Task<void> tell(Rig* rig, std::vector<CopyResult>* results, bool* hopeless) {
      Delivery delivery(rig->loop, *rig->hops, make_copies(3), rig->options, {});
      CHECK(!delivery.hopeless());
      co_await delivery.open();
      *hopeless = delivery.hopeless();
      co_await delivery.write("x\r\n");
      *results = co_await delivery.finish();
    }
  };
  Rig rig;
  rig.use({impatient(rig, 1)});
  rig.sink->script = [](Stage stage, std::string_view, int) -> std::optional<Action> {
    return stage == Stage::rcpt ? std::optional(reply("550 5.1.1 no")) : std::nullopt;
  };
  bool hopeless = false;
  run(rig.loop, Story::tell(&rig, &rig.results, &hopeless));
  CHECK(hopeless);
  for (const auto& result : rig.results) CHECK(result.outcome == Outcome::refused);
  CHECK(rig.sink->connections == 1);
  rig.sink->script = {};
  rig.deliver(make_copies(1), "x\r\n");
  CHECK(rig.results[0].outcome == Outcome::delivered);
  CHECK(rig.sink->connections == 1);
}

TEST_CASE("a server that says 354 without a recipient gets an empty message") {
  Rig rig;
  rig.sink->script = [](Stage stage, std::string_view line, int) -> std::optional<Action> {
    if (stage == Stage::rcpt && line.find("bad@") != std::string_view::npos) return reply("550 5.1.1 no");
    // No recipient was taken: 354 all the same, then the answer to the dot comes as for an unknown command.
    if (stage == Stage::data && line.empty()) return reply("354 go on then");
    return std::nullopt;
  };
  rig.deliver({make_copy("bad@example.net")}, "x\r\n");
  CHECK(rig.results[0].outcome == Outcome::refused);
  CHECK(rig.results[0].status == "5.1.1");
  CHECK(rig.sink->commands.back() == ".");
  rig.deliver(make_copies(1), "x\r\n");
  CHECK(rig.results[0].outcome == Outcome::delivered);
  CHECK(rig.sink->connections == 1);
}

TEST_CASE("what the next hop cannot carry is refused before it is sent") {
  Rig rig;
  Outcome outcome = Outcome::refused;
  std::string_view status;
  auto copy = make_copy("a@example.net");
  SECTION("too big") {
    rig.sink->extensions = {"PIPELINING", "SIZE 1000"};
    rig.options.size_estimate = 1001;
    status = "5.3.4";
  }
  SECTION("eight bits") {
    rig.sink->extensions = {"PIPELINING"};
    rig.options.body_8bit = true;
    status = "5.6.3";
  }
  SECTION("UTF-8 declared") {
    rig.sink->extensions = {"PIPELINING"};
    rig.options.smtputf8 = true;
    status = "5.6.7";
  }
  SECTION("UTF-8 in the address") {
    rig.sink->extensions = {"PIPELINING"};
    copy = make_copy("\xe5\xbd\xb1@example.net");
    status = "5.6.7";
  }
  SECTION("an envelope that would be another command") {
    copy.recipient.spelling = "a@example.net>\r\nRCPT TO:<b@example.net";
    status = "5.1.3";
  }
  rig.deliver({copy}, "x\r\n");
  CHECK(rig.results[0].outcome == outcome);
  CHECK(rig.results[0].status == status);
  CHECK(std::ranges::none_of(rig.sink->commands, [](const auto& c) { return c.starts_with("MAIL"); }));
}

TEST_CASE("no room to keep the body: what is left is deferred, what runs arrives") {
  Rig rig;
  rig.use({impatient(rig, 1)});
  rig.options.spool_dir = rig.spool.path() + "/missing";
  rig.deliver(make_copies(3), make_body(300'000));
  CHECK(rig.results[0].outcome == Outcome::delivered);
  for (const std::size_t i : {1U, 2U}) {
    CHECK(rig.results[i].outcome == Outcome::deferred);
    CHECK(rig.results[i].status == "4.3.1");
  }
  CHECK(rig.sink->messages.size() == 1);
}

TEST_CASE("the deadline ends everything") {
  Rig rig;
  auto hop = rig.hop_to(*rig.sink);
  hop.max_connections = 1;
  hop.command_timeout = hop.final_timeout = net::Millis(60'000);
  rig.use({hop});
  rig.sink->script = [](Stage stage, std::string_view, int) -> std::optional<Action> {
    return stage == Stage::dot ? std::optional(hang()) : std::nullopt;
  };
  rig.options.deadline = rig.loop.now() + net::Millis(300);
  rig.deliver(make_copies(3), "x\r\n");
  CHECK(rig.results[0].status == "4.4.2");
  CHECK(rig.results[1].status == "4.4.7");
  CHECK(rig.results[2].status == "4.4.7");
  for (const auto& result : rig.results) CHECK(result.outcome == Outcome::deferred);
}

TEST_CASE("abort ends every transaction without its dot") {
  struct Story {
    static net::Task<void> tell(Rig* rig, bool explicitly) {
      Delivery delivery(rig->loop, *rig->hops, make_copies(5), rig->options, {});
      co_await delivery.open();
      co_await delivery.write(make_body(200'000));
      if (explicitly) delivery.abort();
    }
    static net::Task<void> until_idle(SmtpSink* sink) { co_await sink->idle; }
  };
  for (const bool explicitly : {true, false}) {
    Rig rig;
    rig.use({impatient(rig, 3)});
    run(rig.loop, Story::tell(&rig, explicitly));
    run(rig.loop, Story::until_idle(rig.sink.get()));
    CHECK(rig.sink->messages.empty());
    CHECK(rig.hops->find("x")->in_use() == 0);
    CHECK(rig.hops->find("x")->idle() == 0);
    rig.deliver(make_copies(1), "x\r\n");
    CHECK(rig.sink->messages.size() == 1);
  }
}

TEST_CASE("abort while opening, writing or waiting for a turn wakes who waits") {
  struct Story {
    static net::Task<void> open(Delivery* delivery, int* ended) {
      co_await delivery->open();
      co_await delivery->write(make_body(100'000));
      (void)co_await delivery->finish();
      ++*ended;
    }
    static net::Task<void> tell(Rig* rig, int* ended) {
      Delivery first(rig->loop, *rig->hops, make_copies(2), rig->options, {});
      Delivery second(rig->loop, *rig->hops, make_copies(2), rig->options, {});
      std::vector<net::Task<void>> tasks;
      tasks.push_back(open(&first, ended));
      tasks.push_back(open(&second, ended));
      tasks.push_back(abort_both(rig, &first, &second));
      co_await net::when_all(std::move(tasks));
    }
    static net::Task<void> abort_both(Rig* rig, Delivery* first, Delivery* second) {
      co_await rig->asked;
      second->abort();
      first->abort();
    }
  };
  for (const Stage stage : {Stage::greeting, Stage::mail, Stage::rcpt, Stage::data, Stage::dot}) {
    Rig rig;
    auto hop = rig.hop_to(*rig.sink);
    hop.max_connections = 1;
    hop.command_timeout = hop.final_timeout = net::Millis(60'000);
    rig.use({hop});
    rig.sink->script = [&](Stage at, std::string_view, int) -> std::optional<Action> {
      if (at != stage) return std::nullopt;
      rig.loop.defer([&rig] { rig.asked.set(); });
      return hang();
    };
    int ended = 0;
    run(rig.loop, Story::tell(&rig, &ended));
    CHECK(ended == 2);
    CHECK(rig.sink->messages.empty());
    CHECK(rig.hops->find("x")->in_use() == 0);
  }
}

TEST_CASE("a next hop that takes fewer connections than we would make: everybody gets a turn") {
  struct Story {
    static net::Task<void> tell(Rig* rig, std::vector<std::vector<CopyResult>>* results) {
      std::vector<net::Task<void>> tasks;
      for (auto& into : *results)
        tasks.push_back(rig->delivery(make_copies(4), make_body(100'000), 9000, &into));
      co_await net::when_all(std::move(tasks));
    }
  };
  Rig rig;
  rig.use({impatient(rig, 10)});
  rig.deliver(make_copies(1), "x\r\n");  // one that works
  rig.sink->script = [&](Stage stage, std::string_view, int) -> std::optional<Action> {
    if (stage != Stage::greeting || rig.sink->open <= 3) return std::nullopt;
    return reply_and_close("421 4.7.0 too many connections");
  };
  std::vector<std::vector<CopyResult>> results(12);
  run(rig.loop, Story::tell(&rig, &results));
  for (const auto& one : results) {
    for (const auto& result : one) CHECK(result.outcome == Outcome::delivered);
  }
  CHECK(rig.sink->messages.size() == 49);
  CHECK(rig.sink->connections < 30);  // and nobody knocks all the time
}
