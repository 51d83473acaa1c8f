// What a batch has encoded is read again, to tell keys and reading commands.
#include "net/redis_rounds.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/text.h"

namespace kage::net {
namespace {

constexpr std::string_view kReading[] = {"EXISTS", "GET", "GETRANGE", "HGETALL", "HMGET"};

/// Takes the words out of what RedisBatch has encoded.
class Words {
 public:
  explicit Words(std::string_view encoded) : rest_(encoded) {}

  [[nodiscard]] bool ended() const { return rest_.empty(); }
  std::size_t count() { return number(); }
  std::string_view word() {
    const std::size_t size = number();
    const std::string_view word = rest_.substr(0, size);
    skip(size + 2);
    return word;
  }
  [[nodiscard]] std::string_view rest() const { return rest_; }

 private:
  /// "*3\r\n", "$5\r\n"
  std::size_t number() {
    const std::size_t end = std::min(rest_.find('\r'), rest_.size());
    const auto value = parse_number(end > 0 ? rest_.substr(1, end - 1) : std::string_view());
    skip(end + 2);
    return static_cast<std::size_t>(value.value_or(0));
  }
  void skip(std::size_t size) { rest_.remove_prefix(std::min(size, rest_.size())); }

  std::string_view rest_;
};

RedisRounds::Part& part_for(std::vector<RedisRounds::Part>& parts, const Endpoint& server) {
  const auto found = std::ranges::find(parts, server, &RedisRounds::Part::server);
  return found != parts.end() ? *found : parts.emplace_back(server);
}

}  // namespace

RedisRounds::RedisRounds(RedisBatch batch) : batch_(std::move(batch)) {
  commands_.reserve(batch_.size());
  replies_.resize(batch_.size());
  Words words(batch_.encoded());
  while (commands_.size() < batch_.size()) {
    const std::string_view from = words.rest();
    const std::size_t count = words.count();
    std::string_view name;
    std::optional<std::uint16_t> slot;
    for (std::size_t i = 0; i < count; ++i) {
      const std::string_view word = words.word();
      if (i == 0) name = word;
      if (i == (name == "EVAL" ? 3U : 1U)) slot = redis_slot(word);
    }
    const bool reads = std::ranges::find(kReading, name) != std::end(kReading);
    commands_.push_back(
        {from.substr(0, from.size() - words.rest().size()), slot, reads, State::waiting, false, {}});
  }
}

/// A read has to see what stands before it in its slot, which is on its way to another place.
bool RedisRounds::has_to_wait(const Command& command, const Endpoint* server,
                              const std::vector<Unsettled>& before) {
  if (!command.reads || !command.slot) return false;
  return std::ranges::any_of(before, [&](const Unsettled& other) {
    return other.slot == *command.slot && (!command.redirected || !(*other.server == *server));
  });
}

Result<std::vector<RedisRounds::Part>> RedisRounds::next(const RedisSlotMap& map) {
  moved_.reset();
  std::vector<Part> parts;
  std::vector<Unsettled> unsettled;
  for (std::size_t i = 0; i < commands_.size(); ++i) {
    Command& command = commands_[i];
    const Endpoint* server = command.slot ? map.server_of(*command.slot) : &map.servers.front();
    if (command.state == State::asking) server = &command.ask;
    if (server == nullptr) return fail(Errc::unavailable, "Redis: a slot without a server");
    if (has_to_wait(command, server, unsettled)) {
      if (command.state == State::answered) command.state = State::waiting;
      continue;
    }
    if (command.state == State::answered) continue;
    if (command.redirected && command.slot) unsettled.push_back({*command.slot, server});
    Part& part = part_for(parts, *server);
    if (command.state == State::asking) {
      part.batch.add({"ASKING"});
      part.places.push_back(kNoPlace);
    }
    part.batch.add_encoded(command.encoded);
    part.places.push_back(i);
  }
  return parts;
}

void RedisRounds::take(const Part& part, std::vector<RedisReply> replies) {
  for (std::size_t i = 0; i < part.places.size() && i < replies.size(); ++i) {
    if (part.places[i] == kNoPlace) continue;
    Command& command = commands_[part.places[i]];
    if (auto redirect = read_redirect(replies[i], part.server)) {
      command.state = redirect->ask ? State::asking : State::waiting;
      command.redirected = true;
      command.ask = std::move(redirect->server);
      if (!redirect->ask) moved_ = part.server;
      continue;
    }
    command.state = State::answered;
    command.redirected = false;
    replies_[part.places[i]] = std::move(replies[i]);
  }
}

}  // namespace kage::net
