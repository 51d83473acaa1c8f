// Choosing whose eyes see a message, from its header.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "mapping/routes/table.h"

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

}  // namespace kage::mapping
