// The one report that a member gets of the copies of a message that were refused for good: multipart/report
// (RFC 6522, RFC 3464) with a text for people in English and Japanese.
//
// It names phantoms and public addresses, never a real address, and says nothing in a next hop's words:
// those may hold addresses (contract R3.1, R3.2). Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mapping/routes/table.h"

namespace kage::submission {

struct RefusedCopy {
  std::string address;  ///< phantom, or the public address whose member could not be reached
  std::size_t position =
      0;               ///< which of the message's recipients it was, from 1; 0: a member behind `address`
  std::string status;  ///< RFC 3463, class 5
};

struct Report {
  const mapping::Member& member;      ///< who wrote the message, and gets the report
  const mapping::RouteTable& routes;  ///< the snapshot that the member is of
  std::string_view hostname;          ///< ours
  std::string_view seed;              ///< the same for each try of one report: makes its Message-ID
  std::string_view subject;           ///< the message's field bodies as the member wrote them; may be empty
  std::string_view date;
  std::string_view message_id;  ///< without brackets; may be empty
  std::size_t recipients = 0;   ///< of the message
  std::int64_t now = 0;         ///< seconds
  std::vector<RefusedCopy> refused;
};

/// CRLF line ends; 7-bit whatever the message was.
struct ReportMail {
  std::string header;  ///< without the empty line
  std::string body;
};
ReportMail write_report(const Report& report);

/// The author of what this system says itself: the domain's postmaster where there is one (RFC 3464 §2: not a
/// person), else the member's own public address. Both are shown as they are when the member reads the
/// message through the proxy.
std::string mail_system(const mapping::RouteTable& routes, const mapping::Member& member);

/// What a status means, in plain words.
struct Reason {
  std::string_view english, japanese;
};
Reason reason_of(std::string_view status);

}  // namespace kage::submission
