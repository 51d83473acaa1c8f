// What a member sees of a header block in its own mailbox, at constant size (contract R8.1, R8.2).
//
// A block of a fetched message becomes another of exactly as many octets and exactly as many lines: fields
// that may not cross go, addresses become phantoms, ids are sealed, and a filler field takes what is left.
// What is shown depends on the viewer and the block alone, so that every session, worker and node tells the
// same story.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mapping/rewrite/field_policy.h"
#include "mapping/routes/table.h"
#include "mapping/store/directory.h"

namespace kage::mapping {

/// Whose eyes a message is shown to. Both pointers live as long as the routes they come from.
struct Viewer {
  const RouteTable* routes = nullptr;
  const Member* member = nullptr;
  /// The member's own writing that never travelled (a draft, a copy in Sent): it reads as it was written. Its
  /// From is the member's mailbox or one of the login's public addresses, and no trace field (Received,
  /// Return-Path, Delivered-To, …) shows that a mail system handled it.
  bool own = false;
  /// Canonical address of the message's author where the policy shows it (contract R7.2); empty: nobody's is
  /// shown.
  std::string shown_author = {};
};

/// The member whose phantoms this message shows: the one of `members` (one login's, never empty) whose public
/// address stands in To, Cc or Delivered-To (then X-Original-To, Envelope-To); else the login's default,
/// which is the one with the lowest public address. `header_block`: of the whole message; bare LF is taken as
/// a line end.
Viewer choose_viewer(const RouteTable& routes, std::span<const Member* const> members,
                     std::string_view header_block);

/// The same where the front of a message tells it, which for a login with one public address it mostly does;
/// nothing where the whole header block is needed.
std::optional<Viewer> viewer_from_front(const RouteTable& routes, std::span<const Member* const> members,
                                        std::string_view front);

/// Names of the fields that decide how a message's header is shown, in upper case with a space between: all
/// that may cross, those by which choose_viewer() goes (`several`: for a login of several members), and two
/// that delivered messages have, which prove room (contract R8.1). The others only add to the room.
std::string deciding_fields(bool several);

/// Whether a field of this name may be the filler of a visible block.
bool is_filler(std::string_view name);

enum class BlockKind : std::uint8_t {
  message,  ///< header of a whole message, or of a message/rfc822 part
  part,     ///< MIME header of a body part
};

/// What a block says of the content behind it: the bodies of the first Content-Type and the first
/// Content-Transfer-Encoding, folds included. They lie in the block.
struct ContentFields {
  std::optional<std::string_view> type, encoding;
};
ContentFields content_fields(std::string_view block);

/// One for each worker: it keeps bounded caches of what was derived.
class HeaderView {
 public:
  HeaderView();
  ~HeaderView();
  HeaderView(const HeaderView&) = delete;
  HeaderView& operator=(const HeaderView&) = delete;

  /// Appends exactly block.size() octets to `out`. `block` ends with its empty line when it has one; one that
  /// was cut (a message without a body) may lack it. `fresh`: phantoms that are shown and must be in Redis
  /// before anybody sees them (R4.4); repeats are possible. Never fails: where there is no room, display
  /// names, comments, ids, the tail of References and excess recipients give way in steps, never privacy and
  /// never size. Fields of ENVELOPE give way last. Returns the step, 0 when everything had room; metrics
  /// count the others. `content`: gets content_fields() of the block, which are met on the way.
  unsigned show(const Viewer& viewer, BlockKind kind, std::string_view block, std::string& out,
                std::vector<PhantomWrite>& fresh, ContentFields* content = nullptr);

  /// For an ordinary block that `text` begins with and that its first empty line ends: appends what show()
  /// does and returns how large the block is. 0: it is not that ordinary, or goes on behind `text`; nothing
  /// was appended.
  std::size_t show_front(const Viewer& viewer, BlockKind kind, std::string_view text, std::string& out,
                         std::vector<PhantomWrite>& fresh, ContentFields& content);

  /// For a message of which the deciding_fields() alone were read. Appends those that `told` names, as show()
  /// writes them in the whole block, and the empty line, without a filler; `original` gets them as they came.
  /// False: one cannot know how show() writes them without the rest of the block; nothing was appended.
  bool show_fields(const Viewer& viewer, const FieldSet& told, std::string_view fields, std::string& out,
                   std::string& original, std::vector<PhantomWrite>& fresh);

  /// The Content-ID (without brackets) as the viewer sees it, of the same length; also what a `cid:` URL
  /// names.
  std::string content_id(const Viewer& viewer, std::string_view id);

  /// The routes changed: forgets everything.
  void clear();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kage::mapping
