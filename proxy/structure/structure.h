// ENVELOPE, BODY and BODYSTRUCTURE as the member sees them (RFC 9051 §7.5.2, contract R8.2). Pure.
//
// What the upstream says stays octet for octet wherever the visible header has the same fields as the
// original; what was written anew is told from the visible header. So it is always what a parser would make
// of what BODY[] gives.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kage::proxy {

/// `upstream`: the value of ENVELOPE as it came, parentheses included. `original`, `visible`: the header
/// block before and after. `utf8`: UTF-8 may stand in quoted strings. Errc::protocol: `upstream` is no
/// envelope.
Result<std::string> visible_envelope(std::string_view upstream, std::string_view original,
                                     std::string_view visible, bool utf8);

/// A block that has to be known before a structure can be shown.
struct NeededBlock {
  std::string section;  ///< "2.MIME" (header of part 2), "2.HEADER" (of the message in part 2), "HEADER"
  bool operator==(const NeededBlock&) const = default;
};
/// Which blocks a structure's sensitive places come from: nested envelopes, and parts whose parameters, id,
/// description, disposition, language or location hold anything that might be changed. Empty for most
/// messages. Errc::protocol: not a body structure; Errc::limit: nested or long beyond bounds.
Result<std::vector<NeededBlock>> needed_blocks(std::string_view upstream);

struct KnownBlock {
  std::string section;
  std::string original;
  std::string visible;
};
/// `blocks`: all that needed_blocks() named. A block that the upstream did not give is passed with both texts
/// empty: the places that come from it are then NIL.
Result<std::string> visible_structure(std::string_view upstream, const std::vector<KnownBlock>& blocks,
                                      bool utf8);

/// The kind of the content of one section ("2", "2.TEXT", "TEXT"), told from a BODYSTRUCTURE: for
/// mapping::VisibleMessage::content(). not_found: there is no such section.
struct SectionContent {
  std::string type;      ///< "multipart", "message", "text", …; lower case
  std::string subtype;   ///< lower case
  std::string boundary;  ///< of a multipart, as a Content-Type would say it: "; boundary=\"a b\""
  std::string encoding;  ///< lower case
};
Result<SectionContent> section_content(std::string_view structure, std::string_view section);

}  // namespace kage::proxy
