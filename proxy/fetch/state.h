// What the parts of FETCH share: running commands at the upstream, reading and showing blocks, and what is
// remembered of the last message.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mapping/visible/message.h"
#include "proxy/fetch/fetch.h"
#include "proxy/fetch/request.h"
#include "proxy/imap/core.h"

namespace kage::proxy {

/// Octets of a header block that is held; mapping::VisibleMessage has the same bound.
inline constexpr std::size_t kMaxHeaderBlock = 256 * 1024;
/// Octets of a structure that is remembered.
inline constexpr std::size_t kMaxRemembered = 16 * 1024;

/// What takes the FETCH responses of a command.
class FetchSink {
 public:
  virtual ~FetchSink() = default;
  /// Reads the items of one response with core.in.next_item().
  virtual net::Task<Result<>> message(std::uint32_t number) = 0;
};

/// Responses that cannot be passed just now, since a literal for the client is being written.
struct Deferred {
  std::vector<ImapResponse> responses;
  std::size_t octets = 0;
};

/// Sends commands (without tags) in one go and reads to the last tagged response: servers may answer them in
/// any order. The status is that of the last one, or of one that was not OK. An error ends the session.
net::Task<Result<ImapStatus>> run_upstream(ImapCore& core, std::vector<std::string> commands, FetchSink& sink,
                                           Deferred* deferred = nullptr);

/// The upper-case name of an item without its "<0>".
std::string canonical_name(std::string_view name);

struct ItemText {
  std::string text;
  bool nil = false;
  bool too_large = false;  ///< `text` is its first part
};
/// A string of any form, up to `max` octets; the rest is read and dropped.
net::Task<Result<ItemText>> read_text(ImapCore& core, const ImapFetchItem& item, std::size_t max);

/// Appends the visible form of a block, of the same size; its phantoms go to core.out.
void show_block(ImapCore& core, const mapping::Viewer& viewer, mapping::BlockKind kind,
                std::string_view block, std::string& out);
/// mapping::HeaderView::show_fields(); the phantoms go to core.out.
bool show_fields(ImapCore& core, const mapping::Viewer& viewer, const mapping::FieldSet& reported,
                 std::string_view fields, std::string& out, std::string& original);
mapping::Viewer viewer_of(const ImapCore& core, std::string_view header_block);

/// RFC 9051 §6.4.5.1: the named fields in the order of the block, and its empty line.
std::string filter_fields(std::string_view block, const std::vector<std::string>& names, bool without);
/// What a client gets of a block: the fields, and of these the octets that it asked for.
std::string block_answer(const FetchItem& item, std::string_view visible);

/// "LABEL {5}\r\noctets"
void append_item(std::string& text, std::string_view name, std::string_view value);
void append_literal(std::string& text, std::string_view label, std::string_view octets);

/// "UID FETCH 5 (UID FLAGS)"
std::string fetch_command(bool uid, std::string_view set, std::string_view items,
                          std::string_view modifiers = {});

/// What is known of one message before its parts are shown.
struct MessageFacts {
  std::uint32_t number = 0;
  std::uint32_t uid = 0;
  mapping::Viewer viewer;
  std::vector<mapping::ContentKind> kinds;  ///< one for each of FactTable::asks
};
struct FactTable {
  std::vector<std::string> asks;  ///< of items of FetchKind::content and FetchKind::part_header
  std::vector<MessageFacts> messages;
  bool renumbered = false;  ///< numbers may be wrong: UIDs only

  [[nodiscard]] const MessageFacts* find(std::uint32_t uid, std::uint32_t number) const;
  [[nodiscard]] const mapping::ContentKind* kind(const MessageFacts& facts, std::string_view ask) const;
};

/// A place in one section of a message, from which a later partial fetch goes on.
struct FetchPlace {
  std::uint32_t uid = 0;
  std::uint32_t number = 0;
  std::uint64_t renumbered = 0;
  std::string ask;
  mapping::VisibleMessage walker;
  std::uint64_t fed = 0;  ///< octets of the upstream that it has taken
  std::string pending;    ///< what it has shown beyond the last answer
  bool ended = false;     ///< `fed` is the whole
};

struct FetchMemory::State {
  // For which these things hold.
  std::string selected;
  mapping::Routes routes;

  // The last message that was fetched alone.
  std::uint32_t uid = 0;
  std::uint32_t number = 0;
  std::uint64_t renumbered = 0;
  bool has_viewer = false;
  mapping::Viewer viewer;
  mapping::ContentKind text;  ///< of its BODY[TEXT]
  std::string structure;      ///< of the upstream; empty: not known

  std::vector<FetchPlace> places;

  /// Forgets what belongs to another mailbox or to other routes.
  void renew(const ImapCore& core);
  [[nodiscard]] bool is_last(const ImapCore& core, bool by_uid, std::uint32_t key) const;
  /// Makes this message the last one; what was known of another goes.
  void begin(const ImapCore& core, std::uint32_t message_uid, std::uint32_t message_number);
};

/// The facts of each message of the set: one command at the upstream, or none when memory has them. Its
/// status when that was not OK, Errc::limit for too many.
struct FactsResult {
  ImapStatus status;
  FactTable table;
  bool too_many = false;
};
net::Task<Result<FactsResult>> gather_facts(ImapCore& core, FetchMemory::State& memory,
                                            const FetchRequest& request, bool uid);

/// Answers items that are not partial streams.
net::Task<Result<ImapStatus>> answer_items(ImapCore& core, FetchMemory::State& memory,
                                           const FetchRequest& request, std::vector<FetchItem> items,
                                           const FactTable& facts, bool uid);

/// One partial stream of one message, with plain items beside it. `facts`: for FetchKind::content.
net::Task<Result<ImapStatus>> answer_partial(ImapCore& core, FetchMemory::State& memory, bool uid,
                                             std::uint32_t key, FetchItem item, std::vector<FetchItem> plain,
                                             const MessageFacts* facts, mapping::ContentKind kind);

}  // namespace kage::proxy
