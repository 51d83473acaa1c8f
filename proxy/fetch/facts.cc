// What has to be known before octets of a part can be shown: whose message it is, and what the part is.
#include "proxy/fetch/facts.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/text.h"
#include "proxy/fetch/blocks.h"
#include "proxy/fetch/run.h"
#include "proxy/structure/structure.h"

namespace kage::proxy {
namespace {

using mapping::ContentKind;

constexpr std::size_t kMaxMessages = 50'000;

/// What mapping::content_kind() makes of a part, so that each way to its octets shows the same.
ContentKind kind_of(const SectionContent& content, bool binary) {
  std::string block = "Content-Type: " + content.type + "/" + content.subtype + content.boundary + "\r\n";
  // BINARY gives what was encoded (RFC 3516 §4.2).
  if (!binary && !content.encoding.empty())
    block += "Content-Transfer-Encoding: " + content.encoding + "\r\n";
  return mapping::content_kind(block + "\r\n");
}

/// Whether what BODY[section.MIME] gives is the header of a whole message: servers answer so for the one part
/// of a message that is no multipart.
bool is_message_header(std::string_view section, std::string_view structure) {
  const std::size_t dot = section.rfind('.');
  if (section.substr(dot == std::string_view::npos ? 0 : dot + 1) != "1") return false;
  const std::string around(section.substr(0, dot == std::string_view::npos ? 0 : dot));
  if (!around.empty()) {
    const auto content = section_content(structure, around);
    if (!content || content->type == "multipart") return false;
  }
  const auto inner = section_content(structure, around.empty() ? "TEXT" : around + ".TEXT");
  return inner && inner->type != "multipart";
}

/// What an item's octets are. Of a header, what the part around it is: of an encoded message it is no header
/// but the first part of the encoded text.
ContentKind kind_of(const FetchItem& item, std::string_view structure, const ContentKind& text) {
  if (item.section == "TEXT") return text;
  std::string_view section = item.section;
  const bool mime = section.ends_with(".MIME");
  const bool header = section.ends_with(".HEADER");
  if (mime || header) section = section.substr(0, section.rfind('.'));
  ContentKind kind;
  if (mime) {
    if (is_message_header(section, structure)) kind.kind = ContentKind::Kind::message;
    return kind;
  }
  const auto content = section_content(structure, section);
  if (content && (!header || content->type == "message")) return kind_of(*content, item.binary);
  kind.kind = header ? ContentKind::Kind::message : ContentKind::Kind::hidden;
  return kind;
}

class FactsReader final : public ItemSink {
 public:
  FactsReader(ImapCore& core, FetchMemory::State& memory, const std::vector<const FetchItem*>& contents,
              FactTable& table, bool single)
      : ItemSink(core), memory_(memory), contents_(contents), table_(table), single_(single) {}

  [[nodiscard]] bool too_many() const { return too_many_; }

 protected:
  net::Prompt<Result<bool>> take(const std::string& name, ImapFetchItem& item) override;
  void end(std::uint32_t number, std::uint32_t uid) override;

 private:
  net::Task<Result<bool>> take_header(ImapFetchItem& item);
  void add(std::uint32_t number, std::uint32_t uid, std::string_view header, bool header_cut,
           std::string structure);

  FetchMemory::State& memory_;
  const std::vector<const FetchItem*>& contents_;
  FactTable& table_;
  bool single_;
  bool too_many_ = false;
  std::optional<ItemText> header_;  // of the response that is read
  std::string structure_;
};

net::Prompt<Result<bool>> FactsReader::take(const std::string& name, ImapFetchItem& item) {
  if (name == "BODY[HEADER]") return take_header(item);
  if (name != "BODYSTRUCTURE") return Result<bool>(false);
  structure_ = std::move(item.value);
  return Result<bool>(true);
}

net::Task<Result<bool>> FactsReader::take_header(ImapFetchItem& item) {
  auto text = co_await read_text(core_, item, kMaxHeaderBlock);
  if (!text) co_return std::unexpected(text.error());
  header_ = std::move(*text);
  co_return true;
}

void FactsReader::end(std::uint32_t number, std::uint32_t uid) {
  std::string structure = std::exchange(structure_, {});
  const auto header = std::exchange(header_, std::nullopt);
  if (header) add(number, uid, header->text, header->too_large, std::move(structure));
}

void FactsReader::add(std::uint32_t number, std::uint32_t uid, std::string_view header, bool header_cut,
                      std::string structure) {
  if (table_.messages.size() >= kMaxMessages) {
    too_many_ = true;
    return;
  }
  MessageFacts facts;
  facts.number = number;
  facts.uid = uid;
  facts.viewer = viewer_of(core_, header);
  if (header_cut) facts.viewer.own = false;  // a trace field may follow
  const ContentKind text =
      header_cut ? mapping::content_kind_of_front(header) : mapping::content_kind(header);
  for (const FetchItem* item : contents_) facts.kinds.push_back(kind_of(*item, structure, text));
  if (single_) {
    memory_.begin(core_, uid, number);
    memory_.has_viewer = true;
    memory_.viewer = facts.viewer;
    memory_.text = text;
    if (structure.size() <= kMaxRemembered) memory_.structure = std::move(structure);
  }
  table_.messages.push_back(std::move(facts));
}

/// From the last message, when it is the one and enough is known of it.
bool recall(const ImapCore& core, const FetchMemory::State& memory,
            const std::vector<const FetchItem*>& contents, bool by_uid, std::uint32_t key,
            bool needs_structure, FactTable& table) {
  if (!memory.is_last(core, by_uid, key) || !memory.has_viewer) return false;
  if (needs_structure && memory.structure.empty()) return false;
  MessageFacts facts;
  facts.number = memory.number;
  facts.uid = memory.uid;
  facts.viewer = memory.viewer;
  for (const FetchItem* item : contents) facts.kinds.push_back(kind_of(*item, memory.structure, memory.text));
  table.messages.push_back(std::move(facts));
  return true;
}

}  // namespace

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

net::Task<Result<FactsResult>> gather_facts(ImapCore& core, FetchMemory::State& memory,
                                            const FetchRequest& request, bool uid) {
  FactsResult result;
  result.status = {"OK", "Done"};
  std::vector<const FetchItem*> contents;
  bool needs_structure = false;
  for (const FetchItem& item : request.items) {
    if ((item.kind != FetchKind::content && item.kind != FetchKind::part_header) ||
        std::ranges::find(result.table.asks, item.ask) != result.table.asks.end()) {
      continue;
    }
    contents.push_back(&item);
    result.table.asks.push_back(item.ask);
    needs_structure = needs_structure || item.section != "TEXT";
  }
  const std::uint32_t key = single_number(request.set);
  if (recall(core, memory, contents, uid, key, needs_structure, result.table)) co_return result;

  FactsReader reader(core, memory, contents, result.table, key != 0);
  std::string modifiers;
  if (request.has_changed_since) modifiers = " (CHANGEDSINCE " + std::to_string(request.changed_since) + ")";
  std::vector<std::string> commands;
  commands.push_back(fetch_command(
      uid, request.set, needs_structure ? "UID BODYSTRUCTURE BODY.PEEK[HEADER]" : "UID BODY.PEEK[HEADER]",
      modifiers));
  const std::uint64_t before = core.renumbered;
  auto status = co_await run_upstream(core, std::move(commands), reader);
  if (!status) co_return std::unexpected(status.error());
  result.status = std::move(*status);
  result.too_many = reader.too_many();
  result.table.renumbered = core.renumbered != before;
  std::ranges::sort(result.table.messages, {}, &MessageFacts::uid);
  co_return result;
}

}  // namespace kage::proxy
