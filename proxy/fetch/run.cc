// Responses in whatever order and mixture the upstream gives them.
#include "proxy/fetch/run.h"

#include <algorithm>

#include "base/text.h"
#include "proxy/fetch/blocks.h"
#include "proxy/imap/command.h"

namespace kage::proxy {
namespace {

constexpr std::size_t kMaxDeferred = 1u << 20;

net::Prompt<Result<>> take_untagged(ImapCore& core, ImapResponse& response, FetchSink& sink,
                                    Deferred* deferred) {
  if (response.name == "FETCH") return sink.message(response.number);
  if (response.name == "BYE") return Result<>(fail(Errc::closed, "the upstream said BYE"));
  if (deferred == nullptr) {
    pass_untagged(core, response);
    return Result<>();
  }
  deferred->octets += sizeof response + response.text.size();
  if (deferred->octets > kMaxDeferred)
    return Result<>(fail(Errc::limit, "untagged responses within a literal"));
  deferred->responses.push_back(std::move(response));
  return Result<>();
}

}  // namespace

net::Task<Result<ImapStatus>> run_upstream(ImapCore& core, std::vector<std::string> commands, FetchSink& sink,
                                           Deferred* deferred) {
  std::vector<std::string> tags;
  std::string sent;
  for (const auto& command : commands) {
    tags.push_back(core.new_tag());
    sent.append(tags.back()).append(" ").append(command).append("\r\n");
  }
  core.upstream->set_timeout(core.timeout);
  const auto written = co_await core.upstream->write(sent);
  if (!written) co_return std::unexpected(written.error());
  std::string().swap(sent);

  ImapStatus status{"OK", "Done"};
  while (!tags.empty()) {
    expect_answer(core);
    auto response = co_await core.in.next();
    if (!response) co_return std::unexpected(response.error());
    if (response->kind == ImapResponse::Kind::continuation) co_return fail(Errc::protocol, "continuation");
    if (response->kind == ImapResponse::Kind::tagged) {
      const auto tag = std::ranges::find(tags, response->tag);
      if (tag == tags.end()) co_return fail(Errc::protocol, "a tag of another command");
      tags.erase(tag);
      if (status.name == "OK") status = {response->name, pass_status_text(response->text)};
      continue;
    }
    const auto taken = co_await take_untagged(core, *response, sink, deferred);
    if (!taken) co_return std::unexpected(taken.error());
    if (deferred != nullptr) continue;
    const bool more = core.in.has_more();
    if (more && !core.out.full()) continue;
    const auto flushed = more ? co_await core.out.flush_blocks() : co_await core.out.flush();
    if (!flushed) co_return std::unexpected(flushed.error());
  }
  co_return status;
}

net::Task<Result<>> ItemSink::message(std::uint32_t number) {
  std::uint32_t uid = 0;
  bool wanted = false;
  bool flags = false;
  std::string unsolicited;
  ImapFetchItem item;
  while (true) {
    expect_answer(core_);
    const auto more = co_await core_.in.next_item(item);
    if (!more) co_return std::unexpected(more.error());
    if (!*more) break;
    const std::string name = canonical_name(item.name);
    if (name == "UID") {
      uid = static_cast<std::uint32_t>(parse_number(item.value, UINT32_MAX).value_or(0));
      continue;
    }
    const auto taken = co_await take(name, item);
    if (!taken) co_return std::unexpected(taken.error());
    wanted = wanted || *taken;
    if (*taken || !item.has_value() || !is_plain_fetch_item(core_.gmail, name)) continue;
    flags = flags || name == "FLAGS";
    append_item(unsolicited, name, item.value);
  }
  if (!unsolicited.empty() && (flags || !wanted)) {
    if (uid != 0) append_item(unsolicited, "UID", std::to_string(uid));
    core_.out.add("* " + std::to_string(number) + " FETCH (" + unsolicited + ")\r\n");
  }
  end(number, uid);
  co_return Result<>();
}

std::string canonical_name(std::string_view name) {
  if (name.ends_with('>')) name = name.substr(0, name.rfind('<'));
  return upper(name);
}

net::Task<Result<ItemText>> read_text(ImapCore& core, const ImapFetchItem& item, std::size_t max) {
  ItemText result;
  if (!item.streams) {
    ImapCursor cursor(item.value);
    if (auto text = cursor.string()) {
      result.text = std::move(*text);
    } else {
      result.nil = true;
    }
    co_return result;
  }
  result.too_large = item.size > max;
  result.text.reserve(std::min<std::uint64_t>(item.size, max));
  while (true) {
    expect_answer(core);
    const auto octets = co_await core.in.chunk();
    if (!octets) co_return std::unexpected(octets.error());
    if (octets->empty()) co_return result;
    result.text += octets->substr(0, max - result.text.size());
  }
}

std::string fetch_command(bool uid, std::string_view set, std::string_view items,
                          std::string_view modifiers) {
  std::string out = uid ? "UID FETCH " : "FETCH ";
  out.append(set).append(" (").append(items).append(")").append(modifiers);
  return out;
}

}  // namespace kage::proxy
