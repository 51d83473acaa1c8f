// Reads the upstream's answer to FETCH and makes the client's of it, item by item. Internal to
// answer_items().
//
// A response is answered here, at its end, when the header that came along is all that it is told from. One
// whose ENVELOPE came without a header, or whose structure needs blocks of its parts, goes to `held` with
// what was made of it so far, and HeldResponses::resolve() answers it after the command. Where `held` has no
// room, and where the fields of a header do not do, the message goes to `again`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/fetch/facts.h"
#include "proxy/fetch/held.h"
#include "proxy/fetch/memory.h"
#include "proxy/fetch/request.h"
#include "proxy/fetch/run.h"

namespace kage::proxy {

/// How much of a message's header the upstream is asked for.
enum class HeaderSource : std::uint8_t {
  fields,  ///< mapping::deciding_fields(): where these do not do, the message is asked for again
  whole,   ///< BODY[HEADER]
};

class Answerer final : public FetchSink {
 public:
  Answerer(ImapCore& core, FetchMemory::State& memory, std::vector<FetchItem> items, const FactTable& facts,
           bool uid, bool single, HeaderSource source);

  net::Task<Result<>> message(std::uint32_t number) override;

  HeldResponses held;
  std::vector<std::uint32_t> again;  ///< messages whose structure found no room, or that need a whole header
  bool missed = false;               ///< something could not be told

 private:
  /// What is known of the response that is being read, and goes with it.
  struct MessageState {
    std::uint32_t number = 0;
    std::uint32_t uid = 0;
    bool begun = false;  // the client has its beginning
    bool any = false;    // and there was something in it
    bool has_header = false;
    bool too_large = false;    // the header: nothing is told of it
    bool needs_whole = false;  // header: its fields do not do
    mapping::Viewer viewer;
  };
  /// The response itself. One object for all of them: the strings keep their memory.
  struct Message : MessageState {
    void begin(std::uint32_t its_number);

    std::string text;             // gathered for the client
    std::string unsolicited;      // of it, what was not asked for: the upstream says it once
    std::string original;         // header block
    std::string reported_fields;  // the fields of it that are reported, where it is not read whole
    std::string visible;
    HeldResponse held;
  };

  net::Prompt<Result<>> on_item(ImapFetchItem& item);
  net::Task<Result<>> on_header(const ImapFetchItem& item);
  net::Task<Result<>> on_fields(const ImapFetchItem& item);
  net::Task<Result<>> on_part_header(const ImapFetchItem& item, const std::string& ask);
  net::Prompt<Result<>> on_stream(const ImapFetchItem& item, const FetchItem& wanted);
  net::Task<Result<>> on_text(const ImapFetchItem& item, const FetchItem& wanted,
                              mapping::VisibleMessage walker);
  net::Task<Result<>> stream(const ImapFetchItem& item, const std::string& label,
                             mapping::VisibleMessage walker, std::string* prefix);
  net::Task<Result<>> flush_text();
  std::string part_block(const MessageFacts& facts, const std::string& ask, const std::string& block);
  void on_envelope(std::string_view value);
  void on_structure(const std::string& name, std::string value);
  void resolve_held();
  void tell_header(bool nil);
  void remember_header();
  void begin();
  void finish();
  [[nodiscard]] std::optional<mapping::VisibleMessage> walker_for(const FetchItem& wanted) const;

  ImapCore& core_;
  FetchMemory::State& memory_;
  const std::vector<FetchItem> items_;
  const FactTable& facts_;
  ImapFetchItem item_;
  const bool uid_;
  const bool single_;
  const HeaderSource source_;
  mapping::FieldSet reported_fields_;  ///< where fields are the source
  bool wants_uid_ = false;
  bool wants_envelope_ = false;
  Message m_;
};

}  // namespace kage::proxy
