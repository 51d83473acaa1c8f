// Running the commands of a FETCH at the upstream, and reading the items of its responses.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/imap/core.h"

namespace kage::proxy {

/// What takes the FETCH responses of a command.
class FetchSink {
 public:
  virtual ~FetchSink() = default;
  /// Reads the items of one response with core.in.next_item().
  virtual net::Task<Result<>> message(std::uint32_t number) = 0;
};

/// A sink that wants some items only. UID is read. Of the others, what tells nothing that is rewritten
/// reaches the client in a response of its own when it has flags, which the upstream says once, or when
/// nothing that is wanted came with it.
class ItemSink : public FetchSink {
 public:
  explicit ItemSink(ImapCore& core) : core_(core) {}
  net::Task<Result<>> message(std::uint32_t number) final;

 protected:
  /// Reads an item, called `name` in canonical_name(), when it is wanted; false when it is not.
  virtual net::Prompt<Result<bool>> take(const std::string& name, ImapFetchItem& item) = 0;
  /// All items of a response were read. `uid`: 0 when there was none.
  virtual void end(std::uint32_t number, std::uint32_t uid) = 0;

  ImapCore& core_;
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

/// "UID FETCH 5 (UID FLAGS)"
std::string fetch_command(bool uid, std::string_view set, std::string_view items,
                          std::string_view modifiers = {});

}  // namespace kage::proxy
