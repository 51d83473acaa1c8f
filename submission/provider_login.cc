// Two small clients that share one connection class: connect, TLS, lines out, lines in, all before one
// deadline.
#include "submission/provider_login.h"

#include <optional>
#include <utility>

#include "base/sasl.h"
#include "base/text.h"
#include "net/buffered_reader.h"
#include "net/connect.h"
#include "submission/smtp_client.h"
#include "submission/smtp_reply.h"
#include "tls/tls_stream.h"

namespace kage::submission {
namespace {

constexpr std::size_t kMaxLine = 8192;
constexpr std::size_t kMaxLines = 200;  // of one answer

using Protocol = ProviderOptions::Protocol;

class Asker {
 public:
  Asker(net::Loop& loop, std::shared_ptr<const ProviderOptions> provider,
        std::shared_ptr<tls::ClientContext> context, Credentials credentials)
      : loop_(loop),
        provider_(std::move(provider)),
        context_(std::move(context)),
        credentials_(std::move(credentials)),
        deadline_(loop.now() + provider_->timeout) {}
  ~Asker() { wipe(credentials_); }
  Asker(const Asker&) = delete;
  Asker& operator=(const Asker&) = delete;

  net::Task<Result<>> ask() {
    auto stream = co_await net::connect_tcp(loop_, provider_->host, provider_->port, deadline_);
    if (!stream) co_return std::unexpected(stream.error());
    adopt(std::move(*stream));
    if (!provider_->starttls) {
      if (auto secured = co_await secure(); !secured) co_return secured;
    }
    auto result = provider_->protocol == Protocol::imap ? co_await ask_imap() : co_await ask_smtp();
    stream_->close();
    co_return result;
  }

 private:
  void adopt(net::StreamPtr stream) {
    stream_ = std::move(stream);
    stream_->set_deadline(deadline_);
    reader_.emplace(*stream_);
  }

  net::Task<Result<>> secure() {
    if (!reader_->buffered().empty()) co_return fail(Errc::protocol, "octets before the handshake");
    auto secured = co_await tls::connect_tls(std::move(stream_), context_, provider_->host, deadline_);
    if (!secured) co_return std::unexpected(secured.error());
    adopt(std::move(*secured));
    co_return Result<>();
  }

  /// Takes the text, which may hold a secret, and wipes it.
  net::Task<Result<>> send(std::string text) {
    const auto sent = co_await stream_->write(text);
    wipe(text);
    co_return sent;
  }

  net::Task<Result<std::string>> read_line() {
    const auto line = co_await reader_->line(kMaxLine);
    if (!line) co_return std::unexpected(line.error());
    co_return std::string(*line);
  }

  // IMAP

  /// Reads up to the tagged answer or a continuation request, which ends with a line that begins with "+".
  net::Task<Result<std::string>> imap_answer() {
    for (std::size_t i = 0; i < kMaxLines; ++i) {
      auto line = co_await read_line();
      if (!line) co_return line;
      if (starts_with_nocase(*line, "* CAPABILITY ")) capabilities_ = lower(*line) + " ";
      if (starts_with_nocase(*line, "* BYE")) co_return fail(Errc::unavailable, "provider said BYE");
      if (line->starts_with("+") || line->starts_with("k ")) co_return line;
    }
    co_return fail(Errc::protocol, "too many lines");
  }

  net::Task<Result<std::string>> imap_command(std::string command) {
    if (auto sent = co_await send("k " + std::move(command) + "\r\n"); !sent) {
      co_return std::unexpected(sent.error());
    }
    co_return co_await imap_answer();
  }

  static bool imap_ok(std::string_view line) { return starts_with_nocase(line, "k OK"); }

  net::Task<Result<>> imap_hello() {
    const auto greeting = co_await read_line();
    if (!greeting) co_return std::unexpected(greeting.error());
    if (!starts_with_nocase(*greeting, "* OK")) co_return fail(Errc::unavailable, "no IMAP greeting");
    if (provider_->starttls) {
      const auto answer = co_await imap_command("STARTTLS");
      if (!answer) co_return std::unexpected(answer.error());
      if (!imap_ok(*answer)) co_return fail(Errc::tls, "STARTTLS refused");
      if (auto secured = co_await secure(); !secured) co_return secured;
    }
    const auto answer = co_await imap_command("CAPABILITY");
    if (!answer) co_return std::unexpected(answer.error());
    if (!imap_ok(*answer)) co_return fail(Errc::protocol, "CAPABILITY refused");
    co_return Result<>();
  }

  [[nodiscard]] bool can(std::string_view capability) const {
    return capabilities_.find(" " + lower(capability) + " ") != std::string::npos;
  }

  net::Task<Result<>> ask_imap() {
    if (auto hello = co_await imap_hello(); !hello) co_return hello;
    const std::string name(mechanism_name(credentials_.mechanism));
    Result<std::string> answer = fail(Errc::protocol);
    if (can("AUTH=" + name)) {
      answer = co_await imap_authenticate(name);
    } else if (credentials_.mechanism == Credentials::Mechanism::password && !can("LOGINDISABLED")) {
      answer = co_await imap_login();
    } else {
      co_return fail(Errc::unavailable, "provider offers no mechanism for this");
    }
    if (!answer) co_return std::unexpected(answer.error());
    if (imap_ok(*answer)) {
      (void)co_await send("k LOGOUT\r\n");
      co_return Result<>();
    }
    // RFC 9051 §7.1: a NO with UNAVAILABLE or INUSE is about the server, not about the login.
    const std::string said = lower(*answer);
    if (said.starts_with("k no") && said.find("[unavailable]") == std::string::npos &&
        said.find("[inuse]") == std::string::npos && said.find("[serverbug]") == std::string::npos) {
      co_return fail(Errc::denied);
    }
    co_return fail(Errc::unavailable, "provider could not say");
  }

  net::Task<Result<std::string>> imap_authenticate(std::string name) {
    std::string response = initial_response(credentials_);
    Result<std::string> answer = fail(Errc::protocol);
    if (can("SASL-IR")) {
      answer = co_await imap_command("AUTHENTICATE " + name + " " + response);
    } else {
      answer = co_await imap_command("AUTHENTICATE " + name);
      if (answer && answer->starts_with("+")) {
        if (auto sent = co_await send(response + "\r\n"); !sent) co_return std::unexpected(sent.error());
        answer = co_await imap_answer();
      }
    }
    wipe(response);
    if (answer && answer->starts_with("+")) {
      // The OAuth mechanisms say why in a challenge; an empty response brings the NO (RFC 7628 §3.2.3).
      if (auto sent = co_await send("\r\n"); !sent) co_return std::unexpected(sent.error());
      answer = co_await imap_answer();
    }
    co_return answer;
  }

  net::Task<Result<std::string>> imap_login() {
    std::string command = "LOGIN ";
    for (const std::string* text : {&credentials_.login, &credentials_.secret}) {
      if (text != &credentials_.login) command.push_back(' ');
      if (is_imap_quotable(*text)) {
        command.append(imap_quoted(*text));
        continue;
      }
      command.append("{").append(std::to_string(text->size())).append("}");
      auto answer = co_await imap_piece(std::exchange(command, {}));
      if (!answer || !answer->starts_with("+")) co_return answer;
      command = *text;
    }
    if (auto sent = co_await send((tagged_ ? "" : "k ") + command + "\r\n"); !sent) {
      wipe(command);
      co_return std::unexpected(sent.error());
    }
    wipe(command);
    co_return co_await imap_answer();
  }

  /// A line that ends with the size of a literal; the answer asks for it.
  net::Task<Result<std::string>> imap_piece(std::string text) {
    const std::string tag = std::exchange(tagged_, true) ? "" : "k ";
    if (auto sent = co_await send(tag + std::move(text) + "\r\n"); !sent)
      co_return std::unexpected(sent.error());
    co_return co_await imap_answer();
  }

  // Submission

  net::Task<Result<SmtpReply>> smtp_reply() {
    SmtpReplyParser parser(true);
    for (;;) {
      const auto line = co_await reader_->line(kMaxLine);
      if (!line) co_return std::unexpected(line.error());
      const auto last = parser.line(*line);
      if (!last) co_return std::unexpected(last.error());
      if (*last) co_return parser.take();
    }
  }

  net::Task<Result<SmtpReply>> smtp_command(std::string command) {
    if (auto sent = co_await send(std::move(command) + "\r\n"); !sent)
      co_return std::unexpected(sent.error());
    co_return co_await smtp_reply();
  }

  net::Task<Result<SmtpCapabilities>> smtp_hello() {
    // The name of the gateway is no business of a provider's.
    const auto reply = co_await smtp_command("EHLO [127.0.0.1]");
    if (!reply) co_return std::unexpected(reply.error());
    if (!reply->positive()) co_return fail(Errc::unavailable, "EHLO refused");
    co_return parse_capabilities(*reply);
  }

  net::Task<Result<>> ask_smtp() {
    const auto greeting = co_await smtp_reply();
    if (!greeting) co_return std::unexpected(greeting.error());
    if (!greeting->positive()) co_return fail(Errc::unavailable, "no SMTP greeting");
    auto offers = co_await smtp_hello();
    if (!offers) co_return std::unexpected(offers.error());
    if (provider_->starttls) {
      const auto reply = co_await smtp_command("STARTTLS");
      if (!reply) co_return std::unexpected(reply.error());
      if (!reply->positive()) co_return fail(Errc::tls, "STARTTLS refused");
      if (auto secured = co_await secure(); !secured) co_return secured;
      offers = co_await smtp_hello();
      if (!offers) co_return std::unexpected(offers.error());
    }
    const bool by_login = credentials_.mechanism == Credentials::Mechanism::password && !offers->auth_plain &&
                          offers->auth_login;
    auto reply = by_login ? co_await smtp_login() : co_await smtp_auth();
    if (!reply) co_return std::unexpected(reply.error());
    if (reply->positive()) {
      (void)co_await send("QUIT\r\n");
      co_return Result<>();
    }
    // 535 and its kin are about the login; 504 (mechanism) and 530 (TLS) are about us.
    if (reply->code == 535 || reply->code == 534 || reply->code == 550 || reply->code == 554) {
      co_return fail(Errc::denied);
    }
    co_return fail(Errc::unavailable, "provider could not say");
  }

  net::Task<Result<SmtpReply>> smtp_auth() {
    auto reply = co_await smtp_command("AUTH " + std::string(mechanism_name(credentials_.mechanism)) + " " +
                                       initial_response(credentials_));
    if (reply && reply->code == 334) reply = co_await smtp_command("");
    co_return reply;
  }

  net::Task<Result<SmtpReply>> smtp_login() {
    auto reply = co_await smtp_command("AUTH LOGIN");
    for (const std::string* text : {&credentials_.login, &credentials_.secret}) {
      if (!reply || reply->code != 334) co_return reply;
      reply = co_await smtp_command(base64(*text));
    }
    co_return reply;
  }

  net::Loop& loop_;
  std::shared_ptr<const ProviderOptions> provider_;
  std::shared_ptr<tls::ClientContext> context_;
  Credentials credentials_;
  net::TimePoint deadline_;
  net::StreamPtr stream_;
  std::optional<net::BufferedReader> reader_;
  std::string capabilities_;
  bool tagged_ = false;
};

}  // namespace

bool is_imap_quotable(std::string_view text) {
  for (const char c : text) {
    if (c == '\r' || c == '\n' || c == '\0' || !is_ascii(c)) return false;
  }
  return true;
}

std::string imap_quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  out.push_back('"');
  return out;
}

net::Task<Result<>> ask_provider(net::Loop& loop, std::shared_ptr<const ProviderOptions> provider,
                                 std::shared_ptr<tls::ClientContext> context, Credentials credentials) {
  const auto asker =
      std::make_unique<Asker>(loop, std::move(provider), std::move(context), std::move(credentials));
  co_return co_await asker->ask();
}

}  // namespace kage::submission
