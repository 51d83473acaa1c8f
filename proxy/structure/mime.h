// The places of a body structure, and its fields as the visible header has them. Internal to this folder.
// Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "proxy/structure/slots.h"
#include "proxy/structure/value.h"

namespace kage::proxy {

/// A body within a structure, before it is described.
struct BodyPlace {
  std::uint32_t node = 0;
  std::string header;      ///< the block that its MIME fields stand in: "HEADER", "2.MIME", "2.HEADER"
  std::string base;        ///< what the numbers of its parts are appended to; empty at the top
  bool in_message = true;  ///< the body of a message: as a single part it is number 1 of it
};

/// One body, its elements by their meaning; kNone where the upstream gave none.
struct Body {
  static constexpr std::uint32_t kNone = ImapValue::kNone;
  bool multipart = false;
  bool message = false;           ///< with envelope and body
  std::vector<BodyPlace> parts;   ///< of a multipart; of a message: its body
  std::uint32_t type = kNone;     ///< single part
  std::uint32_t subtype = kNone;  ///< both
  std::uint32_t parameters = kNone;
  std::uint32_t id = kNone;
  std::uint32_t description = kNone;
  std::uint32_t encoding = kNone;
  std::uint32_t octets = kNone;
  std::uint32_t envelope = kNone;
  std::uint32_t lines = kNone;
  std::uint32_t md5 = kNone;
  std::uint32_t disposition = kNone;
  std::uint32_t language = kNone;
  std::uint32_t location = kNone;
};

/// Errc::protocol: no body structure.
Result<Body> describe_body(const ImapValue& value, const BodyPlace& place);

/// Whether this slot's strings may be shown otherwise than the upstream tells them.
bool is_sensitive(const ImapValue& value, std::uint32_t node, Slot slot);

/// The slot as the member sees it. `fields`: null when no block was needed.
std::string write_mime_slot(const ImapValue& value, std::uint32_t node, Slot slot, const SlotPair* fields,
                            bool utf8);

}  // namespace kage::proxy
