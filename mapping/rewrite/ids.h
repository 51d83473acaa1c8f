// Message ids on their way across (contract R4.6): sealed under the member's key, opened when they come back.
#pragma once

#include <string>
#include <string_view>

#include "mapping/rewrite/header.h"
#include "mapping/rewrite/rewrite.h"

namespace kage::mapping {

/// An id as `member` may see it: its own outward ids are opened, another member's stay, all else is sealed at
/// the phantom domain.
std::string id_towards_member(const RouteTable& routes, const Member& member, std::string_view id);

/// Whether it is what correspondents see of one of `member`'s own ids.
bool is_made_by(const RouteTable& routes, const Member& member, std::string_view id);

/// Whether an address in a message that `member` fetches stays as it is: the member's mailbox, a public
/// address of ours, or an address at a phantom domain, where nobody real has one.
bool stays_in_view(const RouteTable& routes, const Member& member, const std::string& canonical);

/// Writes an id of a message that `member` fetches behind `out`: as id_towards_member, but what carries a
/// phantom domain came through this gateway and stays.
void append_id_in_view(std::string& out, const RouteTable& routes, const Member& member, std::string_view id);

/// What append_id_in_view() gives for an id of so many octets is never longer.
std::size_t longest_id_in_view(const Member& member, std::size_t octets);

/// An id of 16 characters at the phantom domain, irreversible, for where no room is.
std::string short_id(const Member& member, std::string_view id);

/// A Content-ID of the same length in which nothing names a host or holds an address: letters and digits
/// behind the '@' are others. One without '@', and Outlook's, which has a time there, stay as they are.
std::string masked_content_id(const Member& member, std::string_view id);

/// To whom an outward copy goes, as far as ids care.
struct IdAudience {
  const RouteTable& routes;
  const Member& member;
  std::string domain;  ///< the correspondent's, canonical
  bool only_own;       ///< several correspondents who must not learn of each other: ids of other domains stay
                       ///< sealed
  std::string_view answered = {};  ///< opened all the same: what the correspondent wrote, most probably
  std::string_view mailbox = {};   ///< canonical: who has this mailbox sees the own ids again
};

/// An id as the correspondent may see it: ids that it can know already are opened, ids of ours at a public
/// domain stay, under a member's seal too, since they name no host; all else is sealed at the public domain.
std::string id_towards_correspondent(const IdAudience& to, std::string_view id);

}  // namespace kage::mapping
