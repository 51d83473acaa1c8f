// Commands and answers, and the dialog of a login.
#include "proxy/pop3/upstream.h"

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace kage::proxy {
namespace {

constexpr std::size_t kMaxLine = 4096;         // RFC 2449 §4 has 512
constexpr std::size_t kMaxInitial = 255;       // RFC 5034 §4: a longer response has to wait for the challenge
constexpr std::size_t kMaxCapabilities = 200;  // lines

Pop3Login failed(Error error) {
  return {.ok = false, .refusal = Pop3Refusal::temporary, .error = std::move(error)};
}

/// The dialog of one login.
class Login {
 public:
  Login(Pop3Upstream& upstream, const provider::Providers& providers,
        const provider::ProviderOptions& provider, Credentials credentials, net::TimePoint deadline)
      : upstream_(upstream),
        providers_(providers),
        provider_(provider),
        endpoint_(provider.endpoint(provider::Service::pop3)),
        credentials_(std::move(credentials)),
        deadline_(deadline) {}
  Login(const Login&) = delete;
  Login& operator=(const Login&) = delete;

  net::Task<Pop3Login> run(bool utf8) {
    if (auto greeted = co_await greet(); !greeted) co_return failed(greeted.error());
    auto capabilities = co_await upstream_.capabilities();
    if (!capabilities) co_return failed(capabilities.error());
    if (utf8 && capabilities->utf8) {
      const auto answered = co_await upstream_.ask("UTF8");
      if (!answered) co_return failed(answered.error());
    }
    const auto status = co_await authenticate(*capabilities);
    if (!status) co_return failed(status.error());
    Pop3Login out;
    out.ok = status->ok();
    if (!out.ok) out.refusal = pop3_refusal(status->text);
    if (!out.ok && out.refusal != Pop3Refusal::denied) out.error = {Errc::unavailable, "the server refused"};
    co_return out;
  }

 private:
  net::Task<Result<>> greet() {
    const auto greeting = co_await upstream_.status();
    if (!greeting) co_return std::unexpected(greeting.error());
    if (!greeting->ok()) co_return fail(Errc::unavailable, "the server does not greet");
    if (!endpoint_.starttls) co_return Result<>();
    const auto begun = co_await upstream_.ask("STLS");
    if (!begun) co_return std::unexpected(begun.error());
    if (!begun->ok()) co_return fail(Errc::tls, "STLS refused");
    // Octets from before the handshake may be injected (RFC 2595 §4).
    if (!upstream_.reader().buffered().empty()) co_return fail(Errc::protocol, "octets before the handshake");
    auto secured = co_await providers_.secure(upstream_.release(), provider_, endpoint_, deadline_);
    if (!secured) co_return std::unexpected(secured.error());
    upstream_.adopt(std::move(*secured));
    co_return Result<>();
  }

  net::Task<Result<Pop3Status>> authenticate(const Pop3Capabilities& capabilities) {
    const std::string name(mechanism_name(credentials_.kind));
    if (std::ranges::find(capabilities.sasl, name) != capabilities.sasl.end()) co_return co_await sasl(name);
    if (credentials_.kind == Credentials::Kind::password) co_return co_await user_pass();
    // The same words as for a wrong token: which server a login has is nobody's business.
    co_return Pop3Status{Pop3Status::Kind::error, {}};
  }

  net::Task<Result<Pop3Status>> sasl(std::string name) {
    const Secret initial = initial_response(credentials_);
    const std::string command = "AUTH " + name;
    const bool at_once = command.size() + initial.size() + 3 <= kMaxInitial;
    auto status = at_once ? co_await upstream_.ask(command + " ", initial) : co_await upstream_.ask(command);
    if (!at_once && status && status->kind == Pop3Status::Kind::challenge) {
      status = co_await upstream_.ask({}, initial);
    }
    if (status && status->kind == Pop3Status::Kind::challenge) {
      // The OAuth mechanisms say why in a challenge; the answer to it brings the refusal.
      status = co_await upstream_.ask(oauth_acknowledgement(credentials_.kind));
    }
    if (status && status->kind == Pop3Status::Kind::challenge) {
      co_return fail(Errc::protocol, "a dialog without end");
    }
    co_return status;
  }

  net::Task<Result<Pop3Status>> user_pass() {
    // SASL can carry line ends in a password; here they would begin another command.
    const std::string_view password = credentials_.secret;
    if (password.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos) {
      co_return Pop3Status{Pop3Status::Kind::error, {}};
    }
    auto status = co_await upstream_.ask("USER " + credentials_.login);
    if (status && status->ok()) status = co_await upstream_.ask("PASS ", password);
    if (status && status->kind == Pop3Status::Kind::challenge) co_return fail(Errc::protocol, "a challenge");
    co_return status;
  }

  Pop3Upstream& upstream_;
  const provider::Providers& providers_;
  const provider::ProviderOptions& provider_;
  provider::ServiceEndpoint endpoint_;
  Credentials credentials_;
  net::TimePoint deadline_;
};

}  // namespace

net::Task<Result<Pop3Status>> Pop3Upstream::status() {
  if (!stream_) co_return fail(Errc::closed);
  const auto line = co_await reader_.line(kMaxLine);
  if (!line) co_return std::unexpected(line.error());
  auto status = parse_pop3_status(*line);
  if (!status) co_return fail(Errc::protocol, "no POP3 answer");
  co_return std::move(*status);
}

net::Task<Result<Pop3Status>> Pop3Upstream::ask(std::string_view command, std::string_view secret) {
  if (!stream_) co_return fail(Errc::closed);
  const Secret line(join_secret({command, secret, "\r\n"}));
  if (auto sent = co_await stream_->write(line); !sent) co_return std::unexpected(sent.error());
  co_return co_await status();
}

net::Task<Result<bool>> Pop3Upstream::line(std::string_view& line) {
  if (!stream_) co_return fail(Errc::closed);
  const auto read = co_await reader_.line(kMaxLine);
  if (!read) co_return std::unexpected(read.error());
  line = *read;
  if (line == ".") co_return false;
  if (line.starts_with('.')) line.remove_prefix(1);
  co_return true;
}

net::Task<Result<Pop3Capabilities>> Pop3Upstream::capabilities() {
  Pop3Capabilities out;
  const auto status = co_await ask("CAPA");
  if (!status) co_return std::unexpected(status.error());
  if (!status->ok()) {
    out.top = out.uidl = true;
    co_return out;
  }
  for (std::size_t i = 0; i < kMaxCapabilities; ++i) {
    std::string_view text;
    const auto more = co_await line(text);
    if (!more) co_return std::unexpected(more.error());
    if (!*more) co_return out;
    out.learn(text);
  }
  co_return fail(Errc::limit, "too many capabilities");
}

void Pop3Upstream::adopt(net::StreamPtr stream) {
  stream_ = std::move(stream);
  reader_.reset(*stream_);
}

void Pop3Upstream::close() {
  if (stream_) stream_->close();
}

net::Task<Pop3Login> log_in_pop3(Pop3Upstream& upstream, const provider::Providers& providers,
                                 const provider::ProviderOptions& provider, Credentials credentials,
                                 bool utf8, net::TimePoint deadline) {
  const auto login = std::make_unique<Login>(upstream, providers, provider, std::move(credentials), deadline);
  co_return co_await login->run(utf8);
}

}  // namespace kage::proxy
