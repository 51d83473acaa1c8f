// Replies and capabilities, TLS and AUTH towards a next hop.
#include <algorithm>
#include <catch2/catch.hpp>

#include "base/text.h"
#include "delivery_rig.h"
#include "submission/smtp_client.h"

using namespace kage;
using namespace kage::submission;
using namespace kage::submission::test;

TEST_CASE("reply lines") {
  struct Case {
    std::vector<std::string> lines;
    int code;  // 0: refused at the last line
    std::string_view status;
  };
  const Case cases[] = {
      {{"250 Ok"}, 250, ""},
      {{"250"}, 250, ""},
      {{"250 "}, 250, ""},
      {{"250\tOk"}, 250, ""},
      {{"250 2.1.0 Ok"}, 250, "2.1.0"},
      {{"250 2.1.0"}, 250, "2.1.0"},
      {{"550 5.7.509 DMARC"}, 550, "5.7.509"},
      {{"550 5.7.5090 x"}, 550, ""},
      {{"550 5.07.1 x"}, 550, ""},
      {{"550 5.7.1x"}, 550, ""},
      {{"550 5.7 x"}, 550, ""},
      {{"550 2.7.1 x"}, 550, ""},
      {{"550 5.1.1\r"}, 550, ""},
      {{"550-5.1.1 a", "550 b"}, 550, "5.1.1"},
      {{"250-a", "250-", "250 c"}, 250, ""},
      {{"25"}, 0, ""},
      {{""}, 0, ""},
      {{"150 x"}, 0, ""},
      {{"650 x"}, 0, ""},
      {{"2x0 x"}, 0, ""},
      {{"250x"}, 0, ""},
      {{"250-a", "251 b"}, 0, ""},
      {{"250-a", "x"}, 0, ""},
  };
  for (const auto& one : cases) {
    INFO(one.lines.back());
    SmtpReplyParser parser(true);
    for (std::size_t i = 0; i < one.lines.size(); ++i) {
      const bool last = i + 1 == one.lines.size();
      const auto taken = parser.line(one.lines[i]);
      REQUIRE(taken.has_value() == !(last && one.code == 0));
      if (taken) CHECK(*taken == last);
    }
    if (one.code == 0) continue;
    const auto reply = parser.take();
    CHECK(reply.code == one.code);
    CHECK(reply.status == one.status);
    CHECK(reply.lines.size() == one.lines.size());
  }
}

TEST_CASE("a reply without end is refused") {
  SmtpReplyParser parser(true);
  for (std::size_t i = 0; i < SmtpReplyParser::kMaxLines; ++i) {
    const auto taken = parser.line("250-more");
    REQUIRE(taken);
    CHECK(!*taken);
  }
  const auto taken = parser.line("250 end");
  REQUIRE(!taken);
  CHECK(taken.error().code == Errc::limit);
}

TEST_CASE("capabilities") {
  SmtpReply reply;
  reply.lines = {"PIPELINING.example SMTPUTF8", "size 1000", "8bitmime", "AUTH=LOGIN",
                 "AUTH CRAM-MD5 PLAIN",         "DSN"};
  auto offers = parse_capabilities(reply);
  CHECK(!offers.pipelining);
  CHECK(!offers.smtputf8);
  CHECK(offers.size);
  CHECK(offers.max_size == 1000);
  CHECK(offers.eight_bit);
  CHECK(offers.auth_login);
  CHECK(offers.auth_plain);
  CHECK(offers.dsn);
  CHECK(!offers.starttls);
  reply.lines = {"x", "SIZE", "STARTTLS", "PIPELINING "};
  offers = parse_capabilities(reply);
  CHECK(offers.size);
  CHECK(offers.max_size == 0);
  CHECK(offers.starttls);
  CHECK(offers.pipelining);
}

namespace {

struct TlsRig : Rig {
  explicit TlsRig(const std::string& name = "127.0.0.1") {
    make_certificate(spool.path(), name);
    auto context = tls::ServerContext::load({{spool.path() + "/cert.pem", spool.path() + "/key.pem"}});
    REQUIRE(context);
    sink->tls = *context;
    sink->extensions.push_back("STARTTLS");
  }
  /// One message; its result.
  CopyResult send(HopTls tls, bool trusted = true) {
    auto hop = hop_to(*sink);
    hop.tls = tls;
    if (trusted) hop.ca_file = spool.path() + "/cert.pem";
    hop.username = username;
    hop.password = "secret";
    use({hop});
    deliver(make_copies(1), "x\r\n");
    return results[0];
  }
  [[nodiscard]] bool said(std::string_view command) const {
    return std::ranges::any_of(sink->commands, [&](const auto& c) { return c.starts_with(command); });
  }
  std::string username;
};

void check_delivered(TlsRig& rig, const CopyResult& result, bool encrypted) {
  CHECK(result.outcome == Outcome::delivered);
  REQUIRE(rig.sink->messages.size() == 1);
  CHECK(rig.sink->messages[0].encrypted == encrypted);
}

void check_deferred(TlsRig& rig, const CopyResult& result, std::string_view status) {
  CHECK(result.outcome == Outcome::deferred);
  CHECK(result.status == status);
  CHECK(rig.sink->messages.empty());
  CHECK(!rig.said("MAIL"));
}

}  // namespace

TEST_CASE("STARTTLS, verified") {
  TlsRig rig;
  check_delivered(rig, rig.send(HopTls::starttls), true);
}

TEST_CASE("implicit TLS, verified") {
  TlsRig rig;
  rig.sink->implicit_tls = true;
  check_delivered(rig, rig.send(HopTls::implicit), true);
  rig.deliver(make_copies(1), "x\r\n");
  CHECK(rig.sink->connections == 1);
}

TEST_CASE("opportunistic TLS takes any certificate, and plain where there is none") {
  TlsRig rig("other.example");
  SECTION("offered") {
    check_delivered(rig, rig.send(HopTls::opportunistic, false), true);
  }
  SECTION("not offered") {
    rig.sink->extensions.pop_back();
    check_delivered(rig, rig.send(HopTls::opportunistic, false), false);
  }
}

TEST_CASE("TLS trouble defers and nothing is said in clear") {
  SECTION("unknown authority") {
    TlsRig rig;
    check_deferred(rig, rig.send(HopTls::starttls, false), "4.7.5");
  }
  SECTION("wrong name") {
    TlsRig rig("other.example");
    check_deferred(rig, rig.send(HopTls::starttls), "4.7.5");
  }
  SECTION("wrong name, implicit") {
    TlsRig rig("other.example");
    rig.sink->implicit_tls = true;
    check_deferred(rig, rig.send(HopTls::implicit), "4.7.5");
  }
  SECTION("required and not offered") {
    TlsRig rig;
    rig.sink->extensions.pop_back();
    check_deferred(rig, rig.send(HopTls::starttls), "4.7.5");
  }
  SECTION("offered and refused") {
    TlsRig rig;
    rig.sink->script = [](Stage stage, std::string_view, int) -> std::optional<Action> {
      return stage == Stage::starttls ? std::optional(reply("454 4.7.0 not now")) : std::nullopt;
    };
    check_deferred(rig, rig.send(HopTls::opportunistic), "4.7.5");
  }
  SECTION("something in clear behind the answer") {
    TlsRig rig;
    rig.sink->injected = "250 2.1.0 injected\r\n";
    check_deferred(rig, rig.send(HopTls::starttls), "4.7.5");
  }
  SECTION("closed instead of a handshake") {
    TlsRig rig;
    rig.sink->script = [](Stage stage, std::string_view, int) -> std::optional<Action> {
      return stage == Stage::starttls ? std::optional(reply_and_close("220 2.0.0 go")) : std::nullopt;
    };
    check_deferred(rig, rig.send(HopTls::starttls), "4.7.5");
  }
  SECTION("an authority file that is not there") {
    TlsRig rig;
    auto hop = rig.hop_to(*rig.sink);
    hop.tls = HopTls::starttls;
    hop.ca_file = "/nonexistent.pem";
    rig.use({hop});
    rig.deliver(make_copies(1), "x\r\n");
    check_deferred(rig, rig.results[0], "4.7.5");
  }
}

TEST_CASE("AUTH") {
  TlsRig rig;
  rig.username = "user";
  SECTION("PLAIN") {
    rig.sink->extensions.push_back("AUTH LOGIN PLAIN");
    check_delivered(rig, rig.send(HopTls::starttls), true);
    CHECK(rig.said("AUTH PLAIN " + base64(std::string_view("\0user\0secret", 12))));
  }
  SECTION("LOGIN") {
    rig.sink->extensions.push_back("AUTH LOGIN");
    check_delivered(rig, rig.send(HopTls::starttls), true);
    CHECK(rig.said("AUTH LOGIN"));
    CHECK(rig.said(base64("user")));
    CHECK(rig.said(base64("secret")));
  }
  SECTION("plain where the operator chose no TLS") {
    rig.sink->extensions.push_back("AUTH PLAIN");
    check_delivered(rig, rig.send(HopTls::none), false);
  }
  SECTION("not offered") {
    check_deferred(rig, rig.send(HopTls::starttls), "4.3.5");
  }
  SECTION("wrong password") {
    rig.sink->extensions.push_back("AUTH PLAIN");
    rig.sink->script = [](Stage stage, std::string_view, int) -> std::optional<Action> {
      return stage == Stage::auth ? std::optional(reply("535 5.7.8 no")) : std::nullopt;
    };
    check_deferred(rig, rig.send(HopTls::starttls), "4.3.5");
  }
  SECTION("the server cannot check now") {
    rig.sink->extensions.push_back("AUTH PLAIN");
    rig.sink->script = [](Stage stage, std::string_view, int) -> std::optional<Action> {
      return stage == Stage::auth ? std::optional(reply("454 4.7.0 later")) : std::nullopt;
    };
    check_deferred(rig, rig.send(HopTls::starttls), "4.7.0");
  }
  SECTION("no password in clear when TLS was hoped for") {
    rig.sink->extensions = {"PIPELINING", "AUTH PLAIN LOGIN"};
    check_deferred(rig, rig.send(HopTls::opportunistic), "4.7.5");
    CHECK(!rig.said("AUTH"));
  }
}

TEST_CASE("an old server that knows HELO only") {
  TlsRig rig;
  rig.sink->script = [](Stage stage, std::string_view, int) -> std::optional<Action> {
    return stage == Stage::ehlo ? std::optional(reply("502 unknown")) : std::nullopt;
  };
  SECTION("is good enough without TLS") {
    check_delivered(rig, rig.send(HopTls::opportunistic), false);
    CHECK(rig.said("HELO gw.example"));
  }
  SECTION("is not when TLS is required") {
    check_deferred(rig, rig.send(HopTls::starttls), "4.7.5");
  }
}
