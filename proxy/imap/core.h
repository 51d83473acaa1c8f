// What the commands of one logged-in IMAP session work with: both connections and the few facts that they
// share.
//
// The session sends the upstream one client command at a time and reads its answer to the end: so every
// response belongs to a command that is known. Tags towards the upstream are the session's own.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "mapping/store/directory.h"
#include "mapping/visible/message.h"
#include "net/buffered_reader.h"
#include "net/stream.h"
#include "proxy/client_out.h"
#include "proxy/imap/reader.h"

namespace kage::proxy {

struct ImapCore {
  net::Loop& loop;
  mapping::Directory& directory;
  mapping::HeaderView& view;
  net::Stream* client;
  net::BufferedReader& client_reader;
  ClientOut& out;
  net::Stream* upstream;
  ImapReader& in;

  std::string login{};
  mapping::Audience audience{};     ///< renewed between commands when the routes changed
  std::string_view capabilities{};  ///< of the upstream, upper case, with a space at both ends
  bool utf8 = false;                ///< UTF8=ACCEPT or IMAP4rev2 was enabled
  bool gmail = false;               ///< X-GM-EXT-1 is offered
  bool selected = false;            ///< a mailbox is open
  std::uint32_t exists = 0;         ///< messages in it
  std::uint64_t renumbered = 0;     ///< counts EXPUNGE and VANISHED: numbers from before mean other messages
  std::uint64_t selection = 0;  ///< counts SELECTs: what is remembered of a mailbox is void when it differs
  net::Millis timeout{60'000};  ///< for the upstream to go on with an answer
  std::uint64_t last_tag = 0;

  [[nodiscard]] bool upstream_can(std::string_view capability) const {
    return capabilities.find(" " + std::string(capability) + " ") != std::string::npos;
  }
  std::string new_tag() { return "k" + std::to_string(++last_tag); }
};

/// The end of a command: OK, NO or BAD and its text (response code included), already fit for the client; the
/// session writes it behind the client's tag.
struct ImapStatus {
  std::string name;
  std::string text;
};

/// Which untagged responses and response codes pass, and how (contract R8.4): appends to `out` what the
/// client is to get, or nothing. Keeps core.exists up to date. Not for FETCH.
void pass_untagged(ImapCore& core, const ImapResponse& response);
/// The same, FETCH included. A BYE, which tells of the end of the connection, is an error (Errc::closed).
net::Prompt<Result<>> pass_response(ImapCore& core, const ImapResponse& response);
/// How the command with this tag ended; nothing for an untagged response. Errc::protocol: a continuation, or
/// the end of another command.
Result<std::optional<ImapStatus>> end_of_command(const ImapResponse& response, std::string_view tag);
/// Text behind OK, NO, BAD: its response code when it is a known one, and human text that holds no
/// address.
std::string pass_status_text(std::string_view text);

/// Reads a FETCH response that nobody asked for, and passes FLAGS, UID, MODSEQ and their like.
net::Task<Result<>> pass_unsolicited_fetch(ImapCore& core, std::uint32_t number);

/// Reads responses until the tagged one; passes the untagged ones, with unsolicited FETCH items cut to FLAGS,
/// UID, MODSEQ and their like. For commands whose answer needs nothing else. `watch`, which outlives the
/// task: called for each untagged response but FETCH first; true: it took it.
using ImapWatch = std::move_only_function<bool(const ImapResponse&)>;
net::Task<Result<ImapStatus>> relay(ImapCore& core, std::string tag, ImapWatch* watch = nullptr);

/// What has to be said before each read: the upstream has core.timeout from now on.
inline void expect_answer(ImapCore& core) {
  if (!core.in.has_more()) core.upstream->set_timeout(core.timeout);
}
/// Writes what was gathered when that is worth it, or when the upstream has nothing more to say just now.
net::Task<Result<>> flush_if_due(ImapCore& core);

/// Whether an item of FETCH tells nothing that is rewritten: FLAGS, UID, MODSEQ and their like.
/// `gmail`: X-GM-EXT-1 is offered.
bool is_plain_fetch_item(bool gmail, std::string_view name);

}  // namespace kage::proxy
