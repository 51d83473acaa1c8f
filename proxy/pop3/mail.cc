// The TRANSACTION state: what passes as it is, what is cleaned, and messages through the member's eyes.
#include <algorithm>

#include "proxy/pop3/session.h"

namespace kage::proxy {
namespace {

/// More lines than any header block that is held can have (256 kB, a line is two octets and more).
constexpr std::uint32_t kLinesOfBlock = 140'000;
constexpr std::uint32_t kMaxLines = 0x7fffffff;
constexpr std::size_t kKeepBuffer = 256 * 1024;

}  // namespace

/// The server's connection is of no use any more, and neither is this session.
void Pop3Session::lose_upstream() {
  if (!ended_) reply("-ERR [SYS/TEMP] The mail server does not answer.\r\n");
  end();
}

void Pop3Session::lose_mapping() {
  reply(kNoMapping);
  end();
}

/// Nothing: answered already.
net::Task<std::optional<Pop3Status>> Pop3Session::ask(std::string command) {
  upstream_->stream().set_timeout(services_.options.upstream_timeout);
  auto status = co_await upstream_->ask(command);
  if (!status || status->kind == Pop3Status::Kind::challenge) {
    lose_upstream();
    co_return std::nullopt;
  }
  co_return std::move(*status);
}

net::Task<void> Pop3Session::pass(std::string command) {
  const auto status = co_await ask(std::move(command));
  if (status) reply(pop3_status_line(*status));
}

net::Task<void> Pop3Session::on_noop(std::string /*rest*/) {
  co_await pass("NOOP");
}

net::Task<void> Pop3Session::on_rset(std::string /*rest*/) {
  co_await pass("RSET");
}

net::Task<void> Pop3Session::on_dele(std::string rest) {
  const auto number = pop3_number(rest);
  if (!number) co_return mistake("-ERR DELE wants a message number.\r\n");
  co_await pass("DELE " + std::to_string(*number));
}

net::Task<void> Pop3Session::on_stat(std::string /*rest*/) {
  const auto status = co_await ask("STAT");
  if (!status) co_return;
  if (!status->ok()) co_return reply(pop3_status_line(*status));
  const std::string numbers = numbers_of(status->text);
  if (numbers.empty()) co_return lose_upstream();
  reply("+OK " + numbers + "\r\n");
}

net::Task<void> Pop3Session::on_list(std::string rest) {
  co_await pass_listing("LIST", std::move(rest), &Pop3Session::numbers_of);
}

net::Task<void> Pop3Session::on_uidl(std::string rest) {
  co_await pass_listing("UIDL", std::move(rest), &Pop3Session::uid_of);
}

std::string Pop3Session::numbers_of(std::string_view line) const {
  return pop3_numbers(line);
}

std::string Pop3Session::uid_of(std::string_view line) const {
  const auto parts = uidl_line(line);
  if (!parts) return {};
  std::string out(parts->number);
  out.push_back(' ');
  // Some servers take the Message-ID, which names the correspondent's host. The client asks for no more than
  // that it stays the same.
  if (parts->uid.find('@') != std::string_view::npos) {
    return out + audience_.routes->master().uidl_tag(parts->uid);
  }
  return out.append(parts->uid);
}

net::Task<void> Pop3Session::pass_listing(std::string_view verb, std::string rest,
                                          std::string (Pop3Session::*make)(std::string_view) const) {
  std::string command(verb);
  const bool one = !rest.empty();
  if (one) {
    const auto number = pop3_number(rest);
    if (!number) co_return mistake("-ERR That is no message number.\r\n");
    command += " " + std::to_string(*number);
  }
  const auto status = co_await ask(std::move(command));
  if (!status) co_return;
  if (!status->ok()) co_return reply(pop3_status_line(*status));
  if (one) {
    const std::string line = (this->*make)(status->text);
    if (line.empty()) co_return lose_upstream();
    co_return reply("+OK " + line + "\r\n");
  }
  reply(pop3_status_line(*status));
  while (true) {
    std::string_view line;
    const auto more = co_await upstream_->line(line);
    // A listing that was begun cannot be ended otherwise.
    if (!more) co_return end();
    if (!*more) break;
    const std::string shown = (this->*make)(line);
    if (shown.empty()) co_return end();
    out_.add(shown);
    out_.add("\r\n");
    if (!out_.full()) continue;
    if (!co_await flush()) co_return;
    upstream_->stream().set_timeout(services_.options.upstream_timeout);
  }
  reply(".\r\n");
}

/// The newest snapshot of the routes. False: the login is not registered any more.
bool Pop3Session::renew_audience() {
  const auto routes = services_.directory.known_routes();
  if (!routes) return false;
  if (audience_.routes == *routes) return true;
  const auto members = (*routes)->find_login(login_);
  if (members.empty()) return false;
  audience_ = {*routes, {members.begin(), members.end()}};
  return true;
}

net::Task<void> Pop3Session::on_retr(std::string rest) {
  const auto number = pop3_number(rest);
  if (!number) co_return mistake("-ERR RETR wants a message number.\r\n");
  if (!renew_audience()) co_return lose_mapping();
  const auto status = co_await ask("RETR " + std::to_string(*number));
  if (!status) co_return;
  reply(pop3_status_line(*status));
  if (!status->ok()) co_return;
  Pop3Text text(mapping::VisibleMessage::whole(services_.view, audience_));
  if (!co_await stream_text(text)) co_return;
  std::string wire;
  text.finish(wire);
  (void)co_await show(text, wire);
}

net::Task<void> Pop3Session::on_top(std::string rest) {
  const auto arguments = top_arguments(rest);
  if (!arguments) co_return mistake("-ERR TOP wants a message number and a number of lines.\r\n");
  if (!renew_audience()) co_return lose_mapping();
  const auto status =
      co_await ask("TOP " + std::to_string(arguments->message) + " " + std::to_string(arguments->lines));
  if (!status) co_return;
  reply(pop3_status_line(*status));
  if (!status->ok()) co_return;
  Pop3Text text(mapping::VisibleMessage::whole(services_.view, audience_));
  if (!co_await stream_text(text)) co_return;
  if (text.needs_more() && !co_await complete_top(text, arguments->message, arguments->lines)) co_return;
  std::string wire;
  text.finish(wire);
  (void)co_await show(text, wire);
}

/// The server's TOP ended within a header block: asks for twice as many lines, then for enough. Never RETR,
/// which would mark the message as seen (contract R8.6).
net::Task<bool> Pop3Session::complete_top(Pop3Text& text, std::uint32_t message, std::uint32_t lines) {
  const std::uint32_t room = kMaxLines - lines;
  for (const std::uint32_t more : {std::max(lines, 100U), kLinesOfBlock}) {
    const std::uint32_t wanted = lines + std::min(more, room);
    upstream_->stream().set_timeout(services_.options.upstream_timeout);
    const auto status =
        co_await upstream_->ask("TOP " + std::to_string(message) + " " + std::to_string(wanted));
    if (!status || !status->ok()) {
      // What was begun cannot be ended otherwise: an "-ERR" would be a line of the message.
      end();
      co_return false;
    }
    text.begin_longer();
    if (!co_await stream_text(text)) co_return false;
    if (!text.needs_more()) break;
  }
  co_return true;
}

/// Takes the server's answer to its end. False: the session has ended.
net::Task<bool> Pop3Session::stream_text(Pop3Text& text) {
  std::string wire;
  while (true) {
    upstream_->stream().set_timeout(services_.options.upstream_timeout);
    const auto chunk = co_await upstream_->reader().chunk();
    if (!chunk || chunk->empty()) {
      end();
      co_return false;
    }
    const auto step = text.feed(*chunk, wire);
    if (step.ended) upstream_->reader().unread(chunk->substr(step.consumed));
    if (!co_await show(text, wire)) co_return false;
    if (step.ended) co_return true;
  }
}

net::Task<bool> Pop3Session::show(Pop3Text& text, std::string& wire) {
  out_.need(audience_.routes, text.take_fresh());
  const auto passed = co_await out_.pass(wire);
  wire.clear();
  if (wire.capacity() > kKeepBuffer) wire.shrink_to_fit();
  if (!passed) on_unwritten();
  co_return passed.has_value();
}

}  // namespace kage::proxy
