// One object for the dialog, so that nothing of a login outlives it. What a server says before the login is
// lines: a response with literals has no place there.
#include "provider/imap_login.h"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <utility>

#include "base/text.h"
#include "net/buffered_reader.h"
#include "provider/imap_text.h"

namespace kage::provider {
namespace {

constexpr std::size_t kMaxLine = std::size_t{64} * 1024;
constexpr int kMaxResponses = 200;  // of one command

/// RFC 9051 §7.1, RFC 5530: a NO that is about the server, not about the login.
constexpr auto kAboutServer =
    std::to_array<std::string_view>({"[UNAVAILABLE]", "[INUSE]", "[SERVERBUG]", "[LIMIT]", "[CONTACTADMIN]"});

bool is_about_server(std::string_view text) {
  return std::ranges::any_of(kAboutServer,
                             [&](std::string_view code) { return starts_with_nocase(text, code); });
}

/// A tagged answer, or a continuation request.
struct Response {
  bool continues = false;
  std::string name;  ///< upper case: OK, NO, BAD
  std::string text;
  [[nodiscard]] bool ok() const { return !continues && name == "OK"; }
};

/// The first word, taken off `line`.
std::string_view take_word(std::string_view& line) {
  const std::size_t end = std::min(line.find(' '), line.size());
  const std::string_view word = line.substr(0, end);
  line.remove_prefix(std::min(end + 1, line.size()));
  return word;
}

class Dialog {
 public:
  Dialog(net::Loop& loop, const Providers& providers, const ProviderOptions& provider,
         ServiceEndpoint endpoint, Credentials credentials, net::TimePoint deadline)
      : loop_(loop),
        providers_(providers),
        provider_(provider),
        endpoint_(std::move(endpoint)),
        credentials_(std::move(credentials)),
        deadline_(deadline) {}
  ~Dialog() {
    if (stream_) stream_->close();
  }
  Dialog(const Dialog&) = delete;
  Dialog& operator=(const Dialog&) = delete;

  net::Task<Result<>> log_in() {
    auto stream = co_await providers_.connect(loop_, provider_, endpoint_, deadline_);
    if (!stream) co_return std::unexpected(stream.error());
    adopt(std::move(*stream));
    if (auto greeted = co_await greet(); !greeted) co_return greeted;
    co_return co_await authenticate();
  }

  net::Task<Result<ImapConnection>> take() {
    if (!known_) {
      if (auto asked = co_await ask_capabilities(); !asked) co_return std::unexpected(asked.error());
    }
    stream_->set_deadline(std::nullopt);
    std::string buffered(reader_->buffered());
    reader_.reset();
    co_return ImapConnection{std::move(stream_), std::move(buffered), std::move(capabilities_)};
  }

  /// The answer to LOGOUT is of no interest.
  net::Task<void> log_out() {
    ++commands_;
    (void)co_await send(Secret(tag() + " LOGOUT\r\n"));
  }

 private:
  void adopt(net::StreamPtr stream) {
    stream_ = std::move(stream);
    reader_.emplace(*stream_);
  }

  net::Task<Result<>> send(Secret text) { co_return co_await stream_->write(text); }

  [[nodiscard]] std::string tag() const { return "a" + std::to_string(commands_); }

  void learn(std::string_view text) {
    capabilities_ = normal_capabilities(text);
    known_ = true;
  }

  /// A response code CAPABILITY spares the question.
  void learn_code(std::string_view text) {
    if (starts_with_nocase(text, "[CAPABILITY ")) learn(text.substr(12, text.find(']') - 12));
  }

  [[nodiscard]] bool can(std::string_view capability) const {
    return capabilities_.find(" " + std::string(capability) + " ") != std::string::npos;
  }

  /// Reads up to the tagged answer or a continuation request.
  net::Task<Result<Response>> answer() {
    for (int i = 0; i < kMaxResponses; ++i) {
      const auto read = co_await reader_->line(kMaxLine);
      if (!read) co_return std::unexpected(read.error());
      std::string_view line = *read;
      const std::string_view first = take_word(line);
      if (first == "+") co_return Response{.continues = true, .name = {}, .text = {}};
      const std::string name = upper(take_word(line));
      if (first == tag()) {
        learn_code(line);
        co_return Response{.continues = false, .name = name, .text = std::string(line)};
      }
      if (first != "*") co_return fail(Errc::protocol, "a tag of another command");
      if (name == "BYE") co_return fail(Errc::unavailable, "the server said BYE");
      if (name == "CAPABILITY") learn(line);
    }
    co_return fail(Errc::protocol, "too many responses");
  }

  net::Task<Result<Response>> command(std::string_view text, std::string_view secret = {}) {
    ++commands_;
    const std::string front = tag();
    if (auto sent = co_await send(Secret(join_secret({front, " ", text, secret, "\r\n"}))); !sent) {
      co_return std::unexpected(sent.error());
    }
    co_return co_await answer();
  }

  /// What a continuation request asked for.
  net::Task<Result<Response>> go_on(std::string_view secret) {
    if (auto sent = co_await send(Secret(join_secret({secret, "\r\n"}))); !sent) {
      co_return std::unexpected(sent.error());
    }
    co_return co_await answer();
  }

  net::Task<Result<>> ask_capabilities() {
    const auto response = co_await command("CAPABILITY");
    if (!response) co_return std::unexpected(response.error());
    if (!response->ok() || !known_) co_return fail(Errc::protocol, "CAPABILITY refused");
    co_return Result<>();
  }

  net::Task<Result<>> greet() {
    const auto read = co_await reader_->line(kMaxLine);
    if (!read) co_return std::unexpected(read.error());
    std::string_view line = *read;
    const bool untagged = take_word(line) == "*";
    const std::string name = upper(take_word(line));
    if (untagged && name == "BYE") co_return fail(Errc::unavailable, "the server said BYE");
    // PREAUTH would be somebody else's login.
    if (!untagged || name != "OK") co_return fail(Errc::protocol, "no IMAP greeting");
    learn_code(line);
    if (endpoint_.starttls) {
      if (auto begun = co_await start_tls(); !begun) co_return begun;
    }
    if (!known_) co_return co_await ask_capabilities();
    co_return Result<>();
  }

  net::Task<Result<>> start_tls() {
    const auto begun = co_await command("STARTTLS");
    if (!begun) co_return std::unexpected(begun.error());
    if (!begun->ok()) co_return fail(Errc::tls, "STARTTLS refused");
    // Octets from before the handshake may be injected (RFC 9051 §6.2.1).
    if (!reader_->buffered().empty()) co_return fail(Errc::protocol, "octets before the handshake");
    auto secured = co_await providers_.secure(std::move(stream_), provider_, endpoint_, deadline_);
    if (!secured) co_return std::unexpected(secured.error());
    adopt(std::move(*secured));
    known_ = false;
    co_return Result<>();
  }

  net::Task<Result<>> authenticate() {
    const std::string_view name = mechanism_name(credentials_.kind);
    const bool password = credentials_.kind == Credentials::Kind::password;
    const bool sasl = can("AUTH=" + std::string(name));
    if (!sasl && (!password || can("LOGINDISABLED"))) {
      co_return fail(Errc::unavailable, "the server offers no mechanism for this");
    }
    known_ = false;  // other capabilities hold after login
    const auto response = sasl ? co_await sasl_dialog(name) : co_await login_dialog();
    if (!response) co_return std::unexpected(response.error());
    if (response->continues) co_return fail(Errc::protocol, "a dialog without end");
    if (response->ok()) co_return Result<>();
    if (response->name != "NO" || is_about_server(response->text)) {
      co_return fail(Errc::unavailable, "the server could not say");
    }
    co_return fail(Errc::denied);
  }

  net::Task<Result<Response>> sasl_dialog(std::string_view name) {
    const Secret initial = initial_response(credentials_);
    const std::string begin = "AUTHENTICATE " + std::string(name);
    Result<Response> response = fail(Errc::protocol);
    if (can("SASL-IR")) {
      response = co_await command(begin + " ", initial);
    } else {
      response = co_await command(begin);
      if (response && response->continues) response = co_await go_on(initial);
    }
    // The OAuth mechanisms say why in a challenge; the answer to it brings the NO.
    if (response && response->continues) {
      response = co_await go_on(oauth_acknowledgement(credentials_.kind));
    }
    co_return response;
  }

  /// LOGIN, each string as a literal where it has to be one (RFC 9051 §6.2.3).
  net::Task<Result<Response>> login_dialog() {
    ++commands_;
    Secret text(tag() + " LOGIN");
    for (const std::string_view word :
         {std::string_view(credentials_.login), std::string_view(credentials_.secret)}) {
      if (is_imap_quotable(word)) {
        const Secret quoted(imap_quoted(word));
        text = Secret(join_secret({text, " ", quoted}));
        continue;
      }
      const Secret piece(join_secret({text, " {", std::to_string(word.size()), "}"}));
      const auto response = co_await go_on(piece);
      if (!response || !response->continues) co_return response;
      text = Secret(std::string(word));
    }
    co_return co_await go_on(text);
  }

  net::Loop& loop_;
  const Providers& providers_;
  const ProviderOptions& provider_;
  ServiceEndpoint endpoint_;
  Credentials credentials_;
  net::TimePoint deadline_;
  net::StreamPtr stream_;  // null during a handshake
  std::optional<net::BufferedReader> reader_;
  std::string capabilities_;
  bool known_ = false;  // the capabilities of the state that the connection is in
  int commands_ = 0;
};

}  // namespace

net::Task<Result<ImapConnection>> log_in_imap(net::Loop& loop, const Providers& providers,
                                              const ProviderOptions& provider, ServiceEndpoint endpoint,
                                              Credentials credentials, net::TimePoint deadline) {
  const auto dialog = std::make_unique<Dialog>(loop, providers, provider, std::move(endpoint),
                                               std::move(credentials), deadline);
  if (auto done = co_await dialog->log_in(); !done) co_return std::unexpected(done.error());
  co_return co_await dialog->take();
}

net::Task<Result<>> check_imap_login(net::Loop& loop, const Providers& providers,
                                     const ProviderOptions& provider, ServiceEndpoint endpoint,
                                     Credentials credentials, net::TimePoint deadline) {
  const auto dialog = std::make_unique<Dialog>(loop, providers, provider, std::move(endpoint),
                                               std::move(credentials), deadline);
  auto done = co_await dialog->log_in();
  if (done) co_await dialog->log_out();
  co_return done;
}

}  // namespace kage::provider
