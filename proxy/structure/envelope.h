// ENVELOPE within a value that was parsed. Internal to this folder; visible_envelope() is the way in.
#pragma once

#include <cstdint>
#include <string>

#include "proxy/structure/slots.h"
#include "proxy/structure/value.h"

namespace kage::proxy {

/// ENVELOPE at `node`.
Result<std::string> write_envelope(const ImapValue& value, std::uint32_t node, const SlotPair& fields,
                                   bool utf8);

}  // namespace kage::proxy
