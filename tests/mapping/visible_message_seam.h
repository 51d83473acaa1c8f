// A stand-in for HeaderView whose output tells what it was asked: the walker is tested without the policy.
// Linked in place of the real one.
#pragma once

#include <string>
#include <string_view>

#include "mapping/visible_message.h"

namespace kage::mapping::test {

/// What the stand-in makes of a block: letters rotated, '@' gone, and the first octet names the kind.
std::string stand_in(BlockKind kind, std::string_view block);

/// Makes the next show() return another size than it must.
extern bool broken_show;

/// A member and routes that only have an identity. "X-Own: yes" in a header makes the message the member's
/// own.
Audience audience();

}  // namespace kage::mapping::test
