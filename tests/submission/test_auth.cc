// Logins: hashes of our own, and providers over TLS, against an IMAP server that is scripted here and the
// SMTP sink.
#include <catch2/catch.hpp>
#include <functional>

#include "base/text.h"
#include "delivery_rig.h"
#include "net/listener.h"
#include "submission/auth.h"
#include "tls/tls_stream.h"

using namespace kage;
using namespace kage::submission;
using namespace kage::submission::test;

namespace {

/// An IMAP server that takes one login, "u@mail.example" with "pass word\"" or the token "t".
struct FakeImap {
  explicit FakeImap(net::Loop& l) : loop(l) {
    make_certificate(folder.path(), "127.0.0.1");
    tls = tls::ServerContext::load({{folder.path() + "/cert.pem", folder.path() + "/key.pem"}}).value();
    listener = net::Listener::open(loop, "127.0.0.1", 0, [this](net::StreamPtr stream, net::PeerAddress) {
                 net::spawn(serve(*this, std::move(stream)));
               }).value();
  }

  static net::Task<void> serve(FakeImap& self, net::StreamPtr plain) {
    ++self.connections;
    auto secured = co_await tls::accept_tls(std::move(plain), self.tls, self.loop.now() + net::Millis(5000));
    if (!secured) co_return;
    const net::StreamPtr stream = std::move(*secured);
    net::BufferedReader reader(*stream);
    (void)co_await stream->write("* OK ready\r\n");
    while (!self.hang) {
      const auto line = co_await reader.line(8192);
      if (!line) co_return;
      self.commands.push_back(self.without_tag(*line));
      const std::string answer = self.with_tag(self.answer_to(self.commands.back()));
      if (!co_await stream->write(answer)) co_return;
    }
    // Until the client gives up.
    (void)co_await reader.line(8192);
  }

  /// The client's tag reads "k" in `commands` and in the answers that tests make.
  std::string without_tag(std::string_view line) {
    const std::size_t space = line.find(' ');
    if (!line.starts_with('a') || space == std::string_view::npos || !is_digit(line[1]))
      return std::string(line);
    tag = line.substr(0, space);
    return "k" + std::string(line.substr(space));
  }
  [[nodiscard]] std::string with_tag(std::string answer) const {
    const std::size_t last = answer.starts_with("k ") ? 0 : answer.find("\nk ") + 1;
    if (answer.substr(last).starts_with("k ")) answer.replace(last, 1, tag);
    return answer;
  }

  std::string answer_to(const std::string& command) {
    if (command == "k CAPABILITY") return "* CAPABILITY IMAP4rev1 " + capabilities + "\r\nk OK done\r\n";
    if (command.starts_with("k AUTHENTICATE") && capabilities.find("SASL-IR") == std::string::npos)
      return "+ \r\n";
    if (command.ends_with('}')) return "+ go on\r\n";
    if (command.empty() || command == "AQ==") return "k NO failed\r\n";
    if (!forced.empty()) return forced;
    const std::string right = base64(std::string("\0u@mail.example\0pass word\"", 26));
    if (command.ends_with(right) ||
        command.find("\"u@mail.example\" \"pass word\\\"\"") != std::string::npos) {
      return "k OK in\r\n";
    }
    if (command.find("XOAUTH2") != std::string::npos || command.starts_with("dXNlcj")) {
      return command.ends_with(base64(token)) ? "k OK in\r\n" : "+ e30=\r\n";
    }
    if (command.find("OAUTHBEARER") != std::string::npos) return "+ e30=\r\n";
    return "k NO wrong\r\n";
  }

  net::Loop& loop;
  kage::test::TemporaryFolder folder;
  std::shared_ptr<tls::ServerContext> tls;
  std::unique_ptr<net::Listener> listener;
  std::string capabilities = "SASL-IR AUTH=PLAIN AUTH=XOAUTH2";
  std::string tag;
  std::string forced;  ///< the answer to every login
  std::string token =
      "user=u@mail.example\x01"
      "auth=Bearer t\x01\x01";
  bool hang = false;
  int connections = 0;
  std::vector<std::string> commands;
};

mapping::Routes make_routes(std::string hash = {}, std::string provider = "mail") {
  mapping::MemberSpec spec;
  spec.mailbox = message::parse_address("u@mail.example").value();
  spec.password_hash = std::move(hash);
  spec.provider = std::move(provider);
  std::vector<mapping::AddressSpec> addresses(1);
  addresses[0].address = message::parse_address("pta@school.example").value();
  std::vector<mapping::RouteTable::Row> rows;
  rows.push_back({1, mapping::MemberKeys(std::string(32, 'k')), "pta@school.example", std::move(spec)});
  return mapping::RouteTable::build({{"school.example", ""}}, std::move(addresses), std::move(rows),
                                    std::make_shared<const mapping::MasterKeys>(std::string(32, 'm')), 1)
      .value();
}

struct Fixture {
  Fixture() : imap(loop) {
    provider.name = "mail";
    provider.domains = {"mail.example"};
    provider.host = "127.0.0.1";
    provider.port = imap.listener->bound_port();
    provider.ca_file = imap.folder.path() + "/cert.pem";
    provider.timeout = net::Millis(3000);
  }
  ~Fixture() { imap.listener->close(); }

  static net::Task<void> ask(Authenticator& authenticator, mapping::Routes routes, Credentials credentials,
                             std::string& out) {
    const auto result = co_await authenticator.check(std::move(routes), std::move(credentials));
    out = result ? "ok" : std::string(to_string(result.error().code));
  }

  std::string check(std::string login, std::string secret, mapping::Routes routes = make_routes()) {
    Credentials credentials;
    credentials.login = std::move(login);
    credentials.secret = Secret(std::move(secret));
    return check(std::move(credentials), std::move(routes));
  }
  std::string check(Credentials credentials, mapping::Routes routes = make_routes()) {
    const provider::Providers providers({provider});
    Authenticator authenticator(loop, providers);
    std::string out;
    run(loop, ask(authenticator, std::move(routes), std::move(credentials), out));
    return out;
  }
  std::string check_token(std::string token) {
    Credentials credentials;
    credentials.kind = Credentials::Kind::xoauth2;
    credentials.login = "u@mail.example";
    credentials.secret = Secret(std::string(token));
    credentials.response = Secret(
        "user=u@mail.example\x01"
        "auth=Bearer " +
        token + "\x01\x01");
    return check(std::move(credentials));
  }

  net::Loop loop;
  FakeImap imap;
  provider::ProviderOptions provider;
};

const std::string kRight = "pass word\"";

}  // namespace

TEST_CASE("an IMAP provider is asked by AUTHENTICATE") {
  Fixture fixture;
  CHECK(fixture.check("u@mail.example", kRight) == "ok");
  CHECK(fixture.check("U@Mail.Example", "wrong") == "denied");
  CHECK(fixture.imap.connections == 2);
}

TEST_CASE("AUTHENTICATE without an initial response") {
  Fixture fixture;
  fixture.imap.capabilities = "AUTH=PLAIN AUTH=XOAUTH2";
  CHECK(fixture.check("u@mail.example", kRight) == "ok");
  CHECK(fixture.check("u@mail.example", "wrong") == "denied");
}

TEST_CASE("LOGIN, quoted and with literals") {
  Fixture fixture;
  fixture.imap.capabilities = "ID";
  CHECK(fixture.check("u@mail.example", kRight) == "ok");
  CHECK(fixture.check("u@mail.example", "w\xc3\xb6rong") == "denied");
  // The literal went as such: nothing of it could be taken for a command.
  CHECK(fixture.imap.commands.back() == "w\xc3\xb6rong");
  const auto& before = fixture.imap.commands[fixture.imap.commands.size() - 2];
  CHECK(before == "k LOGIN \"u@mail.example\" {7}");
}

TEST_CASE("a password cannot inject IMAP commands") {
  Fixture fixture;
  fixture.imap.capabilities = "ID";
  fixture.check("u@mail.example", "x\r\nk LOGOUT");
  for (const std::string& command : fixture.imap.commands) {
    if (command == "k LOGOUT") CHECK(&command == &fixture.imap.commands.back());
  }
  const auto literal = std::ranges::find(fixture.imap.commands, "k LOGIN \"u@mail.example\" {11}");
  CHECK(literal != fixture.imap.commands.end());
}

TEST_CASE("bearer tokens") {
  Fixture fixture;
  CHECK(fixture.check_token("t") == "ok");
  CHECK(fixture.check_token("expired") == "denied");
  fixture.imap.capabilities = "AUTH=PLAIN";
  CHECK(fixture.check_token("t") == "unavailable");
}

TEST_CASE("who is not registered never reaches the provider") {
  Fixture fixture;
  CHECK(fixture.check("other@mail.example", kRight) == "denied");
  CHECK(fixture.check("u@elsewhere.example", kRight) == "denied");
  CHECK(fixture.imap.connections == 0);
}

TEST_CASE("a provider that cannot say is no refusal") {
  Fixture fixture;
  SECTION("NO [UNAVAILABLE]") {
    fixture.imap.forced = "k NO [UNAVAILABLE] later\r\n";
  }
  SECTION("BAD") {
    fixture.imap.forced = "k BAD what\r\n";
  }
  SECTION("BYE") {
    fixture.imap.forced = "* BYE\r\n";
  }
  SECTION("nothing in time") {
    fixture.imap.hang = true;
    fixture.provider.timeout = net::Millis(300);
  }
  SECTION("nobody there") {
    fixture.imap.listener->close();
  }
  SECTION("a certificate for another name") {
    fixture.provider.host = "localhost";
  }
  SECTION("a certificate of an unknown authority") {
    make_certificate(fixture.imap.folder.path(), "127.0.0.1");  // the server keeps the one it loaded
  }
  CHECK(fixture.check("u@mail.example", kRight) == "unavailable");
  CHECK(std::ranges::none_of(fixture.imap.commands, [&](const std::string& command) {
    return fixture.provider.host == "localhost" && command.starts_with("k AUTHENTICATE");
  }));
}

TEST_CASE("a NO about the server is no wrong password, whatever its code") {
  Fixture fixture;
  for (const std::string_view code : {"UNAVAILABLE", "INUSE", "SERVERBUG", "LIMIT", "CONTACTADMIN"}) {
    fixture.imap.forced = "k NO [" + std::string(code) + "] not now\r\n";
    CAPTURE(code);
    CHECK(fixture.check("u@mail.example", kRight) == "unavailable");
  }
}

TEST_CASE("the challenge behind a refused token is acknowledged as its mechanism wants it") {
  Fixture fixture;
  fixture.imap.capabilities = "SASL-IR AUTH=XOAUTH2 AUTH=OAUTHBEARER";
  CHECK(fixture.check_token("expired") == "denied");
  CHECK(fixture.imap.commands.back().empty());
  const auto credentials = [] {
    return read_oauthbearer(
               "n,a=u@mail.example,\x01"
               "auth=Bearer expired\x01\x01")
        .value();
  };
  SECTION("IMAP") {
    CHECK(fixture.check(credentials()) == "denied");
    CHECK(fixture.imap.commands.back() == "AQ==");  // RFC 7628 §3.2.3
  }
  SECTION("submission") {
    const auto sink = std::make_shared<SmtpSink>(fixture.loop);
    sink->tls = fixture.imap.tls;
    sink->implicit_tls = true;
    sink->extensions.emplace_back("AUTH OAUTHBEARER");
    sink->listen();
    fixture.provider.protocol = provider::Service::submission;
    fixture.provider.port = sink->port();
    sink->script = [](Stage stage, std::string_view, int) -> std::optional<Action> {
      if (stage != Stage::auth) return std::nullopt;
      return reply("334 e30=");
    };
    CHECK(fixture.check(credentials()) == "denied");
    CHECK(std::ranges::find(sink->commands, "AQ==") != sink->commands.end());
    sink->stop();
  }
}

TEST_CASE("a login has the same provider here as in the proxy") {
  Fixture fixture;
  const auto with = [&](std::string login, std::vector<std::string> providers) {
    std::vector<mapping::AddressSpec> addresses;
    std::vector<mapping::RouteTable::Row> rows;
    for (std::string& provider : providers) {
      const std::string address = "a" + std::to_string(rows.size()) + "@school.example";
      addresses.emplace_back().address = message::parse_address(address).value();
      mapping::MemberSpec spec;
      spec.mailbox = message::parse_address("u@mail.example").value();
      spec.login = login;
      spec.provider = std::move(provider);
      rows.push_back({rows.size() + 1, mapping::MemberKeys(std::string(32, 'k')), address, std::move(spec)});
    }
    return mapping::RouteTable::build({{"school.example", ""}}, std::move(addresses), std::move(rows),
                                      std::make_shared<const mapping::MasterKeys>(std::string(32, 'm')), 1)
        .value();
  };
  fixture.imap.forced = "k OK in\r\n";
  CHECK(fixture.check("treasurer", kRight, with("treasurer", {"mail"})) == "ok");
  // The mailbox's domain.
  CHECK(fixture.check("treasurer", kRight, with("treasurer", {""})) == "ok");
  // The first member that names one.
  fixture.provider.domains = {};
  CHECK(fixture.check("treasurer", kRight, with("treasurer", {"", "mail"})) == "ok");
  CHECK(fixture.check("u@mail.example", kRight, make_routes()) == "ok");
  CHECK(fixture.imap.connections == 4);
}

TEST_CASE("a login without a provider is refused as one that nobody has") {
  Fixture fixture;
  fixture.provider.domains = {"elsewhere.example"};
  CHECK(fixture.check("u@mail.example", "x", make_routes({}, "")) == "denied");
  // A name that the configuration does not have is no reason to hand the password to somebody else.
  fixture.provider.domains = {"mail.example"};
  CHECK(fixture.check("u@mail.example", "x", make_routes({}, "gone")) == "denied");
  CHECK(fixture.imap.connections == 0);
}

TEST_CASE("whoever is refused without asking a provider waits as long as that would take") {
  Fixture fixture;
  const auto guess =
      provider::Providers({fixture.provider}).refusal_time("u@mail.example", provider::Service::submission);
  const auto usual = guess - net::Millis(2);  // timers and clocks are cut to milliseconds
  const auto routes =
      make_routes("$scrypt$ln=10,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$6g3umF+uVrJsObaTZhIbbTlgrvOEFcCItdwSjtPF67M");
  const auto takes = [&](const std::function<std::string()>& check) {
    const net::TimePoint before = fixture.loop.now();
    CHECK(check() == "denied");
    return fixture.loop.now() - before;
  };
  const auto token = [](std::string_view login) {
    return read_xoauth2("user=" + std::string(login) + "\x01" + "auth=Bearer t\x01\x01").value();
  };
  CHECK(takes([&] { return fixture.check("other@mail.example", "wrong", routes); }) >= usual);
  CHECK(takes([&] { return fixture.check("u@mail.example", "wrong", routes); }) >= usual);
  CHECK(takes([&] { return fixture.check(token("u@mail.example"), routes); }) >= usual);
  CHECK(takes([&] { return fixture.check(token("u@elsewhere.example"), routes); }) >= usual);
  CHECK(fixture.imap.connections == 0);
}

TEST_CASE("a submission provider") {
  Fixture fixture;
  const auto sink = std::make_shared<SmtpSink>(fixture.loop);
  sink->tls = fixture.imap.tls;
  sink->extensions.emplace_back("AUTH PLAIN LOGIN");
  SECTION("implicit TLS") {
    sink->implicit_tls = true;
  }
  SECTION("STARTTLS") {
    fixture.provider.starttls = true;
  }
  sink->listen();
  fixture.provider.protocol = provider::Service::submission;
  fixture.provider.port = sink->port();
  bool wrong = false;
  std::optional<std::string> other;
  sink->script = [&](Stage stage, std::string_view, int) -> std::optional<Action> {
    if (stage != Stage::auth) return std::nullopt;
    if (other) return reply(*other);
    return wrong ? reply("535 5.7.8 no\r\n") : reply("235 2.7.0 in\r\n");
  };
  CHECK(fixture.check("u@mail.example", kRight) == "ok");
  wrong = true;
  CHECK(fixture.check("u@mail.example", "wrong") == "denied");
  other = "454 4.7.0 later\r\n";
  CHECK(fixture.check("u@mail.example", kRight) == "unavailable");
  CHECK(std::ranges::count_if(sink->commands, [](const std::string& command) {
          return command.starts_with("AUTH PLAIN");
        }) == 3);
  sink->stop();
}

TEST_CASE("a hash of our own is checked here") {
  Fixture fixture;
  const auto routes =
      make_routes("$scrypt$ln=10,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$6g3umF+uVrJsObaTZhIbbTlgrvOEFcCItdwSjtPF67M");
  CHECK(fixture.check("u@mail.example", "correct horse", routes) == "ok");
  CHECK(fixture.check("u@mail.example", "wrong", routes) == "denied");
  CHECK(fixture.imap.connections == 0);
  CHECK(fixture.check("u@mail.example", "x", make_routes("nonsense")) == "unavailable");
}
