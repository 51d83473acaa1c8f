// RESP2 replies from bytes, by hiredis' reader. Internal to net.
//
// Bounded: a reply that is too large, too wide or too deep ends the connection.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "base/result.h"
#include "net/redis.h"

struct redisReader;

namespace kage::net {

class RedisParser {
 public:
  static constexpr std::size_t kMaxReplyOctets = 64UL * 1024 * 1024;
  static constexpr int kMaxElements = 1 << 20;

  RedisParser();

  /// Adds bytes from the connection.
  Result<> feed(std::string_view bytes);

  /// The next whole reply; nothing when more bytes are needed. Errc::protocol or Errc::limit.
  Result<std::optional<RedisReply>> next();

 private:
  struct Free {
    void operator()(redisReader* reader) const;
  };
  std::unique_ptr<redisReader, Free> reader_;
  std::size_t pending_ = 0;  // octets fed since the last whole reply
};

}  // namespace kage::net
