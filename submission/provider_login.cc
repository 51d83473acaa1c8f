// A small client of a submission server: greeting, TLS, one AUTH, all before one deadline. IMAP is the same
// dialog as the proxy's.
#include "submission/provider_login.h"

#include <memory>
#include <optional>
#include <utility>

#include "base/text.h"
#include "net/buffered_reader.h"
#include "provider/imap_login.h"
#include "submission/smtp_client.h"
#include "submission/smtp_reply.h"

namespace kage::submission {
namespace {

constexpr std::size_t kMaxLine = 8192;

/// RFC 4954 §6: 535 and its kin are about the login; 504 (mechanism) and 530 (TLS) are about us.
bool is_about_login(int code) {
  return code == 535 || code == 534 || code == 550 || code == 554;
}

class SubmissionDialog {
 public:
  SubmissionDialog(net::Loop& loop, const provider::Providers& providers,
                   const provider::ProviderOptions& provider, Credentials credentials,
                   net::TimePoint deadline)
      : loop_(loop),
        providers_(providers),
        provider_(provider),
        endpoint_(provider.login_endpoint()),
        credentials_(std::move(credentials)),
        deadline_(deadline) {}
  ~SubmissionDialog() {
    if (stream_) stream_->close();
  }
  SubmissionDialog(const SubmissionDialog&) = delete;
  SubmissionDialog& operator=(const SubmissionDialog&) = delete;

  net::Task<Result<>> run() {
    auto stream = co_await providers_.connect(loop_, provider_, endpoint_, deadline_);
    if (!stream) co_return std::unexpected(stream.error());
    adopt(std::move(*stream));
    const auto offers = co_await begin();
    if (!offers) co_return std::unexpected(offers.error());
    const bool by_login =
        credentials_.kind == Credentials::Kind::password && !offers->auth_plain && offers->auth_login;
    const auto answer = by_login ? co_await login() : co_await auth();
    if (!answer) co_return std::unexpected(answer.error());
    if (answer->positive()) {
      (void)co_await stream_->write("QUIT\r\n");
      co_return Result<>();
    }
    if (is_about_login(answer->code)) co_return fail(Errc::denied);
    co_return fail(Errc::unavailable, "provider could not say");
  }

 private:
  void adopt(net::StreamPtr stream) {
    stream_ = std::move(stream);
    reader_.emplace(*stream_);
  }

  net::Task<Result<SmtpReply>> reply() {
    SmtpReplyParser parser(true);
    for (;;) {
      const auto line = co_await reader_->line(kMaxLine);
      if (!line) co_return std::unexpected(line.error());
      const auto last = parser.line(*line);
      if (!last) co_return std::unexpected(last.error());
      if (*last) co_return parser.take();
    }
  }

  net::Task<Result<SmtpReply>> command(std::string_view text, std::string_view secret = {}) {
    const Secret line(join_secret({text, secret, "\r\n"}));
    if (auto sent = co_await stream_->write(line); !sent) co_return std::unexpected(sent.error());
    co_return co_await reply();
  }

  net::Task<Result<SmtpCapabilities>> hello() {
    // The name of the gateway is no business of a provider's.
    const auto reply = co_await command("EHLO [127.0.0.1]");
    if (!reply) co_return std::unexpected(reply.error());
    if (!reply->positive()) co_return fail(Errc::unavailable, "EHLO refused");
    co_return parse_capabilities(*reply);
  }

  /// The greeting, EHLO, and STARTTLS where the provider wants it.
  net::Task<Result<SmtpCapabilities>> begin() {
    const auto greeting = co_await reply();
    if (!greeting) co_return std::unexpected(greeting.error());
    if (!greeting->positive()) co_return fail(Errc::unavailable, "no SMTP greeting");
    auto offers = co_await hello();
    if (!offers || !endpoint_.starttls) co_return offers;
    const auto answer = co_await command("STARTTLS");
    if (!answer) co_return std::unexpected(answer.error());
    if (!answer->positive()) co_return fail(Errc::tls, "STARTTLS refused");
    // Octets from before the handshake may be injected (RFC 3207 §4.2).
    if (!reader_->buffered().empty()) co_return fail(Errc::protocol, "octets before the handshake");
    auto secured = co_await providers_.secure(std::move(stream_), provider_, endpoint_, deadline_);
    if (!secured) co_return std::unexpected(secured.error());
    adopt(std::move(*secured));
    co_return co_await hello();
  }

  net::Task<Result<SmtpReply>> auth() {
    const Secret initial = initial_response(credentials_);
    const std::string begin = "AUTH " + std::string(mechanism_name(credentials_.kind)) + " ";
    auto answer = co_await command(begin, initial);
    // The OAuth mechanisms say why in a challenge; the answer to it brings the refusal.
    if (answer && answer->code == 334) answer = co_await command(oauth_acknowledgement(credentials_.kind));
    co_return answer;
  }

  net::Task<Result<SmtpReply>> login() {
    auto answer = co_await command("AUTH LOGIN");
    for (const std::string_view text :
         {std::string_view(credentials_.login), std::string_view(credentials_.secret)}) {
      if (!answer || answer->code != 334) co_return answer;
      const Secret encoded(base64(text));
      answer = co_await command(encoded);
    }
    co_return answer;
  }

  net::Loop& loop_;
  const provider::Providers& providers_;
  const provider::ProviderOptions& provider_;
  provider::ServiceEndpoint endpoint_;
  Credentials credentials_;
  net::TimePoint deadline_;
  net::StreamPtr stream_;  // null during a handshake
  std::optional<net::BufferedReader> reader_;
};

}  // namespace

net::Task<Result<>> ask_provider(net::Loop& loop, const provider::Providers& providers,
                                 const provider::ProviderOptions& provider, Credentials credentials) {
  const net::TimePoint deadline = loop.now() + provider.timeout;
  if (provider.protocol == provider::Service::imap) {
    co_return co_await provider::check_imap_login(loop, providers, provider, provider.login_endpoint(),
                                                  std::move(credentials), deadline);
  }
  const auto dialog =
      std::make_unique<SubmissionDialog>(loop, providers, provider, std::move(credentials), deadline);
  co_return co_await dialog->run();
}

}  // namespace kage::submission
