// Literals become what the upstream takes: unasked where it can (RFC 7888), else one after the other.
#include "proxy/imap/session_send.h"

#include "proxy/imap/command.h"

namespace kage::proxy {
namespace {

constexpr std::uint64_t kMaxLiteralMinus = 4096;  // RFC 7888 §5

}  // namespace

bool takes_unasked(const ImapCore& core, std::uint64_t size) {
  if (core.upstream_can("LITERAL+")) return true;
  return size <= kMaxLiteralMinus && (core.upstream_can("LITERAL-") || core.upstream_can("IMAP4REV2"));
}

net::Task<Result<std::optional<ImapStatus>>> await_continuation(ImapCore& core, std::string_view tag) {
  while (true) {
    expect_answer(core);
    const auto response = co_await core.in.next();
    if (!response) co_return std::unexpected(response.error());
    if (response->kind == ImapResponse::Kind::continuation) co_return std::nullopt;
    auto ended = end_of_command(*response, tag);
    if (!ended || *ended) co_return ended;
    if (auto passed = co_await pass_response(core, *response); !passed) {
      co_return std::unexpected(passed.error());
    }
  }
}

net::Task<Result<std::optional<ImapStatus>>> send_command(ImapCore& core, std::string tag,
                                                          std::string command) {
  std::string text = tag + " ";
  std::string_view left = command;
  while (true) {
    // CR LF stands nowhere but behind a literal's announcement: parse_command() saw to that.
    const std::size_t end = left.find("\r\n");
    if (end == std::string_view::npos) break;
    const auto mark = literal_mark(left.substr(0, end));
    if (!mark || mark->size > left.size() - end - 2) co_return fail(Errc::invalid, "a broken literal");
    const bool unasked = takes_unasked(core, mark->size);
    text.append(left.substr(0, left.rfind('{', end) + 1)).append(std::to_string(mark->size));
    text.append(unasked ? "+}\r\n" : "}\r\n");
    if (!unasked) {
      core.upstream->set_timeout(core.timeout);
      if (auto sent = co_await core.upstream->write(text); !sent) co_return std::unexpected(sent.error());
      text.clear();
      auto early = co_await await_continuation(core, tag);
      if (!early || *early) co_return early;
    }
    text.append(left.substr(end + 2, mark->size));
    left.remove_prefix(end + 2 + mark->size);
  }
  text.append(left).append("\r\n");
  core.upstream->set_timeout(core.timeout);
  if (auto sent = co_await core.upstream->write(text); !sent) co_return std::unexpected(sent.error());
  co_return std::nullopt;
}

}  // namespace kage::proxy
