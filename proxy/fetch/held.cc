// Blocks for what was set aside: messages that need the same ones are asked for together.
#include "proxy/fetch/held.h"

#include <algorithm>
#include <map>

#include "base/text.h"
#include "proxy/fetch/blocks.h"
#include "proxy/fetch/run.h"
#include "proxy/imap/command.h"
#include "proxy/imap/session_send.h"

namespace kage::proxy {
namespace {

constexpr std::size_t kMaxHeld = 256;
constexpr std::size_t kMaxHeldOctets = 8u << 20;
constexpr std::size_t kMaxNeeded = 200;            // blocks of one message
constexpr std::size_t kMaxNeededOctets = 5000;     // of a command, to ask for them
constexpr std::size_t kMaxBlockOctets = 8u << 20;  // of one message

// Everything that is held may need the same blocks, and is then asked for with one command.
static_assert(kMaxNeededOctets + kMaxHeld * sizeof "4294967295" + 100 < kMaxCommandLine);

std::string item_of(const NeededBlock& block) {
  return " BODY.PEEK[" + block.section + "]";
}

}  // namespace

void HeldResponse::need(const std::vector<NeededBlock>& blocks) {
  std::size_t octets = 0;
  for (const NeededBlock& block : needed) octets += item_of(block).size();
  for (const NeededBlock& block : blocks) {
    if (std::ranges::find(needed, block) != needed.end()) continue;
    octets += item_of(block).size();
    if (needed.size() == kMaxNeeded || octets > kMaxNeededOctets) return;
    needed.push_back(block);
  }
}

std::size_t HeldResponse::octets() const {
  std::size_t count = sizeof *this + text.size() + envelope.size();
  for (const auto& [name, value] : structures) count += name.size() + value.size();
  for (const auto& block : needed) count += sizeof block + block.section.size();
  return count;
}

bool HeldResponses::add(HeldResponse& response) {
  const std::size_t more = response.octets();
  // One alone always has room: a value of the upstream is bounded.
  if (!list_.empty() && (list_.size() == kMaxHeld || octets_ + more > kMaxHeldOctets)) return false;
  octets_ += more;
  by_key_[response.key] = list_.size();
  list_.push_back(std::move(response));
  return true;
}

bool HeldResponses::append(std::uint32_t key, std::string_view text) {
  if (list_.empty()) return false;
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return false;
  std::string& held = list_[found->second].text;
  if (held.size() + text.size() > kMaxHeldOctets) return false;
  if (!held.empty()) held += ' ';
  held += text;
  return true;
}

std::vector<std::string> HeldResponses::commands(bool uid) const {
  std::map<std::string, std::vector<std::uint32_t>> groups;
  for (const auto& response : list_) {
    std::string items = uid ? "UID BODY.PEEK[HEADER]" : "BODY.PEEK[HEADER]";
    for (const auto& block : response.needed) items += item_of(block);
    groups[items].push_back(response.key);
  }
  std::vector<std::string> all;
  for (auto& [items, keys] : groups) {
    std::ranges::sort(keys);
    all.push_back(fetch_command(uid, write_set(keys), items));
  }
  return all;
}

/// Reads the blocks of one message at a time and answers for it.
class BlockReader final : public ItemSink {
 public:
  BlockReader(ImapCore& core, HeldResponses& held, bool uid, bool& missed)
      : ItemSink(core), held_(held), uid_(uid), missed_(missed) {}

 protected:
  net::Prompt<Result<bool>> take(const std::string& name, ImapFetchItem& item) override {
    if (!name.starts_with("BODY[")) return Result<bool>(false);
    return take_block(name.substr(5, name.size() - 6), item);
  }

  void end(std::uint32_t number, std::uint32_t uid) override {
    const auto found = held_.by_key_.find(uid_ ? uid : number);
    if (has_header_ && found != held_.by_key_.end()) {
      answer(number, held_.list_[found->second]);
      held_.by_key_.erase(found);
    }
    blocks_.clear();
    octets_ = 0;
    has_header_ = false;
  }

 private:
  net::Task<Result<bool>> take_block(std::string section, ImapFetchItem& item) {
    auto text = co_await read_text(core_, item, kMaxHeaderBlock);
    if (!text) co_return std::unexpected(text.error());
    octets_ += text->text.size();
    has_header_ = has_header_ || section == "HEADER";
    // One that is not known is told as nothing.
    if (text->too_large || octets_ > kMaxBlockOctets) text->text.clear();
    blocks_.push_back({std::move(section), std::move(text->text), {}});
    co_return true;
  }

  void answer(std::uint32_t number, HeldResponse& held) {
    KnownBlock none;
    auto header = std::ranges::find(blocks_, "HEADER", &KnownBlock::section);
    if (header == blocks_.end()) return;
    const mapping::Viewer viewer = viewer_of(core_, header->original);
    std::string text = std::move(held.text);
    if (!held.envelope.empty()) {
      std::string visible;
      show_block(core_, viewer, mapping::BlockKind::message, header->original, visible);
      append_item(text, "ENVELOPE", envelope_answer(core_, viewer, held.envelope, header->original, visible));
    }
    std::vector<KnownBlock> known;
    for (const auto& needed : held.needed) known.push_back(show(viewer, needed));
    if (!append_structures(text, core_, viewer, held, known)) missed_ = true;
    if (!text.empty()) core_.out.add("* " + std::to_string(number) + " FETCH (" + text + ")\r\n");
  }

  KnownBlock show(const mapping::Viewer& viewer, const NeededBlock& needed) {
    KnownBlock known{needed.section, {}, {}};
    const auto block = std::ranges::find(blocks_, needed.section, &KnownBlock::section);
    if (block == blocks_.end() || block->original.empty()) return known;
    const bool part = needed.section.ends_with("MIME");
    known.original = block->original;
    show_block(core_, viewer, part ? mapping::BlockKind::part : mapping::BlockKind::message, known.original,
               known.visible);
    return known;
  }

  HeldResponses& held_;
  bool uid_;
  bool& missed_;
  std::vector<KnownBlock> blocks_;  // of the message that is read
  std::size_t octets_ = 0;
  bool has_header_ = false;
};

net::Task<Result<ImapStatus>> HeldResponses::resolve(ImapCore& core, bool uid, bool& missed) {
  BlockReader reader(core, *this, uid, missed);
  auto status = co_await run_upstream(core, commands(uid), reader);
  list_.clear();
  by_key_.clear();
  octets_ = 0;
  co_return status;
}

std::string_view empty_envelope() {
  return "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)";
}

std::string_view unknown_structure() {
  return R"(("application" "octet-stream" NIL NIL NIL "binary" 0))";
}

std::string envelope_answer(const ImapCore& core, const mapping::Viewer& viewer, std::string_view upstream,
                            std::string_view original, std::string_view visible) {
  if (viewer.own && upstream.starts_with('(')) return std::string(upstream);
  auto envelope = visible_envelope(upstream, original, visible, core.utf8);
  return envelope ? std::move(*envelope) : std::string(empty_envelope());
}

bool append_structures(std::string& text, const ImapCore& core, const mapping::Viewer& viewer,
                       const HeldResponse& held, const std::vector<KnownBlock>& known) {
  bool all = true;
  for (const auto& [name, upstream] : held.structures) {
    if (viewer.own) {
      append_item(text, name, upstream);
    } else if (const auto structure = visible_structure(upstream, known, core.utf8)) {
      append_item(text, name, *structure);
    } else {
      all = false;
    }
  }
  return all;
}

}  // namespace kage::proxy
