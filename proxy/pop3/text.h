// A message of RETR or TOP on its way from the server to the client: dots undone, made visible at constant
// size, dots done again. Pure; fed in any cuts.
//
// TOP gives a prefix of RETR by lines. Where the server's TOP ends within a header block, that block's
// visible form needs octets behind the end: the caller asks the server for more, and what is shown ends at
// the same line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mapping/visible/message.h"
#include "message/dot_codec.h"

namespace kage::proxy {

class Pop3Text {
 public:
  explicit Pop3Text(mapping::VisibleMessage message) : message_(std::move(message)) {}

  struct Step {
    std::size_t consumed = 0;  ///< octets of the input that were used
    bool ended = false;        ///< the server's answer has ended; what follows is not of it
  };
  /// Takes octets as the server sends them and appends octets for the client.
  Step feed(std::string_view wire, std::string& out);

  /// After the end of TOP: whether a header block is held whose rest is needed.
  [[nodiscard]] bool needs_more() const;
  /// The next answer fed is a longer TOP of the same message: its beginning is known, and what is shown ends
  /// where the first one did.
  void begin_longer();

  /// The message has ended: what is held, and the final dot.
  void finish(std::string& out);

  /// Phantoms shown since the last call.
  [[nodiscard]] std::vector<mapping::PhantomWrite> take_fresh() { return message_.take_fresh(); }

 private:
  void take(std::string_view octets, std::string& out);
  void show(std::string_view octets, std::string& out);

  mapping::VisibleMessage message_;
  message::DotDecoder decoder_;
  message::DotEncoder encoder_;
  std::string plain_;
  std::uint64_t fed_ = 0;        // octets of the message that were seen
  std::uint64_t lines_fed_ = 0;  // their lines
  std::uint64_t lines_shown_ = 0;
  std::uint64_t skip_ = 0;  // octets that come a second time
  bool limited_ = false;    // lines_fed_ says where to end
};

}  // namespace kage::proxy
