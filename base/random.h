// Random bytes for keys, nonces and ids: always from OpenSSL's generator, never from <random>.
#pragma once

#include <cstddef>
#include <string>

namespace kage {

/// `size` unpredictable bytes. Ends the process when the system has no randomness: nothing may go on without.
std::string random_bytes(std::size_t size);

}  // namespace kage
