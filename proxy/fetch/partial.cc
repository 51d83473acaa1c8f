// Partial fetches (RFC 9051 §6.4.5, "<0.2048>") of what streams: exactly the octets of the visible whole.
//
// What is shown at an offset depends on all that stands before it. A copy of the walker remembers the place
// where the last answer ended, so that a client that reads on costs each octet once; any other offset starts
// from the front.
#include "proxy/fetch/partial.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "proxy/fetch/blocks.h"
#include "proxy/fetch/run.h"
#include "proxy/imap/command.h"

namespace kage::proxy {
namespace {

using mapping::VisibleMessage;

constexpr std::uint64_t kPiece = 64 * 1024;  // asked for to see the end of a header block
constexpr std::size_t kMaxPlaces = 4;
constexpr std::size_t kMaxRest = 1u << 20;  // octets of a response beside the literal
constexpr std::size_t kMaxOthers = 1000;
constexpr std::uint64_t kMaxOffset = INT64_MAX;

class PartialReader final : public FetchSink {
 public:
  PartialReader(ImapCore& core, const FetchItem& item, FetchPlace place, bool uid, std::uint32_t key,
                bool wants_uid)
      : core_(core),
        item_(item),
        place_(std::move(place)),
        uid_(uid),
        key_(key),
        wants_uid_(wants_uid),
        renumbered_(core.renumbered) {
    from_ = item.partial->offset;
    end_ = from_ + std::min(item.partial->count, kMaxOffset - from_);
    shown_ = place_.fed - place_.walker.held() - place_.pending.size();
  }

  net::Task<Result<>> message(std::uint32_t number) override;

  /// Octets of the upstream that the next command has to ask for.
  [[nodiscard]] std::uint64_t wanted() const;
  [[nodiscard]] std::uint64_t next_offset() const { return place_.fed; }
  void set_asked(std::uint64_t count) { asked_ = count; }
  [[nodiscard]] bool open() const { return begun_ && !closed_; }
  [[nodiscard]] bool complete() const { return given_ == size_; }
  [[nodiscard]] bool answered() const { return closed_; }
  /// What waited for the end of the literal.
  void pass_deferred();
  FetchPlace take_place();
  Deferred deferred;

 private:
  net::Task<Result<>> on_octets(const ImapFetchItem& item, std::uint32_t number);
  net::Task<Result<>> feed(std::string_view octets);
  net::Task<Result<>> read_literal(const ImapFetchItem& item);
  void begin(std::uint32_t number, std::uint64_t available, bool binary);
  void close();
  void show(std::string_view visible);
  void finish_walker();
  void begin_response(std::uint32_t number, std::string_view value);
  std::string with_uid(std::string text);
  bool add_line(std::uint32_t number, std::string text);

  ImapCore& core_;
  const FetchItem& item_;
  FetchPlace place_;
  bool uid_;
  std::uint32_t key_;
  bool wants_uid_;

  std::uint64_t from_ = 0;
  std::uint64_t end_ = 0;    // of what the client asked for
  std::uint64_t asked_ = 0;  // of the upstream, in this command
  std::uint64_t shown_ = 0;  // offset of the next octet that is shown
  std::uint64_t size_ = 0;   // of the client's literal
  std::uint64_t given_ = 0;  // of it
  bool begun_ = false;
  bool closed_ = false;
  bool had_octets_ = true;  // there were octets
  std::uint64_t renumbered_ = 0;
  std::string uid_text_;             // of the response that is read
  std::string plain_;                // its other items
  std::string rest_;                 // what follows the literal
  std::vector<std::string> others_;  // responses that wait for its end
  std::string pending_;
};

std::uint64_t PartialReader::wanted() const {
  if (place_.ended || (begun_ && complete())) return 0;
  const std::uint64_t visible = place_.fed - place_.walker.held();
  if (visible >= end_) return 0;
  // Behind the asked-for end only a header block is still held.
  return end_ > place_.fed ? end_ - place_.fed : kPiece;
}

net::Task<Result<>> PartialReader::message(std::uint32_t number) {
  const bool was_begun = begun_;
  bool mine = false;
  plain_.clear();
  uid_text_.clear();
  std::uint32_t uid = 0;
  ImapFetchItem item;
  while (true) {
    expect_answer(core_);
    const auto more = co_await core_.in.next_item(item);
    if (!more) co_return std::unexpected(more.error());
    if (!*more) break;
    const std::string name = canonical_name(item.name);
    // The UID may stand behind the octets; what is known to be another message's is nobody's.
    const bool other = uid_ ? uid != 0 && uid != key_ : number != key_;
    if (name == item_.ask && asked_ > 0 && !other) {
      mine = true;
      const auto taken = co_await on_octets(item, number);
      if (!taken) co_return taken;
      asked_ = 0;
    } else if (name == "UID") {
      uid = static_cast<std::uint32_t>(parse_number(item.value, UINT32_MAX).value_or(0));
      if (wants_uid_ && uid != 0) uid_text_ = "UID " + std::to_string(uid);
    } else if (item.has_value() &&
               (is_plain_fetch_item(core_.gmail, name) || name.starts_with("BINARY.SIZE["))) {
      append_item(plain_, name, item.value);
    }
    if (plain_.size() > kMaxRest) co_return fail(Errc::limit, "a long FETCH response");
  }
  const bool about_it = mine || (uid_ ? uid == key_ : number == key_);
  if (about_it && uid != 0) place_.uid = uid;
  if (about_it && !begun_ && asked_ == 0 && wanted() == 0) {
    begin(number, place_.fed, item_.binary);  // all octets were remembered
  } else if (begun_ && !was_begun) {
    // What comes behind the literal in the same response.
    rest_ = with_uid(std::move(plain_));
  } else if (!plain_.empty() && !add_line(number, with_uid(std::move(plain_)))) {
    co_return fail(Errc::limit, "untagged responses within a literal");
  }
  if (open() && complete()) close();
  co_return Result<>();
}

/// "UID 5 FLAGS ()"
std::string PartialReader::with_uid(std::string text) {
  if (uid_text_.empty()) return text;
  std::string all = std::exchange(uid_text_, {});
  if (!text.empty()) all += " " + text;
  return all;
}

/// News of other messages wait until the literal is whole. False: too many.
bool PartialReader::add_line(std::uint32_t number, std::string text) {
  std::string line = "* " + std::to_string(number) + " FETCH (" + text + ")\r\n";
  if (!open()) {
    core_.out.add(line);
    return true;
  }
  if (others_.size() == kMaxOthers) return false;
  others_.push_back(std::move(line));
  return true;
}

net::Task<Result<>> PartialReader::on_octets(const ImapFetchItem& item, std::uint32_t number) {
  if (!item.streams) {
    auto text = co_await read_text(core_, item, kMaxHeaderBlock);
    if (!text) co_return std::unexpected(text.error());
    if (text->nil && !begun_) {
      begin_response(number, "NIL");
      place_.ended = true;
      had_octets_ = false;
      co_return Result<>();
    }
    if (text->text.size() > asked_) co_return fail(Errc::protocol, "more octets than were asked for");
    place_.ended = text->text.size() < asked_;
    if (!begun_) begin(number, place_.fed + text->text.size(), item_.binary);
    const auto fed = co_await feed(text->text);
    if (!fed) co_return fed;
  } else {
    if (item.size > asked_) co_return fail(Errc::protocol, "more octets than were asked for");
    place_.ended = item.size < asked_;
    if (!begun_) begin(number, place_.fed + item.size, item.binary);
    const auto read = co_await read_literal(item);
    if (!read) co_return read;
  }
  if (place_.ended) finish_walker();
  co_return Result<>();
}

net::Task<Result<>> PartialReader::read_literal(const ImapFetchItem& item) {
  std::uint64_t read = 0;
  while (true) {
    expect_answer(core_);
    const auto octets = co_await core_.in.chunk();
    if (!octets) co_return std::unexpected(octets.error());
    if (octets->empty()) break;
    read += octets->size();
    const auto fed = co_await feed(*octets);
    if (!fed) co_return fed;
  }
  if (read != item.size) co_return fail(Errc::protocol, "a literal of another size");
  co_return Result<>();
}

/// Consumes all octets before it suspends: they may lie in the loop's shared buffer.
net::Task<Result<>> PartialReader::feed(std::string_view octets) {
  place_.fed += octets.size();
  while (!octets.empty()) show(place_.walker.next(octets));
  core_.out.need(core_.audience.routes, place_.walker.take_fresh());
  if (!core_.out.full()) co_return Result<>();
  co_return co_await core_.out.flush_blocks();
}

void PartialReader::finish_walker() {
  for (auto last = place_.walker.finish(); !last.empty(); last = place_.walker.finish()) show(last);
  core_.out.need(core_.audience.routes, place_.walker.take_fresh());
}

void PartialReader::begin_response(std::uint32_t number, std::string_view value) {
  std::string text = with_uid(std::exchange(plain_, {}));
  append_item(text, item_.label, value);
  core_.out.begin_answer();
  core_.out.add("* " + std::to_string(number) + " FETCH (" + text);
  begun_ = true;
  place_.number = number;
}

/// The literal's length is known: the visible whole is as long as the original (contract R8.1).
void PartialReader::begin(std::uint32_t number, std::uint64_t available, bool binary) {
  const std::uint64_t end = place_.ended ? std::min(end_, available) : end_;
  size_ = end > from_ ? end - from_ : 0;
  begin_response(number, (binary ? "~{" : "{") + std::to_string(size_) + "}\r\n");
  const std::string known = std::exchange(place_.pending, {});
  show(known);
}

/// The next octets of the visible whole: what lies in the asked-for range goes out, what lies beyond waits.
void PartialReader::show(std::string_view visible) {
  const std::uint64_t at = shown_;
  shown_ += visible.size();
  if (at < from_) visible.remove_prefix(std::min<std::uint64_t>(visible.size(), from_ - at));
  const std::string_view now = visible.substr(0, size_ - given_);
  core_.out.add(now);
  given_ += now.size();
  pending_ += visible.substr(now.size());
}

void PartialReader::close() {
  if (!rest_.empty()) core_.out.add(" " + rest_);
  core_.out.add(")\r\n");
  core_.out.end_answer();
  closed_ = true;
  for (const auto& line : others_) core_.out.add(line);
  others_.clear();
}

void PartialReader::pass_deferred() {
  for (const auto& response : deferred.responses) pass_untagged(core_, response);
  deferred = {};
}

FetchPlace PartialReader::take_place() {
  place_.pending = std::move(pending_);
  place_.renumbered = renumbered_;
  // Where there were no octets there is nothing to go on from.
  if (!had_octets_) place_.ask.clear();
  return std::move(place_);
}

FetchPlace find_place(ImapCore& core, FetchMemory::State& memory, bool uid, std::uint32_t key,
                      const FetchItem& item, const MessageFacts* facts, const mapping::ContentKind& kind) {
  for (auto place = memory.places.begin(); place != memory.places.end(); ++place) {
    const bool same = uid ? place->uid == key : place->number == key && place->renumbered == core.renumbered;
    if (!same || place->ask != item.ask) continue;
    FetchPlace found = std::move(*place);
    memory.places.erase(place);
    const std::uint64_t begin = found.fed - found.walker.held() - found.pending.size();
    if (begin <= item.partial->offset) return found;
    break;
  }
  VisibleMessage walker = item.kind == FetchKind::whole
                              ? VisibleMessage::whole(core.view, core.audience)
                              : VisibleMessage::content(core.view, facts->viewer, kind);
  return FetchPlace{0, 0, 0, item.ask, std::move(walker), 0, {}, false};
}

void keep_place(FetchMemory::State& memory, FetchPlace place) {
  if (place.ask.empty()) return;
  if (memory.places.size() == kMaxPlaces) memory.places.erase(memory.places.begin());
  memory.places.push_back(std::move(place));
}

}  // namespace

net::Task<Result<ImapStatus>> answer_partial(ImapCore& core, FetchMemory::State& memory, bool uid,
                                             std::uint32_t key, FetchItem item, std::vector<FetchItem> plain,
                                             const MessageFacts* facts, mapping::ContentKind kind) {
  const std::string set = std::to_string(key);
  const bool wants_uid = uid || std::ranges::any_of(plain, [](const FetchItem& i) { return i.ask == "UID"; });
  auto reader = std::make_unique<PartialReader>(
      core, item, find_place(core, memory, uid, key, item, facts, kind), uid, key, wants_uid);
  std::string items = upstream_items(plain, true);
  std::uint64_t count = reader->wanted();
  std::uint64_t offset = 0;
  bool first = true;
  ImapStatus status;
  do {
    offset = reader->next_offset();
    reader->set_asked(count);
    if (count > 0 || (first && !item.peek)) {
      // What is remembered is not asked for again; one octet sets \Seen.
      items += " " + (first && !item.peek ? item.ask : peeking(item.ask)) + "<" + std::to_string(offset) +
               "." + std::to_string(std::max<std::uint64_t>(count, 1)) + ">";
    }
    std::vector<std::string> commands;
    commands.push_back(fetch_command(uid, set, items));
    auto ran = co_await run_upstream(core, std::move(commands), *reader, &reader->deferred);
    if (!ran) co_return ran;
    status = std::move(*ran);
    if (!reader->open()) break;
    if (status.name != "OK") co_return fail(Errc::protocol, "the rest of a literal was refused");
    const std::uint64_t more = reader->wanted();
    if (more == 0 || reader->next_offset() == offset) {
      co_return fail(Errc::protocol, "the rest of a literal did not come");
    }
    count = more;
    first = false;
    items = "UID";
  } while (true);
  reader->pass_deferred();
  if (reader->answered()) keep_place(memory, reader->take_place());
  const auto flushed = co_await flush_if_due(core);
  if (!flushed) co_return std::unexpected(flushed.error());
  co_return status;
}

}  // namespace kage::proxy
