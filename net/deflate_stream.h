// A stream whose octets are compressed on the way: COMPRESS=DEFLATE (RFC 4978), raw deflate without a header.
//
// Every write is flushed, so that the peer sees all of it. A read gives at most one shared buffer, however
// much is packed into what came, and others on the loop have a turn before the next. After some idle seconds
// the compressor is gone and of the decompressor only the octets that the peer may still refer to are left.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "net/stream.h"

namespace kage::net {

/// Takes `lower` over, in both directions. `already_read`: compressed octets that were read before.
/// Errc::protocol from read() when the peer's octets are no deflate stream.
StreamPtr make_deflate_stream(StreamPtr lower, std::string already_read, Millis idle = Millis(5000));

/// Octets that the stream keeps for (de)compression now; nothing when it is no deflate stream.
std::optional<std::size_t> deflate_memory(const Stream& stream);

}  // namespace kage::net
