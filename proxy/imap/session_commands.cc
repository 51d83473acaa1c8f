// The table of commands, and those that need little.
#include <algorithm>
#include <array>
#include <utility>

#include "net/deflate_stream.h"
#include "proxy/imap/append.h"
#include "proxy/imap/capability.h"
#include "proxy/imap/session.h"
#include "proxy/imap/session_arguments.h"
#include "proxy/imap/session_send.h"
#include "proxy/search/search.h"

namespace kage::proxy {
namespace {

constexpr net::Millis kLogoutTime{1'000};

ImapStatus bad_arguments() {
  return {"BAD", "The arguments do not fit the command"};
}

}  // namespace

const ImapSession::Row* ImapSession::find_row(std::string_view name) {
  using S = ImapSession;
  static constexpr std::array kRows = std::to_array<Row>({
      {"CAPABILITY", State::always, &S::on_capability},
      {"NOOP", State::always, &S::on_noop},
      {"ID", State::always, &S::on_id},
      {"LOGOUT", State::always, &S::on_logout},
      {"STARTTLS", State::unauthenticated, &S::on_starttls},
      {"LOGIN", State::unauthenticated, &S::on_login},
      {"AUTHENTICATE", State::unauthenticated, &S::on_authenticate},
      {"SELECT", State::authenticated, &S::on_select},
      {"EXAMINE", State::authenticated, &S::on_select},
      {"CREATE", State::authenticated, &S::on_pass},
      {"DELETE", State::authenticated, &S::on_pass},
      {"RENAME", State::authenticated, &S::on_pass},
      {"SUBSCRIBE", State::authenticated, &S::on_pass},
      {"UNSUBSCRIBE", State::authenticated, &S::on_pass},
      {"LIST", State::authenticated, &S::on_pass},
      {"LSUB", State::authenticated, &S::on_pass},
      {"STATUS", State::authenticated, &S::on_pass},
      {"NAMESPACE", State::authenticated, &S::on_pass},
      {"GETQUOTA", State::authenticated, &S::on_pass},
      {"GETQUOTAROOT", State::authenticated, &S::on_pass},
      {"ENABLE", State::authenticated, &S::on_enable},
      {"APPEND", State::authenticated, &S::on_append},
      {"IDLE", State::authenticated, &S::on_idle},
      {"COMPRESS", State::authenticated, &S::on_compress},
      {"CHECK", State::selected, &S::on_pass},
      {"CLOSE", State::selected, &S::on_close},
      {"UNSELECT", State::selected, &S::on_close},
      {"EXPUNGE", State::selected, &S::on_pass},
      {"STORE", State::selected, &S::on_pass},
      {"COPY", State::selected, &S::on_pass},
      {"MOVE", State::selected, &S::on_pass},
      {"UID STORE", State::selected, &S::on_pass},
      {"UID COPY", State::selected, &S::on_pass},
      {"UID MOVE", State::selected, &S::on_pass},
      {"UID EXPUNGE", State::selected, &S::on_pass},
      {"FETCH", State::selected, &S::on_fetch},
      {"UID FETCH", State::selected, &S::on_fetch},
      {"SEARCH", State::selected, &S::on_search},
      {"UID SEARCH", State::selected, &S::on_search},
      {"SORT", State::selected, &S::on_search},
      {"UID SORT", State::selected, &S::on_search},
      {"THREAD", State::selected, &S::on_search},
      {"UID THREAD", State::selected, &S::on_search},
  });
  const auto row = std::ranges::find(kRows, name, &Row::name);
  return row == kRows.end() ? nullptr : &*row;
}

std::string ImapSession::capability_text() const {
  if (!in_) return greeting_capabilities(services_.tls != nullptr && !tls_, logins_allowed());
  return session_capabilities(in_->core.capabilities, services_.options.gmail, compressed_);
}

net::Task<Result<ImapStatus>> ImapSession::on_capability(ImapCommand command) {
  if (!command.rest.empty()) co_return bad_arguments();
  out_.add("* CAPABILITY " + capability_text() + "\r\n");
  co_return ImapStatus{"OK", "Done"};
}

net::Task<Result<ImapStatus>> ImapSession::on_noop(ImapCommand command) {
  if (!command.rest.empty()) co_return bad_arguments();
  if (!in_) co_return ImapStatus{"OK", "Done"};
  co_return co_await on_pass(std::move(command));
}

/// RFC 2971: our own, which says nothing about the upstream; what the client says about itself is not passed.
net::Task<Result<ImapStatus>> ImapSession::on_id(ImapCommand command) {
  ImapCursor cursor(command.rest);
  if (!cursor.value(1) || !cursor.at_end()) co_return bad_arguments();
  out_.add("* ID (\"name\" \"Kagemusha\")\r\n");
  co_return ImapStatus{"OK", "Done"};
}

net::Task<Result<ImapStatus>> ImapSession::on_logout(ImapCommand command) {
  if (!command.rest.empty()) co_return bad_arguments();
  if (in_) {
    in_->upstream->set_timeout(kLogoutTime);
    const std::string line = in_->core.new_tag() + " LOGOUT\r\n";
    (void)co_await in_->upstream->write(line);
  }
  out_.add("* BYE Logging out\r\n");
  add_status(command.tag, {"OK", "Logged out"});
  end();
  if (co_await out_.flush()) (void)co_await stream_->shutdown();
  co_return ImapStatus{};
}

/// Commands that pass as they are once their arguments were looked at.
net::Task<Result<ImapStatus>> ImapSession::on_pass(ImapCommand command) {
  const ImapCore& core = in_->core;
  if (!arguments_fit(command.name, command.rest, core.capabilities, core.gmail)) co_return bad_arguments();
  co_return co_await pass(std::move(command));
}

net::Task<Result<ImapStatus>> ImapSession::pass(ImapCommand command) {
  ImapCore& core = in_->core;
  std::string text = std::move(command.name);
  if (!command.rest.empty()) text.append(" ").append(command.rest);
  std::string tag = core.new_tag();
  auto early = co_await send_command(core, tag, std::move(text));
  if (!early) co_return std::unexpected(early.error());
  if (*early) co_return std::move(**early);
  co_return co_await relay(core, std::move(tag));
}

net::Task<Result<ImapStatus>> ImapSession::on_select(ImapCommand command) {
  ImapCore& core = in_->core;
  if (!arguments_fit(command.name, command.rest, core.capabilities, core.gmail)) co_return bad_arguments();
  // RFC 9051 §6.3.2: whatever comes of it, the mailbox before is closed.
  core.selected = false;
  core.exists = 0;
  ++core.selection;
  in_->memory.clear();
  auto status = co_await pass(std::move(command));
  core.selected = status && status->name == "OK";
  co_return status;
}

net::Task<Result<ImapStatus>> ImapSession::on_close(ImapCommand command) {
  ImapCore& core = in_->core;
  auto status = co_await on_pass(std::move(command));
  if (status && status->name == "OK") {
    core.selected = false;
    core.exists = 0;
    in_->memory.clear();
  }
  co_return status;
}

/// RFC 5161: only what is passed is asked for.
net::Task<Result<ImapStatus>> ImapSession::on_enable(ImapCommand command) {
  ImapCore& core = in_->core;
  auto names = enable_names(command.rest, core.capabilities, core.gmail);
  if (!names) co_return bad_arguments();
  if (names->empty()) {
    out_.add("* ENABLED\r\n");
    co_return ImapStatus{"OK", "Done"};
  }
  const std::string wanted = " " + *names + " ";
  command.rest = std::move(*names);
  auto status = co_await pass(std::move(command));
  if (status && status->name == "OK") {
    core.utf8 = core.utf8 || wanted.find(" UTF8=ACCEPT ") != std::string::npos ||
                wanted.find(" IMAP4REV2 ") != std::string::npos;
  }
  co_return status;
}

net::Task<Result<ImapStatus>> ImapSession::on_fetch(ImapCommand command) {
  return run_fetch(in_->core, in_->memory, std::move(command));
}

net::Task<Result<ImapStatus>> ImapSession::on_search(ImapCommand command) {
  return run_search(in_->core, std::move(command));
}

net::Task<Result<ImapStatus>> ImapSession::on_append(ImapCommand command) {
  if (!message_) co_return bad_arguments();
  const LiteralMark mark = *std::exchange(message_, std::nullopt);
  const AppendBounds bounds{services_.options.max_append, services_.options.max_command,
                            services_.options.idle_timeout};
  co_return co_await run_append(in_->core, bounds, std::move(command.rest), mark);
}

/// RFC 4978, towards the client only.
net::Task<Result<ImapStatus>> ImapSession::on_compress(ImapCommand command) {
  if (command.rest != "DEFLATE" && command.rest != "deflate") co_return bad_arguments();
  if (compressed_) co_return ImapStatus{"NO", "[COMPRESSIONACTIVE] It is compressed already"};
  add_status(command.tag, {"OK", "Compression begins"});
  if (auto flushed = co_await out_.flush(); !flushed) co_return std::unexpected(flushed.error());
  std::string early(reader_.buffered());
  reader_.discard();
  stream_ = net::make_deflate_stream(std::move(stream_), std::move(early));
  reader_.reset(*stream_);
  out_.reset(*stream_);
  in_->core.client = stream_.get();
  compressed_ = true;
  co_return ImapStatus{};
}

}  // namespace kage::proxy
