// One connection to each, closed politely or not: nothing is at stake.
#include "app/check_network.h"

#include <memory>

#include "net/buffered_reader.h"
#include "net/connect.h"
#include "submission/hop_tls.h"
#include "submission/smtp_client.h"
#include "tls/client_context.h"
#include "tls/tls_stream.h"

namespace kage::app {
namespace {

constexpr std::size_t kMaxLine = 2048;
constexpr int kMaxLines = 100;

using provider::Service;

/// Reads lines up to the last of a reply or response; `tag` is what it begins with: IMAP's, nothing for
/// others. True: a positive one.
net::Task<Result<bool>> read_answer(net::BufferedReader& reader, Service service, std::string tag) {
  for (int i = 0; i < kMaxLines; ++i) {
    const auto line = co_await reader.line(kMaxLine);
    if (!line) co_return std::unexpected(line.error());
    switch (service) {
      case Service::pop3:
        if (!line->starts_with('+') && !line->starts_with('-')) co_return fail(Errc::protocol, "not POP3");
        co_return line->starts_with("+OK");
      case Service::submission:
        if (line->size() < 3) co_return fail(Errc::protocol, "not SMTP");
        if (line->size() == 3 || (*line)[3] != '-') co_return line->front() == '2';
        break;
      case Service::imap:
        if (line->starts_with(tag + " ")) co_return line->substr(tag.size() + 1).starts_with("OK");
    }
  }
  co_return fail(Errc::limit, "an answer without end");
}

/// The dialog before the handshake (RFC 3207, RFC 9051 §6.2.1, RFC 2595 §4).
net::Task<Result<>> start_tls(net::Stream& stream, Service service) {
  net::BufferedReader reader(stream);
  auto greeting = co_await read_answer(reader, service, "*");
  if (!greeting) co_return std::unexpected(greeting.error());
  std::string dialog = "STARTTLS\r\n";
  if (service == Service::imap) dialog = "a STARTTLS\r\n";
  if (service == Service::pop3) dialog = "STLS\r\n";
  if (service == Service::submission) {
    if (auto sent = co_await stream.write("EHLO localhost\r\n"); !sent) co_return sent;
    auto hello = co_await read_answer(reader, service, "");
    if (!hello) co_return std::unexpected(hello.error());
  }
  if (auto sent = co_await stream.write(dialog); !sent) co_return sent;
  const auto answer = co_await read_answer(reader, service, "a");
  if (!answer) co_return std::unexpected(answer.error());
  if (!*answer) co_return fail(Errc::tls, "STARTTLS refused");
  co_return Result<>();
}

}  // namespace

net::Task<Result<>> check_next_hop(net::Loop& loop, submission::NextHopOptions options,
                                   std::string ehlo_name) {
  auto secure = submission::make_secure(options);
  auto settings = std::make_shared<const submission::HopSettings>(
      submission::HopSettings{std::move(options), std::move(ehlo_name), std::move(secure)});
  auto connection = std::make_unique<submission::SmtpConnection>(loop, settings);
  const auto failure = co_await connection->connect();
  if (failure) {
    connection->close();
    co_return fail(Errc::unreachable, std::string(failure->reason) + " (" + failure->result.status + ")");
  }
  co_await submission::SmtpConnection::quit(std::move(connection));
  co_return Result<>();
}

net::Task<Result<>> check_provider(net::Loop& loop, provider::ProviderOptions options,
                                   provider::Service service, provider::ServiceEndpoint endpoint) {
  const net::TimePoint deadline = loop.now() + options.timeout;
  auto context = tls::ClientContext::verified(options.ca_file);
  if (!context) co_return std::unexpected(context.error());
  auto plain = co_await net::connect_tcp(loop, endpoint.host, endpoint.port, deadline);
  if (!plain) co_return std::unexpected(plain.error());
  (*plain)->set_deadline(deadline);
  if (endpoint.starttls) {
    if (auto begun = co_await start_tls(**plain, service); !begun) co_return begun;
  }
  net::StreamPtr stream = std::move(*plain);
  if (!endpoint.plain) {
    auto secured = co_await tls::connect_tls(std::move(stream), *context, endpoint.host, deadline);
    if (!secured) co_return std::unexpected(secured.error());
    stream = std::move(*secured);
  }
  if (!endpoint.starttls) {
    stream->set_deadline(deadline);
    net::BufferedReader reader(*stream);
    const auto greeting = co_await read_answer(reader, service, "*");
    if (!greeting) co_return std::unexpected(greeting.error());
    if (!*greeting) co_return fail(Errc::protocol, "an unfriendly greeting");
  }
  stream->close();
  co_return Result<>();
}

}  // namespace kage::app
