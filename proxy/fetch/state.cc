// The common ground of FETCH.
#include "proxy/fetch/state.h"

#include <algorithm>

#include "base/text.h"
#include "proxy/imap/command.h"

namespace kage::proxy {
namespace {

constexpr std::size_t kMaxDeferred = 1u << 20;

bool is_empty_line(std::string_view line) {
  return line == "\r\n" || line == "\n";
}

/// Servers end named fields of a message with an empty line even where its header has none, so that one
/// cannot tell from them whether it has.
void end_block(std::string& fields) {
  if (!fields.empty() && !fields.ends_with('\n')) fields += "\r\n";
  const bool ended =
      fields == "\n" || fields == "\r\n" || fields.ends_with("\n\n") || fields.ends_with("\n\r\n");
  if (!ended) fields += "\r\n";
}

/// The name of the field that begins with this line; empty when none does.
std::string_view field_name(std::string_view line) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return {};
  return trim(line.substr(0, colon));
}

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

std::string canonical_name(std::string_view name) {
  if (name.ends_with('>')) name = name.substr(0, name.rfind('<'));
  std::string out(name);
  for (char& c : out) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
  }
  return out;
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

mapping::Viewer viewer_of(const ImapCore& core, std::string_view header_block) {
  return mapping::choose_viewer(*core.audience.routes, core.audience.members, header_block);
}

void show_block(ImapCore& core, const mapping::Viewer& viewer, mapping::BlockKind kind,
                std::string_view block, std::string& out) {
  if (viewer.own || block.empty() || is_empty_line(block)) {
    out += block;
    return;
  }
  const std::size_t before = out.size();
  std::vector<mapping::PhantomWrite> fresh;
  core.view.show(viewer, kind, block, out, fresh);
  core.out.need(core.audience.routes, std::move(fresh));
  if (out.size() - before == block.size()) return;
  // Never another size than the one that is told, and never the original (contract R3.8).
  out.resize(before);
  out.append(block.size(), ' ');
}

bool show_fields(ImapCore& core, const mapping::Viewer& viewer, const mapping::FieldSet& reported,
                 std::string_view fields, std::string& out, std::string& original) {
  std::vector<mapping::PhantomWrite> fresh;
  if (!core.view.show_fields(viewer, reported, fields, out, original, fresh)) return false;
  core.out.need(core.audience.routes, std::move(fresh));
  return true;
}

std::string filter_fields(std::string_view block, const std::vector<std::string>& names, bool without) {
  std::string out;
  bool taken = false;
  while (!block.empty()) {
    const std::size_t end = block.find('\n');
    const std::string_view line = block.substr(0, end == std::string_view::npos ? end : end + 1);
    block.remove_prefix(line.size());
    if (is_empty_line(line)) {
      out += line;
      continue;
    }
    if (!is_wsp(line.front())) {
      const std::string_view name = field_name(line);
      taken =
          std::ranges::any_of(names, [&](std::string_view n) { return equals_nocase(n, name); }) != without;
    }
    if (taken) out += line;
  }
  return out;
}

std::string block_answer(const FetchItem& item, std::string_view visible) {
  std::string fields;
  if (item.fields) {
    fields = filter_fields(visible, item.names, item.without);
    if (item.kind == FetchKind::header && !item.without) end_block(fields);
    visible = fields;
  }
  if (item.partial) {
    visible.remove_prefix(std::min<std::uint64_t>(item.partial->offset, visible.size()));
    visible = visible.substr(0, item.partial->count);
  }
  return std::string(visible);
}

void append_item(std::string& text, std::string_view name, std::string_view value) {
  if (!text.empty()) text += ' ';
  text.append(name).append(" ").append(value);
}

void append_literal(std::string& text, std::string_view label, std::string_view octets) {
  append_item(text, label, "{" + std::to_string(octets.size()) + "}\r\n");
  text += octets;
}

std::string fetch_command(bool uid, std::string_view set, std::string_view items,
                          std::string_view modifiers) {
  std::string out = uid ? "UID FETCH " : "FETCH ";
  out.append(set).append(" (").append(items).append(")").append(modifiers);
  return out;
}

const MessageFacts* FactTable::find(std::uint32_t uid, std::uint32_t number) const {
  // What is remembered of a message that was fetched by its number may lack its UID.
  if (messages.size() == 1 && messages.front().uid == 0) uid = 0;
  if (uid != 0) {
    const auto found = std::ranges::lower_bound(messages, uid, {}, &MessageFacts::uid);
    return found != messages.end() && found->uid == uid ? &*found : nullptr;
  }
  if (renumbered) return nullptr;
  // UIDs and numbers rise together.
  const auto found = std::ranges::lower_bound(messages, number, {}, &MessageFacts::number);
  return found != messages.end() && found->number == number ? &*found : nullptr;
}

const mapping::ContentKind* FactTable::kind(const MessageFacts& facts, std::string_view ask) const {
  const auto found = std::ranges::find(asks, ask);
  const auto index = static_cast<std::size_t>(found - asks.begin());
  return index < facts.kinds.size() ? &facts.kinds[index] : nullptr;
}

void FetchMemory::State::renew(const ImapCore& core) {
  if (selected == core.upstream_selected && routes == core.audience.routes) return;
  *this = {};
  selected = core.upstream_selected;
  routes = core.audience.routes;
}

bool FetchMemory::State::is_last(const ImapCore& core, bool by_uid, std::uint32_t key) const {
  if (key == 0) return false;
  return by_uid ? uid == key : number == key && renumbered == core.renumbered;
}

void FetchMemory::State::begin(const ImapCore& core, std::uint32_t message_uid,
                               std::uint32_t message_number) {
  const bool same = message_uid != 0 && uid != 0 ? uid == message_uid
                                                 : number == message_number && renumbered == core.renumbered;
  if (!same) {
    has_viewer = false;
    viewer = {};
    text = {};
    structure.clear();
    uid = 0;
  }
  if (message_uid != 0) uid = message_uid;
  number = message_number;
  renumbered = core.renumbered;
}

}  // namespace kage::proxy
