// The parameters of Content-Type and Content-Disposition as body structures list them. Internal to this
// folder. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/structure/value.h"

namespace kage::proxy {

/// The parameter list at `node`: parameters that are the same in both fields as the upstream tells them, the
/// others from the visible one. Servers join the pieces of RFC 2231, or list each: as the upstream does.
std::string write_parameters(const ImapValue& value, std::uint32_t node, std::string_view original,
                             std::string_view visible, bool utf8);

}  // namespace kage::proxy
