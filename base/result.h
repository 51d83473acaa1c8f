// Results as values: every operation that can fail says so in its type.
//
// An Error carries a class that code decides on and a short text for operators. The text never holds an
// address, a message's content or a secret (contract R3.6, R9.5).
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace kage {

/// What went wrong, as far as the caller may act on it. Each value means one thing.
enum class Errc : std::uint8_t {
  closed,       ///< the peer ended the connection, or we closed it ourselves
  timed_out,    ///< a deadline passed
  unreachable,  ///< could not connect or resolve
  io,           ///< the operating system refused a read, write or file operation
  tls,          ///< handshake or certificate trouble
  protocol,     ///< the peer broke its protocol
  limit,        ///< a bound of ours was exceeded
  invalid,      ///< the input is not well-formed
  not_found,    ///< there is no such thing
  conflict,     ///< somebody else holds or changed it
  denied,       ///< credentials refused
  unavailable,  ///< a service that we need is not ready; trying again later makes sense
  refused,      ///< a server of ours answers and says no (Redis: "READONLY", "NOPERM")
  corrupt,      ///< stored data does not open under our keys
};

/// The lower-case name of an error class, for logs.
std::string_view to_string(Errc code);

struct [[nodiscard]] Error {
  Errc code;
  std::string detail;  ///< for operators; never an address
};

template <class T = void>
using Result = std::expected<T, Error>;

/// `return fail(Errc::closed);`
inline std::unexpected<Error> fail(Errc code, std::string detail = {}) {
  return std::unexpected(Error{code, std::move(detail)});
}

}  // namespace kage
