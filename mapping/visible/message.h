// A message, or the content of one of its parts, as a member sees it: a stream that replaces every header
// block in it by its visible form, octet for octet of the same length, and passes everything else.
//
// Pure state machine, fed in any cuts. Holds at most one header block (256 kB; a longer one is replaced by
// filler as it streams), a stack of boundaries (32 levels; deeper content is blanked), and nothing of bodies.
// Copyable: a copy is a place in the message from which a later partial fetch goes on.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mapping/visible/header.h"
#include "mapping/visible/kind.h"

namespace kage::mapping {

/// The members that one login may see with; `routes` keeps them alive.
struct Audience {
  Routes routes;
  std::vector<const Member*> members;
};

class VisibleMessage {
 public:
  /// A whole message (BODY[], RFC822, RETR): the viewer is chosen from its header.
  static VisibleMessage whole(HeaderView& view, const Audience& audience);
  /// What stands behind a header block that the caller has (BODY[TEXT], BODY[2], BODY[2.TEXT]).
  static VisibleMessage content(HeaderView& view, const Viewer& viewer, ContentKind kind);

  VisibleMessage(const VisibleMessage&);
  VisibleMessage& operator=(const VisibleMessage&);
  VisibleMessage(VisibleMessage&&) noexcept;
  VisibleMessage& operator=(VisibleMessage&&) noexcept;
  ~VisibleMessage();

  /// Takes octets from the front of `input` and returns octets to show: a part of `input` itself, or of a
  /// buffer that is valid until the next call. Call it until `input` is empty; an empty result means that it
  /// took what there was and wants more.
  [[nodiscard]] std::string_view next(std::string_view& input);
  /// The message has ended: what is still held, in its visible form. Call it until the result is empty. In
  /// all as many octets come out as went in.
  [[nodiscard]] std::string_view finish();

  /// Octets taken and not returned yet (a header block in progress).
  [[nodiscard]] std::size_t held() const;

  /// Phantoms shown since the last call, to be stored before the octets are (R4.4).
  [[nodiscard]] std::vector<PhantomWrite> take_fresh();

 private:
  struct State;
  explicit VisibleMessage(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace kage::mapping
