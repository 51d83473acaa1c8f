// RESP2 replies from bytes, by hiredis' reader. Internal to net.
//
// Bounded: a reply that is too large, has too many elements in all, or is too deep ends the connection.
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
  static constexpr std::size_t kMaxElements = 1UL << 20U;  // of a reply, on all its levels

  RedisParser();
  RedisParser(const RedisParser&) = delete;
  RedisParser& operator=(const RedisParser&) = delete;

  /// Adds bytes from the connection.
  Result<> feed(std::string_view bytes);

  /// The next whole reply; nothing when more bytes are needed. Errc::protocol; Errc::limit: too many
  /// elements, or no memory.
  Result<std::optional<RedisReply>> next();

 private:
  struct Free {
    void operator()(redisReader* reader) const;
  };
  std::unique_ptr<redisReader, Free> reader_;
  std::size_t pending_ = 0;   // octets fed since the last whole reply
  std::size_t elements_ = 0;  // of the reply that is being read; hiredis' tasks point to it
};

}  // namespace kage::net
