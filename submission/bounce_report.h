// A bounce of what a member wrote, as the member gets it: the words of other mail systems name the address
// that did not take the message, so the member gets ours instead, which name phantoms (contract R3.1, R4.7).
// Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mapping/rewrite/rewrite.h"
#include "mapping/routes/table.h"

namespace kage::submission {

/// Whether a message that came back to a bounce address is a mail system's report: multipart/report, or from
/// a mailer-daemon, or from nobody. What a person's mail system says in a person's name (an absence) is not.
bool is_delivery_report(const mapping::ParsedHeader& header);

/// What is read in the first octets of a report's body.
struct BounceReport {
  /// What a report is about: the worst that it tells.
  enum class Kind : std::uint8_t {
    failed,   ///< also where nothing can be read
    delayed,  ///< nobody is given up yet
    none,     ///< delivered, relayed: nobody asked for it
  };
  struct Copy {
    message::Address recipient;  ///< as it was written to, where the report tells (RFC 3464 §2.3.1)
    std::string status;          ///< RFC 3463; "5.0.0" or "4.0.0" where none is told
    bool delayed = false;        ///< the mail system goes on trying
  };
  Kind kind = Kind::failed;
  std::vector<Copy> copies;  ///< at most 20; failed or delayed
  /// Where no copy can be read, as in a carrier's report: what stands in its text before the message that is
  /// given back, at most 20, each once. The text may name anybody: only addresses whose phantom the member
  /// already has are reported, and none is created for it.
  std::vector<message::Address> mentioned;
};
BounceReport read_bounce_report(std::string_view body);

/// The header that replaces the report's: of it, Date and Message-ID are left.
std::string bounce_header(const mapping::ParsedHeader& header, const mapping::RouteTable& routes,
                          const mapping::Member& member, BounceReport::Kind kind);

/// The text, in English and Japanese. 7-bit, CRLF. Of `mentioned` everybody is named.
std::string bounce_body(const BounceReport& report, const mapping::Member& member);

/// Octets of a report's body that are looked at.
constexpr std::size_t kBounceRead = 65536;

}  // namespace kage::submission
