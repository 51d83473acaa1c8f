// The upstream's answer to FETCH becomes the client's while it streams.
#include <algorithm>
#include <memory>
#include <optional>

#include "base/text.h"
#include "proxy/imap_command.h"
#include "proxy/imap_fetch_held.h"
#include "proxy/imap_fetch_state.h"

namespace kage::proxy {
namespace {

using mapping::VisibleMessage;

constexpr std::size_t kMaxText = 64 * 1024;  // of a response that is gathered before it is written
constexpr std::size_t kSlice = 200;          // messages that are asked for again in one command

class Answerer final : public FetchSink {
 public:
  Answerer(ImapCore& core, FetchMemory::State& memory, std::vector<FetchItem> items, const FactTable& facts,
           bool uid, bool single)
      : core_(core), memory_(memory), items_(std::move(items)), facts_(facts), uid_(uid), single_(single) {
    tells_envelope_ =
        std::ranges::any_of(items_, [](const FetchItem& i) { return i.kind == FetchKind::envelope; });
    tells_envelope_only_ = std::ranges::none_of(items_, [](const FetchItem& i) {
      return i.kind == FetchKind::header || i.kind == FetchKind::structure;
    });
    tells_uid_ = uid || std::ranges::any_of(items_, [](const FetchItem& i) { return i.ask == "UID"; });
  }

  net::Task<Result<>> message(std::uint32_t number) override;

  HeldResponses held;
  std::vector<std::uint32_t> again;  ///< messages whose structure found no room
  bool missed = false;               ///< something could not be told

 private:
  /// The response that is being read.
  struct Message {
    std::uint32_t number = 0;
    std::uint32_t uid = 0;
    std::string text;    // gathered for the client
    bool begun = false;  // the client has its first part
    bool any = false;    // and there was something in it
    bool has_header = false;
    mapping::Viewer viewer;
    std::string original;  // header block
    std::string visible;
    bool too_large = false;  // the header: nothing is told of it
    HeldResponse held;
  };

  net::Task<Result<>> on_item(ImapFetchItem& item);
  net::Task<Result<>> on_header(const ImapFetchItem& item);
  net::Task<Result<>> on_part(const ImapFetchItem& item, const std::string& ask);
  net::Task<Result<>> on_stream(const ImapFetchItem& item, const FetchItem& wanted);
  net::Task<Result<>> stream(const ImapFetchItem& item, const std::string& label, VisibleMessage walker,
                             std::string* prefix);
  net::Task<Result<>> flush_text();
  std::string part_block(const MessageFacts& facts, const std::string& ask, const std::string& block);
  void on_envelope(std::string value);
  void on_structure(const std::string& name, std::string value);
  void resolve_held();
  void remember_header();
  void begin();
  void finish();
  [[nodiscard]] std::optional<VisibleMessage> walker_for(const FetchItem& wanted) const;

  ImapCore& core_;
  FetchMemory::State& memory_;
  const std::vector<FetchItem> items_;
  const FactTable& facts_;
  const bool uid_;
  const bool single_;
  bool tells_uid_ = false;
  bool tells_envelope_ = false;
  bool tells_envelope_only_ = false;  ///< of all that is told from a header block
  Message m_;
};

net::Task<Result<>> Answerer::message(std::uint32_t number) {
  m_ = {};
  m_.number = number;
  ImapFetchItem item;
  while (true) {
    expect_answer(core_);
    const auto more = co_await core_.in.next_item(item);
    if (!more) co_return std::unexpected(more.error());
    if (!*more) break;
    const auto taken = co_await on_item(item);
    if (!taken) co_return taken;
    if (m_.text.size() < kMaxText) continue;
    const auto flushed = co_await flush_text();
    if (!flushed) co_return flushed;
  }
  finish();
  co_return Result<>();
}

net::Task<Result<>> Answerer::on_item(ImapFetchItem& item) {
  const std::string name = canonical_name(item.name);
  if (name == "UID") {
    m_.uid = static_cast<std::uint32_t>(parse_number(item.value, UINT32_MAX).value_or(0));
    if (tells_uid_ && m_.uid != 0) append_item(m_.text, name, std::to_string(m_.uid));
    co_return Result<>();
  }
  const auto wanted = std::ranges::find(items_, name, &FetchItem::ask);
  // Not the client's wish, but what ENVELOPE is told from.
  if (wanted == items_.end() && tells_envelope_ && name == "BODY[HEADER]") co_return co_await on_header(item);
  if (wanted == items_.end() || wanted->kind == FetchKind::plain) {
    const bool passes = wanted != items_.end() || is_plain_fetch_item(core_, name);
    if (passes && !item.streams) append_item(m_.text, name, item.value);
    co_return Result<>();
  }
  switch (wanted->kind) {
    case FetchKind::header:
      co_return co_await on_header(item);
    case FetchKind::part:
      co_return co_await on_part(item, wanted->ask);
    case FetchKind::whole:
    case FetchKind::content:
      co_return co_await on_stream(item, *wanted);
    case FetchKind::envelope:
      if (!item.streams) on_envelope(std::move(item.value));
      break;
    case FetchKind::structure:
      if (!item.streams) on_structure(name, std::move(item.value));
      break;
    case FetchKind::plain:
      break;
  }
  co_return Result<>();
}

/// BODY[HEADER]: what all items about the header are told from.
net::Task<Result<>> Answerer::on_header(const ImapFetchItem& item) {
  const auto is_whole = [](const FetchItem& i) {
    return i.kind == FetchKind::header && !i.fields && !i.part;
  };
  m_.too_large = item.streams && item.size > kMaxHeaderBlock;
  bool nil = false;
  if (m_.too_large) {
    // Filler, as in BODY[], and otherwise nothing.
    const auto whole = std::ranges::find_if(items_, is_whole);
    if (whole != items_.end()) {
      const auto streamed = co_await stream(item, whole->label,
                                            VisibleMessage::whole(core_.view, core_.audience), &m_.original);
      if (!streamed) co_return streamed;
    } else {
      auto text = co_await read_text(core_, item, kMaxHeaderBlock);
      if (!text) co_return std::unexpected(text.error());
      m_.original = std::move(text->text);
    }
  } else {
    auto text = co_await read_text(core_, item, kMaxHeaderBlock);
    if (!text) co_return std::unexpected(text.error());
    nil = text->nil;
    m_.original = std::move(text->text);
  }
  m_.viewer = viewer_of(core_, m_.original);
  m_.has_header = true;
  if (m_.too_large) {
    m_.viewer.own = false;  // a trace field may follow
    m_.visible = "\r\n";
  } else if (tells_envelope_only_) {
    show_envelope_fields(core_, m_.viewer, m_.original, m_.visible);
  } else {
    show_block(core_, m_.viewer, mapping::BlockKind::message, m_.original, m_.visible);
  }
  for (const FetchItem& wanted : items_) {
    if (wanted.kind != FetchKind::header || (m_.too_large && is_whole(wanted))) continue;
    if (nil) {
      append_item(m_.text, wanted.label, "NIL");
    } else {
      append_literal(m_.text, wanted.label, block_answer(wanted, m_.visible));
    }
  }
  if (!m_.held.envelope.empty()) on_envelope(std::move(m_.held.envelope));
  remember_header();
  co_return Result<>();
}

void Answerer::remember_header() {
  if (!single_) return;
  memory_.begin(core_, m_.uid, m_.number);
  memory_.has_viewer = true;
  memory_.viewer = m_.viewer;
  memory_.text = mapping::content_kind(m_.original);
}

void Answerer::on_envelope(std::string value) {
  if (!m_.has_header) {
    m_.held.envelope = std::move(value);
    return;
  }
  m_.held.envelope.clear();
  append_item(m_.text, "ENVELOPE",
              m_.too_large ? std::string(empty_envelope())
                           : envelope_answer(core_, m_.viewer, value, m_.original, m_.visible));
}

void Answerer::on_structure(const std::string& name, std::string value) {
  if (single_ && name == "BODYSTRUCTURE" && value.size() <= 16 * 1024) {
    memory_.begin(core_, m_.uid, m_.number);
    memory_.structure = value;
  }
  const auto needed = needed_blocks(value);
  if (!needed) {
    missed = true;
    return;
  }
  if (needed->empty() || (m_.has_header && m_.viewer.own)) {
    append_item(m_.text, name, value);
    return;
  }
  for (const auto& block : *needed) {
    if (std::ranges::find(m_.held.needed, block) == m_.held.needed.end()) m_.held.needed.push_back(block);
  }
  m_.held.structures.emplace_back(name, std::move(value));
}

/// The visible form of BODY[2.MIME] or BODY[2.HEADER].
std::string Answerer::part_block(const MessageFacts& facts, const std::string& ask,
                                 const std::string& block) {
  using Kind = mapping::ContentKind::Kind;
  const auto* kind = facts_.kind(facts, ask);
  const bool mime = ask.ends_with("MIME]");
  // The first part of an encoded message reads as in BODY[2], where nobody sees through it; but a server
  // might have decoded it, and base64 has no colons.
  const bool encoded = !mime && kind != nullptr && kind->kind == Kind::leaf &&
                       (kind->encoding != mapping::ContentKind::Encoding::base64 || !block.contains(':'));
  if (encoded) return block;
  const bool part = mime && (kind == nullptr || kind->kind != Kind::message);
  std::string visible;
  show_block(core_, facts.viewer, part ? mapping::BlockKind::part : mapping::BlockKind::message, block,
             visible);
  return visible;
}

/// BODY[2.MIME], BODY[2.HEADER]
net::Task<Result<>> Answerer::on_part(const ImapFetchItem& item, const std::string& ask) {
  const MessageFacts* facts = facts_.find(m_.uid, m_.number);
  auto text = co_await read_text(core_, item, kMaxHeaderBlock);
  if (!text) co_return std::unexpected(text.error());
  if (facts == nullptr) co_return Result<>();  // it came after the question was asked
  std::string visible = part_block(*facts, ask, text->text);
  // Nothing is told of a block that is longer than any that is read; its size holds.
  if (text->too_large) visible.assign(item.size, ' ');
  for (const FetchItem& wanted : items_) {
    if (wanted.ask != ask) continue;
    if (text->nil) {
      append_item(m_.text, wanted.label, "NIL");
    } else {
      append_literal(m_.text, wanted.label, block_answer(wanted, visible));
    }
  }
  co_return Result<>();
}

std::optional<VisibleMessage> Answerer::walker_for(const FetchItem& wanted) const {
  if (wanted.kind == FetchKind::whole) return VisibleMessage::whole(core_.view, core_.audience);
  const MessageFacts* facts = facts_.find(m_.uid, m_.number);
  const auto* kind = facts == nullptr ? nullptr : facts_.kind(*facts, wanted.ask);
  if (kind == nullptr) return std::nullopt;
  return VisibleMessage::content(core_.view, facts->viewer, *kind);
}

net::Task<Result<>> Answerer::on_stream(const ImapFetchItem& item, const FetchItem& wanted) {
  auto walker = walker_for(wanted);
  if (!walker) co_return Result<>();  // a message that came after the question was asked
  if (item.streams) co_return co_await stream(item, wanted.label, std::move(*walker), nullptr);

  const auto text = co_await read_text(core_, item, kMaxHeaderBlock);
  if (!text) co_return std::unexpected(text.error());
  if (text->nil) {
    append_item(m_.text, wanted.label, "NIL");
    co_return Result<>();
  }
  std::string visible;
  std::string_view input = text->text;
  while (!input.empty()) visible += walker->next(input);
  for (auto last = walker->finish(); !last.empty(); last = walker->finish()) visible += last;
  core_.out.need(core_.audience.routes, walker->take_fresh());
  if (visible.size() != text->text.size()) co_return fail(Errc::corrupt, "a body of another size");
  append_item(m_.text, wanted.label, imap_string(visible));
  co_return Result<>();
}

/// A literal of constant size (contract R8.1): its length is known before its octets are. `prefix` gets the
/// first original octets.
net::Task<Result<>> Answerer::stream(const ImapFetchItem& item, const std::string& label,
                                     VisibleMessage walker, std::string* prefix) {
  append_item(m_.text, label, (item.binary ? "~{" : "{") + std::to_string(item.size) + "}\r\n");
  begin();
  std::uint64_t shown = 0;
  while (true) {
    expect_answer(core_);
    const auto octets = co_await core_.in.chunk();
    if (!octets) co_return std::unexpected(octets.error());
    if (octets->empty()) break;
    std::string_view input = *octets;
    if (prefix != nullptr) prefix->append(input.substr(0, kMaxHeaderBlock - prefix->size()));
    while (!input.empty()) {
      const std::string_view visible = walker.next(input);
      shown += visible.size();
      core_.out.add(visible);
    }
    core_.out.need(core_.audience.routes, walker.take_fresh());
    if (!core_.out.full()) continue;
    const auto flushed = co_await flush_now(core_);
    if (!flushed) co_return flushed;
  }
  for (auto last = walker.finish(); !last.empty(); last = walker.finish()) {
    shown += last.size();
    core_.out.add(last);
  }
  core_.out.need(core_.audience.routes, walker.take_fresh());
  if (shown != item.size) co_return fail(Errc::corrupt, "a body of another size");
  co_return Result<>();
}

/// What was gathered goes to the client; the response stays open.
void Answerer::begin() {
  if (!m_.begun) core_.out.add("* " + std::to_string(m_.number) + " FETCH (");
  if (m_.any) core_.out.add(" ");
  core_.out.add(m_.text);
  m_.any = m_.any || !m_.text.empty();
  m_.begun = true;
  std::string().swap(m_.text);
}

net::Task<Result<>> Answerer::flush_text() {
  begin();
  if (!core_.out.full()) co_return Result<>();
  co_return co_await flush_now(core_);
}

/// What can be told without asking for more.
void Answerer::resolve_held() {
  if (m_.held.structures.empty() || !m_.has_header || m_.too_large) return;
  const bool all_here = m_.viewer.own || std::ranges::all_of(m_.held.needed, [](const NeededBlock& block) {
                          return block.section == "HEADER";
                        });
  if (!all_here) return;
  const std::vector<KnownBlock> known{{"HEADER", m_.original, m_.visible}};
  for (auto& [name, value] : m_.held.structures) {
    if (m_.viewer.own) {
      append_item(m_.text, name, value);
    } else if (const auto structure = visible_structure(value, known, core_.utf8)) {
      append_item(m_.text, name, *structure);
    } else {
      missed = true;
    }
  }
  m_.held.structures.clear();
  m_.held.needed.clear();
}

void Answerer::finish() {
  resolve_held();
  const std::uint32_t key = uid_ ? m_.uid : m_.number;
  if (!m_.held.structures.empty() || !m_.held.envelope.empty()) {
    m_.held.key = key;
    if (m_.begun) {
      // The rest of it comes in a response of its own, which has to say its UID again.
      if (tells_uid_ && m_.uid != 0) append_item(m_.held.text, "UID", std::to_string(m_.uid));
    } else {
      m_.held.text = m_.text;
    }
    if (key == 0) {
      missed = true;  // a response to UID FETCH without a UID
    } else if (!held.add(m_.held)) {
      again.push_back(key);
    } else if (!m_.begun) {
      return;
    }
  } else if (!m_.begun && held.append(key, m_.text)) {
    return;
  }
  if (!m_.begun && m_.text.empty()) return;
  if (!m_.text.empty()) begin();
  core_.out.add(")\r\n");
}

/// The items that are asked for again when there was no room to hold them.
std::vector<FetchItem> structure_items(const std::vector<FetchItem>& items, bool with_uid) {
  std::vector<FetchItem> some;
  for (const FetchItem& item : items) {
    const bool structure = item.kind == FetchKind::structure || item.kind == FetchKind::envelope;
    if (structure || (with_uid && item.ask == "UID")) some.push_back(item);
  }
  return some;
}

/// What goes upstream: ENVELOPE and the header's fields are told from the whole header.
std::string items_to_ask(const std::vector<FetchItem>& items, bool with_uid) {
  std::vector<FetchItem> asked = items;
  if (std::ranges::any_of(items, [](const FetchItem& i) { return i.kind == FetchKind::envelope; })) {
    FetchItem header;
    header.kind = FetchKind::header;
    header.ask = "BODY[HEADER]";
    asked.push_back(std::move(header));
  }
  return upstream_items(asked, with_uid);
}

}  // namespace

net::Task<Result<ImapStatus>> answer_items(ImapCore& core, FetchMemory::State& memory,
                                           const FetchRequest& request, std::vector<FetchItem> items,
                                           const FactTable& facts, bool uid) {
  std::string modifiers;
  if (request.has_changed_since) {
    modifiers =
        " (CHANGEDSINCE " + std::to_string(request.changed_since) + (request.vanished ? " VANISHED)" : ")");
  }
  const bool with_uid = uid || !facts.messages.empty();
  const bool single = single_number(request.set) != 0;
  const std::vector<FetchItem> repeated = structure_items(items, true);
  std::vector<std::string> commands;
  commands.push_back(fetch_command(uid, request.set, items_to_ask(items, with_uid), modifiers));

  auto answerer = std::make_unique<Answerer>(core, memory, std::move(items), facts, uid, single);
  auto status = co_await run_upstream(core, std::move(commands), *answerer);
  std::vector<std::uint32_t> again;
  std::size_t at = 0;
  bool missed = false;
  while (status) {
    if (!answerer->held.empty()) {
      auto resolved = co_await answerer->held.resolve(core, uid, answerer->missed);
      if (!resolved) co_return resolved;
    }
    missed = missed || answerer->missed;
    again.insert(again.end(), answerer->again.begin(), answerer->again.end());
    if (at == again.size()) break;
    // Slices hold at least one structure each, so this ends.
    const std::size_t count = std::min(kSlice, again.size() - at);
    std::vector<std::uint32_t> slice(again.begin() + static_cast<std::ptrdiff_t>(at),
                                     again.begin() + static_cast<std::ptrdiff_t>(at + count));
    at += count;
    std::ranges::sort(slice);
    commands.assign(1, fetch_command(uid, write_set(slice), items_to_ask(repeated, uid)));
    answerer = std::make_unique<Answerer>(core, memory, repeated, facts, uid, false);
    auto more = co_await run_upstream(core, std::move(commands), *answerer);
    if (!more) co_return more;
  }
  if (status && missed && status->name == "OK") {
    status = ImapStatus{"NO", "[SERVERBUG] Some structures cannot be told"};
  }
  co_return status;
}

}  // namespace kage::proxy
