// Names of the error classes.
#include "base/result.h"

namespace kage {

std::string_view to_string(Errc code) {
  switch (code) {
    case Errc::closed:
      return "closed";
    case Errc::timed_out:
      return "timed_out";
    case Errc::unreachable:
      return "unreachable";
    case Errc::io:
      return "io";
    case Errc::tls:
      return "tls";
    case Errc::protocol:
      return "protocol";
    case Errc::limit:
      return "limit";
    case Errc::invalid:
      return "invalid";
    case Errc::not_found:
      return "not_found";
    case Errc::conflict:
      return "conflict";
    case Errc::denied:
      return "denied";
    case Errc::unavailable:
      return "unavailable";
    case Errc::refused:
      return "refused";
    case Errc::corrupt:
      return "corrupt";
  }
  return "unknown";
}

}  // namespace kage
