// One object for the dialog, so that nothing of a login outlives it.
#include "proxy/imap/login.h"

#include <optional>
#include <utility>

#include "base/text.h"
#include "proxy/imap/capability.h"
#include "proxy/imap/command.h"

namespace kage::proxy {
namespace {

constexpr int kMaxResponses = 200;  // of one command

/// RFC 9051 §7.1, RFC 5530: a NO that is about the server, not about the login.
bool is_about_server(std::string_view text) {
  for (const std::string_view code :
       {"[UNAVAILABLE]", "[INUSE]", "[SERVERBUG]", "[LIMIT]", "[CONTACTADMIN]"}) {
    if (starts_with_nocase(text, code)) return true;
  }
  return false;
}

class Login {
 public:
  Login(net::Loop& loop, const Upstreams& upstreams, const tls::ProviderOptions& provider,
        Credentials credentials, net::TimePoint deadline)
      : loop_(loop),
        upstreams_(upstreams),
        provider_(provider),
        credentials_(std::move(credentials)),
        deadline_(deadline) {}
  ~Login() { wipe(credentials_); }
  Login(const Login&) = delete;
  Login& operator=(const Login&) = delete;

  net::Task<Result<ImapUpstream>> run() {
    auto stream = co_await upstreams_.connect(loop_, provider_, tls::Service::imap, deadline_);
    if (!stream) co_return std::unexpected(stream.error());
    upstream_.stream = std::move(*stream);
    upstream_.in = std::make_unique<ImapReader>(*upstream_.stream);
    auto done = co_await hello();
    if (done) done = co_await authenticate();
    if (done && !known_) done = co_await ask_capabilities();
    if (!done) {
      if (upstream_.stream) upstream_.stream->close();
      co_return std::unexpected(done.error());
    }
    upstream_.stream->set_deadline(std::nullopt);
    co_return std::move(upstream_);
  }

 private:
  /// Takes the text, which may hold a secret, and wipes it.
  net::Task<Result<>> send(std::string text) {
    const auto sent = co_await upstream_.stream->write(text);
    wipe(text);
    co_return sent;
  }

  void learn(std::string_view text) {
    upstream_.capabilities = normal_capabilities(text);
    known_ = true;
  }

  /// A response code CAPABILITY spares the question.
  void learn_code(std::string_view text) {
    if (!starts_with_nocase(text, "[CAPABILITY ")) return;
    learn(text.substr(12, text.find(']') - 12));
  }

  /// Reads up to a tagged answer or a continuation.
  net::Task<Result<ImapResponse>> answer() {
    for (int i = 0; i < kMaxResponses; ++i) {
      auto response = co_await upstream_.in->next();
      if (!response) co_return std::unexpected(response.error());
      if (response->kind == ImapResponse::Kind::tagged) {
        if (response->tag != tag()) co_return fail(Errc::protocol, "a tag of another command");
        learn_code(response->text);
      }
      if (response->kind != ImapResponse::Kind::untagged) co_return response;
      if (response->name == "BYE") co_return fail(Errc::unavailable, "the server said BYE");
      if (response->name == "FETCH") co_return fail(Errc::protocol, "FETCH before login");
      if (response->name == "CAPABILITY") learn(response->text);
    }
    co_return fail(Errc::protocol, "too many responses");
  }

  [[nodiscard]] std::string tag() const { return "a" + std::to_string(commands_); }

  net::Task<Result<ImapResponse>> command(std::string text) {
    ++commands_;
    std::string line = tag() + " ";
    line.append(text).append("\r\n");
    wipe(text);
    if (auto sent = co_await send(std::move(line)); !sent) co_return std::unexpected(sent.error());
    co_return co_await answer();
  }

  static bool ok(const Result<ImapResponse>& response) {
    return response && response->kind == ImapResponse::Kind::tagged && response->name == "OK";
  }

  net::Task<Result<>> ask_capabilities() {
    const auto response = co_await command("CAPABILITY");
    if (!response) co_return std::unexpected(response.error());
    if (!ok(response) || !known_) co_return fail(Errc::protocol, "CAPABILITY refused");
    co_return Result<>();
  }

  net::Task<Result<>> hello() {
    const auto greeting = co_await upstream_.in->next();
    if (!greeting) co_return std::unexpected(greeting.error());
    if (greeting->kind != ImapResponse::Kind::untagged) co_return fail(Errc::protocol, "no IMAP greeting");
    if (greeting->name == "BYE") co_return fail(Errc::unavailable, "the server said BYE");
    // PREAUTH: somebody is logged in already, and it is not who asks.
    if (greeting->name != "OK") co_return fail(Errc::protocol, "no IMAP greeting");
    learn_code(greeting->text);
    if (provider_.endpoint(tls::Service::imap).starttls) {
      const auto begun = co_await command("STARTTLS");
      if (!begun) co_return std::unexpected(begun.error());
      if (!ok(begun)) co_return fail(Errc::tls, "STARTTLS refused");
      // What came before the handshake is nobody's word (RFC 9051 §6.2.1).
      if (upstream_.in->has_more()) co_return fail(Errc::protocol, "octets before the handshake");
      auto secured =
          co_await upstreams_.secure(std::move(upstream_.stream), provider_, tls::Service::imap, deadline_);
      if (!secured) co_return std::unexpected(secured.error());
      upstream_.stream = std::move(*secured);
      upstream_.in->reset(*upstream_.stream);
      known_ = false;
    }
    if (!known_) co_return co_await ask_capabilities();
    co_return Result<>();
  }

  [[nodiscard]] bool can(std::string_view capability) const {
    return upstream_.capabilities.find(" " + std::string(capability) + " ") != std::string::npos;
  }

  net::Task<Result<>> authenticate() {
    const std::string name(mechanism_name(credentials_.mechanism));
    const bool password = credentials_.mechanism == Credentials::Mechanism::password;
    const bool sasl = can("AUTH=" + name);
    if (!sasl && (!password || can("LOGINDISABLED"))) {
      co_return fail(Errc::unavailable, "the server offers no mechanism for this");
    }
    known_ = false;  // other capabilities hold after login
    const auto response = sasl ? co_await sasl_dialog(name) : co_await login_dialog();
    if (!response) co_return std::unexpected(response.error());
    if (ok(response)) co_return Result<>();
    if (response->name != "NO" || is_about_server(response->text)) {
      co_return fail(Errc::unavailable, "the server could not say");
    }
    co_return fail(Errc::denied);
  }

  net::Task<Result<ImapResponse>> sasl_dialog(std::string name) {
    std::string initial = initial_response(credentials_);
    Result<ImapResponse> response = fail(Errc::protocol);
    if (can("SASL-IR")) {
      std::string text = "AUTHENTICATE " + name + " " + initial;
      response = co_await command(std::move(text));
    } else {
      response = co_await command("AUTHENTICATE " + name);
      if (response && response->kind == ImapResponse::Kind::continuation) {
        std::string line = initial + "\r\n";
        if (auto sent = co_await send(std::move(line)); !sent) response = std::unexpected(sent.error());
        if (response) response = co_await answer();
      }
    }
    wipe(initial);
    if (response && response->kind == ImapResponse::Kind::continuation) {
      // The OAuth mechanisms say why in a challenge; an empty response brings the NO (RFC 7628 §3.2.3).
      if (auto sent = co_await send("\r\n"); !sent) co_return std::unexpected(sent.error());
      response = co_await answer();
    }
    if (response && response->kind == ImapResponse::Kind::continuation) {
      co_return fail(Errc::protocol, "a dialog without end");
    }
    co_return response;
  }

  /// LOGIN, each string as a literal where it has to be one (RFC 9051 §6.2.3).
  net::Task<Result<ImapResponse>> login_dialog() {
    ++commands_;
    std::string text = tag() + " LOGIN ";
    for (const std::string* word : {&credentials_.login, &credentials_.secret}) {
      if (word != &credentials_.login) text += ' ';
      std::string written = imap_string(*word);
      const std::size_t end = written.front() == '{' ? written.find('\n') + 1 : 0;
      text.append(written, 0, end);
      if (end > 0) {
        if (auto sent = co_await send(std::exchange(text, {})); !sent)
          co_return std::unexpected(sent.error());
        auto response = co_await answer();
        if (!response || response->kind != ImapResponse::Kind::continuation) {
          wipe(written);
          co_return response;
        }
      }
      text.append(written, end);
      wipe(written);
    }
    text += "\r\n";
    if (auto sent = co_await send(std::move(text)); !sent) co_return std::unexpected(sent.error());
    auto response = co_await answer();
    if (response && response->kind == ImapResponse::Kind::continuation) {
      co_return fail(Errc::protocol, "a continuation after LOGIN");
    }
    co_return response;
  }

  net::Loop& loop_;
  const Upstreams& upstreams_;
  const tls::ProviderOptions& provider_;
  Credentials credentials_;
  net::TimePoint deadline_;
  ImapUpstream upstream_;
  bool known_ = false;  // the capabilities of the state that the connection is in
  int commands_ = 0;
};

}  // namespace

net::Task<Result<ImapUpstream>> log_in_imap(net::Loop& loop, const Upstreams& upstreams,
                                            const tls::ProviderOptions& provider, Credentials credentials,
                                            net::TimePoint deadline) {
  const auto login = std::make_unique<Login>(loop, upstreams, provider, std::move(credentials), deadline);
  co_return co_await login->run();
}

}  // namespace kage::proxy
