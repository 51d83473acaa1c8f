// Reads the upstream's answer to FETCH and makes the client's of it, item by item. Internal to
// answer_items().
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/imap_fetch_held.h"
#include "proxy/imap_fetch_state.h"

namespace kage::proxy {

class Answerer final : public FetchSink {
 public:
  Answerer(ImapCore& core, FetchMemory::State& memory, std::vector<FetchItem> items, const FactTable& facts,
           bool uid, bool single);

  net::Task<Result<>> message(std::uint32_t number) override;

  HeldResponses held;
  std::vector<std::uint32_t> again;  ///< messages whose structure found no room
  bool missed = false;               ///< something could not be told

 private:
  /// The response that is being read. One object for all of them: the strings keep their memory.
  struct Message {
    void begin(std::uint32_t its_number);

    std::uint32_t number = 0;
    std::uint32_t uid = 0;
    std::string text;    // gathered for the client
    bool begun = false;  // the client has its first part
    bool any = false;    // and there was something in it
    bool has_header = false;
    mapping::Viewer viewer;
    std::string original;  // header block
    std::string told;      // its fields that ENVELOPE tells of, where nothing else is told
    std::string visible;
    bool too_large = false;  // the header: nothing is told of it
    HeldResponse held;
  };

  net::Prompt<Result<>> on_item(ImapFetchItem& item);
  net::Task<Result<>> on_header(const ImapFetchItem& item);
  net::Task<Result<>> on_part(const ImapFetchItem& item, const std::string& ask);
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
  bool tells_uid_ = false;
  bool tells_envelope_ = false;
  bool tells_envelope_only_ = false;  ///< of all that is told from a header block
  Message m_;
};

}  // namespace kage::proxy
