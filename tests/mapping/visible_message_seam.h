// A stand-in for HeaderView whose output tells what it was asked: the walker is tested without the policy.
// Linked in place of the real one.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "mapping/visible/message.h"

namespace kage::mapping::test {

/// What the stand-in makes of a block: letters rotated, '@' gone, and the first octet names the kind.
std::string stand_in(BlockKind kind, std::string_view block);

/// Makes the next show() return another size than it must.
extern bool broken_show;

/// A member and routes that only have an identity. "X-Own: yes" in a header makes the message the member's
/// own.
Audience audience();

using Make = std::function<VisibleMessage(HeaderView&)>;
extern const Make kWhole;
Make content_of(ContentKind kind);

void feed(VisibleMessage& walker, std::string_view piece, std::string& out);
void finish(VisibleMessage& walker, std::string& out);
/// The whole message in pieces of `step` octets.
std::string run(const Make& make, std::string_view message, std::size_t step);
/// In two pieces, with a copy of the walker that goes on with the second one as well.
std::string run_cut(const Make& make, std::string_view message, std::size_t cut);
/// Checks the output for many cuts, every `stride`-th of the cuts in two.
void check_cuts(const Make& make, std::string_view message, std::string_view expected,
                std::size_t stride = 1);

}  // namespace kage::mapping::test
