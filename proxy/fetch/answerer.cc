// The upstream's answer to FETCH becomes the client's while it streams.
#include "proxy/fetch/answerer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/metrics.h"
#include "base/text.h"
#include "proxy/fetch/blocks.h"
#include "proxy/imap/command.h"

namespace kage::proxy {

using mapping::VisibleMessage;

namespace {

constexpr std::size_t kMaxText = 64 * 1024;  // of a response that is gathered before it is written
constexpr std::string_view kFieldsItem = "BODY[HEADER.FIELDS ";

/// The fields of a header that `items` tell of.
mapping::FieldSet reported_by(const std::vector<FetchItem>& items) {
  // RFC 9051 §7.5.2. Bcc is never shown.
  constexpr auto kEnvelope = std::to_array<std::string_view>(
      {"Date", "Subject", "From", "Sender", "Reply-To", "To", "Cc", "In-Reply-To", "Message-ID"});
  mapping::FieldSet set;
  for (const FetchItem& item : items) {
    if (item.kind == FetchKind::envelope) {
      for (const std::string_view name : kEnvelope) set.add(name);
    }
    for (const std::string& name : item.names) set.add(name);
  }
  return set;
}

/// BODY[HEADER] or RFC822.HEADER, not a part of it.
bool is_whole(const FetchItem& item) {
  return item.kind == FetchKind::header && !item.fields && !item.partial;
}

}  // namespace

void Answerer::Message::begin(std::uint32_t its_number) {
  static_cast<MessageState&>(*this) = {};
  number = its_number;
  for (std::string* some :
       {&text, &unsolicited, &original, &reported_fields, &visible, &held.text, &held.envelope})
    some->clear();
  held.key = 0;
  held.structures.clear();
  held.needed.clear();
}

Answerer::Answerer(ImapCore& core, FetchMemory::State& memory, std::vector<FetchItem> items,
                   const FactTable& facts, bool uid, bool single, HeaderSource source)
    : core_(core),
      memory_(memory),
      items_(std::move(items)),
      facts_(facts),
      uid_(uid),
      single_(single),
      source_(source),
      reported_fields_(reported_by(items_)) {
  wants_envelope_ =
      std::ranges::any_of(items_, [](const FetchItem& i) { return i.kind == FetchKind::envelope; });
  wants_uid_ = uid || std::ranges::any_of(items_, [](const FetchItem& i) { return i.ask == "UID"; });
}

net::Task<Result<>> Answerer::message(std::uint32_t number) {
  m_.begin(number);
  while (true) {
    expect_answer(core_);
    const auto more = co_await core_.in.next_item(item_);
    if (!more) co_return std::unexpected(more.error());
    if (!*more) break;
    const auto taken = co_await on_item(item_);
    if (!taken) co_return taken;
    if (m_.text.size() < kMaxText) continue;
    const auto flushed = co_await flush_text();
    if (!flushed) co_return flushed;
  }
  finish();
  co_return Result<>();
}

net::Prompt<Result<>> Answerer::on_item(ImapFetchItem& item) {
  if (source_ == HeaderSource::fields && starts_with_nocase(item.name, kFieldsItem)) return on_fields(item);
  const std::string name = canonical_name(item.name);
  if (name == "UID") {
    m_.uid = static_cast<std::uint32_t>(parse_number(item.value, UINT32_MAX).value_or(0));
    if (wants_uid_ && m_.uid != 0) append_item(m_.text, name, std::to_string(m_.uid));
    return Result<>();
  }
  const auto wanted = std::ranges::find(items_, name, &FetchItem::ask);
  // Not the client's wish, but what ENVELOPE is told from.
  if (wanted == items_.end() && wants_envelope_ && name == "BODY[HEADER]") return on_header(item);
  if (wanted == items_.end() || wanted->kind == FetchKind::plain) {
    const bool passes = wanted != items_.end() || is_plain_fetch_item(core_.gmail, name);
    if (passes && item.has_value()) append_item(m_.text, name, item.value);
    if (passes && item.has_value() && wanted == items_.end()) append_item(m_.unsolicited, name, item.value);
    return Result<>();
  }
  switch (wanted->kind) {
    case FetchKind::header:
      return on_header(item);
    case FetchKind::part_header:
      return on_part_header(item, wanted->ask);
    case FetchKind::whole:
    case FetchKind::content:
      return on_stream(item, *wanted);
    case FetchKind::envelope:
      if (!item.streams) on_envelope(item.too_large ? "NIL" : item.value);
      break;
    case FetchKind::structure:
      if (item.too_large) {
        append_item(m_.text, name, unknown_structure());
      } else if (!item.streams) {
        on_structure(name, std::move(item.value));
      }
      break;
    case FetchKind::plain:
      break;
  }
  return Result<>();
}

/// BODY[HEADER]: what all items about the header are told from.
net::Task<Result<>> Answerer::on_header(const ImapFetchItem& item) {
  m_.too_large = item.streams && item.size > kMaxHeaderBlock;
  bool nil = false;
  const auto whole = m_.too_large ? std::ranges::find_if(items_, is_whole) : items_.end();
  if (whole != items_.end()) {
    // Filler, as in BODY[]; nothing else is told of such a header.
    const auto streamed =
        co_await stream(item, whole->label, VisibleMessage::whole(core_.view, core_.audience), &m_.original);
    if (!streamed) co_return streamed;
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
  } else {
    show_block(core_, m_.viewer, mapping::BlockKind::message, m_.original, m_.visible);
  }
  tell_header(nil);
  co_return Result<>();
}

/// BODY[HEADER.FIELDS (…)] of our own asking.
net::Task<Result<>> Answerer::on_fields(const ImapFetchItem& item) {
  auto text = co_await read_text(core_, item, kMaxHeaderBlock);
  if (!text) co_return std::unexpected(text.error());
  m_.original = std::move(text->text);
  m_.viewer = viewer_of(core_, m_.original);
  m_.has_header = true;
  m_.needs_whole =
      text->nil || text->too_large ||
      !show_fields(core_, m_.viewer, reported_fields_, m_.original, m_.visible, m_.reported_fields);
  if (!m_.needs_whole) tell_header(false);
  co_return Result<>();
}

/// All that is asked about the header, once it is visible.
void Answerer::tell_header(bool nil) {
  for (const FetchItem& wanted : items_) {
    if (wanted.kind != FetchKind::header || (m_.too_large && is_whole(wanted))) continue;
    if (nil) {
      append_item(m_.text, wanted.label, "NIL");
    } else {
      append_literal(m_.text, wanted.label, block_answer(wanted, m_.visible));
    }
  }
  if (!m_.held.envelope.empty()) {
    on_envelope(m_.held.envelope);
    m_.held.envelope.clear();
  }
  remember_header();
}

void Answerer::remember_header() {
  if (!single_) return;
  memory_.begin(core_, m_.uid, m_.number);
  memory_.has_viewer = true;
  memory_.viewer = m_.viewer;
  memory_.text =
      m_.too_large ? mapping::content_kind_of_front(m_.original) : mapping::content_kind(m_.original);
}

void Answerer::on_envelope(std::string_view value) {
  if (m_.needs_whole) return;
  if (!m_.has_header) {
    m_.held.envelope = value;
    return;
  }
  const std::string& original = source_ == HeaderSource::fields ? m_.reported_fields : m_.original;
  append_item(m_.text, "ENVELOPE",
              m_.too_large ? std::string(empty_envelope())
                           : envelope_answer(core_, m_.viewer, value, original, m_.visible));
}

void Answerer::on_structure(const std::string& name, std::string value) {
  if (single_ && name == "BODYSTRUCTURE" && value.size() <= kMaxRemembered) {
    memory_.begin(core_, m_.uid, m_.number);
    memory_.structure = value;
  }
  const auto needed = needed_blocks(value);
  if (!needed) {
    if (needed.error().code == Errc::limit) {
      append_item(m_.text, name, unknown_structure());
    } else {
      missed = true;
    }
    return;
  }
  if (needed->empty() || (m_.has_header && m_.viewer.own)) {
    append_item(m_.text, name, value);
    return;
  }
  m_.held.need(*needed);
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
net::Task<Result<>> Answerer::on_part_header(const ImapFetchItem& item, const std::string& ask) {
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

net::Prompt<Result<>> Answerer::on_stream(const ImapFetchItem& item, const FetchItem& wanted) {
  auto walker = walker_for(wanted);
  if (!walker) return Result<>();  // a message that came after the question was asked
  if (item.streams) return stream(item, wanted.label, std::move(*walker), nullptr);
  return on_text(item, wanted, std::move(*walker));
}

/// The same for what is no literal: a short quoted string, or NIL.
net::Task<Result<>> Answerer::on_text(const ImapFetchItem& item, const FetchItem& wanted,
                                      VisibleMessage walker) {
  const auto text = co_await read_text(core_, item, kMaxHeaderBlock);
  if (!text) co_return std::unexpected(text.error());
  if (text->nil) {
    append_item(m_.text, wanted.label, "NIL");
    co_return Result<>();
  }
  std::string visible;
  std::string_view input = text->text;
  while (!input.empty()) visible += walker.next(input);
  for (auto last = walker.finish(); !last.empty(); last = walker.finish()) visible += last;
  core_.out.need(core_.audience.routes, walker.take_fresh());
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
    const auto flushed = co_await core_.out.flush_blocks();
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
  if (!m_.begun) {
    core_.out.begin_answer();
    core_.out.add("* " + std::to_string(m_.number) + " FETCH (");
  }
  if (m_.any) core_.out.add(" ");
  core_.out.add(m_.text);
  m_.any = m_.any || !m_.text.empty();
  m_.begun = true;
  m_.text.clear();
}

net::Task<Result<>> Answerer::flush_text() {
  begin();
  if (!core_.out.full()) co_return Result<>();
  co_return co_await core_.out.flush_blocks();
}

/// What can be told without asking for more.
void Answerer::resolve_held() {
  if (m_.held.structures.empty() || !m_.has_header || m_.too_large) return;
  const bool all_here = m_.viewer.own || std::ranges::all_of(m_.held.needed, [](const NeededBlock& block) {
                          return block.section == "HEADER";
                        });
  if (!all_here) return;
  const std::vector<KnownBlock> known{{"HEADER", m_.original, m_.visible}};
  if (!append_structures(m_.text, core_, m_.viewer, m_.held, known)) missed = true;
  m_.held.structures.clear();
  m_.held.needed.clear();
}

void Answerer::finish() {
  resolve_held();
  const std::uint32_t key = uid_ ? m_.uid : m_.number;
  if (m_.needs_whole) {
    // What was asked for is told then.
    if (key == 0) {
      missed = true;
    } else {
      again.push_back(key);
      metrics::add(metrics::Counter::headers_asked_again);
    }
    m_.held.envelope.clear();
    if (!m_.begun) {
      if (m_.unsolicited.empty()) return;
      if (wants_uid_ && m_.uid != 0) append_item(m_.unsolicited, "UID", std::to_string(m_.uid));
      m_.text = m_.unsolicited;
    }
  }
  if (!m_.held.structures.empty() || !m_.held.envelope.empty()) {
    m_.held.key = key;
    if (m_.begun) {
      // The rest of it comes in a response of its own, which has to say its UID again.
      if (wants_uid_ && m_.uid != 0) append_item(m_.held.text, "UID", std::to_string(m_.uid));
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
  core_.out.end_answer();
}

}  // namespace kage::proxy
