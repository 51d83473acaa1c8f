// The dot codec: any cut gives the same, only CRLF "." CRLF ends the data, encoding is undone by decoding.
// The first two octets of the input choose where to cut.
#include <algorithm>
#include <string>

#include "message/dot_codec.h"
#include "tests/fuzz/fuzz.h"

namespace {

using kage::fuzz::require;
using namespace kage::message;

struct Decoded {
  std::string out;
  std::size_t consumed = 0;
  bool finished = false;
  bool bare = false;
  bool operator==(const Decoded&) const = default;
};

Decoded decode(std::string_view wire, std::size_t step) {
  DotDecoder decoder;
  Decoded result;
  while (result.consumed < wire.size() && !result.finished) {
    const std::size_t before = result.out.size();
    const std::string_view piece = wire.substr(result.consumed, step);
    const auto done = decoder.decode(piece, result.out);
    require(done.consumed <= piece.size() && (done.finished || done.consumed == piece.size()),
            "all input is used");
    require(result.out.size() - before <= piece.size() + 2, "the output is bounded");
    result.consumed += done.consumed;
    result.finished = done.finished;
  }
  result.bare = decoder.bare_line_end();
  return result;
}

std::string encode(std::string_view message, std::size_t step) {
  DotEncoder encoder;
  std::string out;
  for (std::size_t at = 0; at < message.size(); at += step) encoder.encode(message.substr(at, step), out);
  encoder.finish(out);
  return out;
}

bool bare(std::string_view message, std::size_t step) {
  LineEndCheck check;
  for (std::size_t at = 0; at < message.size(); at += step) check.feed(message.substr(at, step));
  return check.bare(true);
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::size_t a = data[0] % 64 + 1U;
  const std::size_t b = data[1] % 7 + 1U;
  const std::string_view text = kage::fuzz::text_of(data + 2, size - 2);

  const Decoded whole = decode(text, text.size() + 1);
  require(decode(text, a) == whole && decode(text, b) == whole, "decoding does not depend on the cut");
  const bool at_once = text.starts_with(".\r\n");
  const std::size_t end = at_once ? 0 : text.find("\r\n.\r\n");
  const std::size_t used = at_once ? 3 : end + 5;
  require(whole.finished == (end != std::string_view::npos), "only CRLF . CRLF ends the data");
  require(!whole.finished || whole.consumed == used, "what follows the end is not touched");

  const bool is_bare = bare(text, text.size() + 1);
  require(bare(text, a) == is_bare && bare(text, b) == is_bare, "the check does not depend on the cut");
  const std::string wire = encode(text, text.size() + 1);
  require(encode(text, a) == wire && encode(text, b) == wire, "encoding does not depend on the cut");
  if (is_bare) return 0;
  const Decoded back = decode(wire, a);
  const std::string message = std::string(text) + (text.empty() || text.ends_with("\r\n") ? "" : "\r\n");
  require(back.finished && !back.bare && back.consumed == wire.size() && back.out == message,
          "decoding undoes encoding");
  return 0;
}
