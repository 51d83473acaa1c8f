// Lines of 76 characters are 57 octets each.
#include "message/base64_lines.h"

#include "base/text.h"

namespace kage::message {

void append_base64_lines(std::string& out, std::string_view octets) {
  for (std::size_t at = 0; at < octets.size(); at += kBase64LineOctets) {
    out.append(base64(octets.substr(at, kBase64LineOctets))).append("\r\n");
  }
}

}  // namespace kage::message
