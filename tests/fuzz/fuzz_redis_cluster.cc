// What servers of a Redis Cluster may answer: a map of slots first, then answers to a batch, round after
// round. The map is bounded and whole; whatever is sent on, each command is in one place at a time, and in
// the end has one answer that is no redirection.
#include <algorithm>
#include <string>
#include <vector>

#include "net/redis_protocol.h"
#include "net/redis_rounds.h"
#include "net/redis_slots.h"
#include "tests/fuzz/fuzz.h"

namespace {

using kage::fuzz::require;
using namespace kage::net;

const Endpoint kAsked{"192.0.2.9", 7009};

void check_server(const Endpoint& server) {
  require(server.port != 0 && !server.host.empty() && server.host.size() <= 255,
          "a server has a name and a port");
  require(server.host.find_first_of(" \r\n@/") == std::string::npos, "a name is a name");
}

void check_map(const RedisSlotMap& map) {
  require(!map.servers.empty() && map.servers.size() <= RedisSlotMap::kMostServers, "servers are bounded");
  for (const Endpoint& server : map.servers) check_server(server);
  require(std::ranges::adjacent_find(map.servers) == map.servers.end(), "a server is there once");
  for (const std::uint16_t owner : map.owner) {
    require(owner == RedisSlotMap::kNobody || owner < map.servers.size(), "owners are servers");
  }
}

RedisBatch a_batch() {
  RedisBatch batch;
  batch.add({"GET", "{kage}:gen"});
  batch.add({"SET", "kage:k:{a}", "owner", "NX"});
  batch.add({"HMGET", "kage:l:{a}", "copy"});
  batch.add({"EVAL", "return 1", "1", "kage:p:b", "value"});
  batch.add({"PING"});
  return batch;
}

/// The next answers of the stream; nothing when there are no more.
std::vector<RedisReply> take_replies(RedisParser& parser, std::size_t count) {
  std::vector<RedisReply> replies;
  while (replies.size() < count) {
    auto reply = parser.next();
    if (!reply || !*reply) return {};
    replies.push_back(std::move(**reply));
  }
  return replies;
}

void check_rounds(RedisParser& parser, const RedisSlotMap& map) {
  const std::size_t commands = a_batch().size();
  RedisRounds rounds(a_batch());
  for (;;) {
    auto parts = rounds.next(map);
    if (!parts) return;
    if (parts->empty()) break;
    std::vector<bool> there(commands);
    for (const auto& part : *parts) {
      check_server(part.server);
      require(part.places.size() == part.batch.size(), "each command has a place");
      for (const std::size_t place : part.places) {
        if (place == RedisRounds::kNoPlace) continue;
        require(place < commands && !there[place], "a command is sent once a round");
        there[place] = true;
      }
    }
    for (const auto& part : *parts) {
      auto replies = take_replies(parser, part.places.size());
      if (replies.empty()) return;
      rounds.take(part, std::move(replies));
    }
  }
  const std::vector<RedisReply> replies = std::move(rounds).replies();
  require(replies.size() == commands, "each command has an answer");
  for (const RedisReply& reply : replies)
    require(!read_redirect(reply, kAsked), "no answer is a redirection");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  RedisParser parser;
  if (!parser.feed(kage::fuzz::text_of(data, size))) return 0;
  const auto slots = parser.next();
  if (!slots || !*slots) return 0;
  const auto map = read_slot_map(**slots, kAsked);
  if (!map) return 0;
  check_map(*map);
  check_rounds(parser, *map);
  return 0;
}
