// Slots, the map of slots, redirections, and batches on their way through a cluster.
#include "net/redis_rounds.h"
#include "net/redis_slots.h"

#include <catch2/catch.hpp>
#include <initializer_list>

#include "net/redis_protocol.h"

namespace kage::net {
namespace {

RedisReply parse(std::string_view bytes) {
  RedisParser parser;
  REQUIRE(parser.feed(bytes));
  auto reply = parser.next();
  REQUIRE(reply);
  REQUIRE(*reply);
  return std::move(**reply);
}

RedisReply error(std::string text) {
  return {RedisReply::Type::error, 0, std::move(text), {}};
}
RedisReply text(std::string content) {
  return {RedisReply::Type::string, 0, std::move(content), {}};
}

const Endpoint kAsked{"10.0.0.9", 7009};

Result<RedisSlotMap> read(std::string_view bytes) {
  return read_slot_map(parse(bytes), kAsked);
}

/// Two masters; the first has a replica, the second's entry has what newer servers add.
constexpr std::string_view kSlots =
    "*2\r\n"
    "*4\r\n:0\r\n:8191\r\n*3\r\n$8\r\n10.0.0.1\r\n:7001\r\n$2\r\nid\r\n*3\r\n$8\r\n10.0.0.3\r\n:7003\r\n$"
    "2\r\nid\r\n"
    "*3\r\n:8192\r\n:16383\r\n*4\r\n$8\r\n10.0.0.2\r\n:7002\r\n$2\r\nid\r\n*2\r\n$8\r\nhostname\r\n$"
    "1\r\nh\r\n";

const Endpoint kFirst{"10.0.0.1", 7001};
const Endpoint kSecond{"10.0.0.2", 7002};

RedisSlotMap two_servers() {
  return read(kSlots).value();
}

RedisBatch batch_of(std::initializer_list<std::vector<std::string_view>> commands) {
  RedisBatch batch;
  for (const auto& command : commands) batch.add(command);
  return batch;
}

/// What a part has, command after command.
std::vector<std::string> words_of(const RedisRounds::Part& part) {
  std::vector<std::string> found;
  RedisParser parser;  // commands look like replies
  REQUIRE(parser.feed(part.batch.encoded()));
  for (auto reply = parser.next(); reply && *reply; reply = parser.next()) {
    std::string line;
    for (const RedisReply& word : (*reply)->elements) line += (line.empty() ? "" : " ") + word.text;
    found.push_back(line);
  }
  REQUIRE(found.size() == part.batch.size());
  REQUIRE(found.size() == part.places.size());
  return found;
}

// Slots by the specification: "foo" 12182, "bar" 5061, "hello" 866.
constexpr std::string_view kLow = "bar";
constexpr std::string_view kHigh = "foo";

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("slots of keys and of their hash tags") {
  CHECK(redis_slot("123456789") == 0x31C3 % kRedisSlots);
  CHECK(redis_slot("foo") == 12182);
  CHECK(redis_slot("bar") == 5061);
  CHECK(redis_slot("hello") == 866);
  CHECK(redis_slot("") == 0);
  CHECK(redis_slot("{user1000}.following") == redis_slot("{user1000}.followers"));
  CHECK(redis_slot("{user1000}.following") == redis_slot("user1000"));
  CHECK(redis_slot("foo{}{bar}") != redis_slot("bar"));
  CHECK(redis_slot("foo{{bar}}zap") == redis_slot("{bar"));
  CHECK(redis_slot("foo{bar}{zap}") == redis_slot("bar"));
  CHECK(redis_slot("foo{bar") != redis_slot("bar"));
  CHECK(redis_slot("}{bar}") == redis_slot("bar"));
  CHECK(redis_slot("{kage}:gen") == redis_slot("{kage}:routes"));
}

TEST_CASE("the map of slots is read") {
  const auto map = read(kSlots);
  REQUIRE(map);
  CHECK(map->servers == std::vector<Endpoint>{kFirst, kSecond});
  CHECK(*map->server_of(0) == kFirst);
  CHECK(*map->server_of(8191) == kFirst);
  CHECK(*map->server_of(8192) == kSecond);
  CHECK(*map->server_of(16383) == kSecond);
}

TEST_CASE("the map of slots comes in pieces, or not whole") {
  for (std::size_t cut = 0; cut < kSlots.size(); ++cut) {
    INFO(cut);
    RedisParser parser;
    REQUIRE(parser.feed(kSlots.substr(0, cut)));
    const auto none = parser.next();
    REQUIRE(none);
    REQUIRE_FALSE(*none);
    REQUIRE(parser.feed(kSlots.substr(cut)));
    const auto whole = parser.next();
    REQUIRE(whole);
    REQUIRE(*whole);
    const auto map = read_slot_map(**whole, kAsked);
    REQUIRE(map);
    CHECK(*map == two_servers());
  }
  // An element is missing, or is another's kind.
  RedisReply whole = parse(kSlots);
  for (const std::size_t range : {0U, 1U}) {
    for (std::size_t left = 0; left < 3; ++left) {
      RedisReply less = whole;
      less.elements[range].elements.resize(left);
      CHECK_FALSE(read_slot_map(less, kAsked));
    }
    for (std::size_t place = 0; place < 3; ++place) {
      RedisReply other = whole;
      other.elements[range].elements[place] = text("x");
      CHECK_FALSE(read_slot_map(other, kAsked));
    }
    RedisReply server = whole;
    server.elements[range].elements[2].elements.resize(1);
    CHECK_FALSE(read_slot_map(server, kAsked));
  }
}

TEST_CASE("what is no map of slots is refused") {
  CHECK_FALSE(read("+OK\r\n"));
  CHECK_FALSE(read("*0\r\n"));
  CHECK_FALSE(read("*1\r\n:1\r\n"));
  CHECK_FALSE(read("*1\r\n*3\r\n:5\r\n:4\r\n*2\r\n$1\r\na\r\n:1\r\n"));
  CHECK_FALSE(read("*1\r\n*3\r\n:-1\r\n:4\r\n*2\r\n$1\r\na\r\n:1\r\n"));
  CHECK_FALSE(read("*1\r\n*3\r\n:0\r\n:16384\r\n*2\r\n$1\r\na\r\n:1\r\n"));
  CHECK_FALSE(read("*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n$3\r\na b\r\n:1\r\n"));
  CHECK_FALSE(read("*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n$3\r\na\r\n\r\n:1\r\n"));
  CHECK_FALSE(read("*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n:7\r\n:1\r\n"));
  CHECK_FALSE(read("*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n$1\r\na\r\n:0\r\n"));
  CHECK_FALSE(read("*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n$1\r\na\r\n:65536\r\n"));
  // More servers than any cluster has.
  std::string many = "*1001\r\n";
  for (int i = 0; i <= 1000; ++i) {
    const std::string slot = ":" + std::to_string(i) + "\r\n";
    many += "*3\r\n" + slot + slot + "*2\r\n$1\r\na\r\n:" + std::to_string(i + 1) + "\r\n";
  }
  CHECK(read(many).error().code == Errc::limit);
}

TEST_CASE("servers without a name, and slots without a server") {
  const auto nameless = read("*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n$-1\r\n:7001\r\n");
  REQUIRE(nameless);
  CHECK(*nameless->server_of(1) == Endpoint{"10.0.0.9", 7001});
  CHECK(nameless->server_of(2) == nullptr);
  const auto empty = read("*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n$0\r\n\r\n:7001\r\n");
  REQUIRE(empty);
  CHECK(empty->servers.front().host == "10.0.0.9");
  const auto unknown =
      read("*2\r\n*3\r\n:0\r\n:1\r\n*2\r\n$1\r\n?\r\n:7001\r\n*3\r\n:2\r\n:3\r\n*2\r\n$1\r\na\r\n:1\r\n");
  REQUIRE(unknown);
  CHECK(unknown->server_of(0) == nullptr);
  CHECK(unknown->server_of(2) != nullptr);
}

TEST_CASE("redirections") {
  const auto moved = read_redirect(error("MOVED 3999 192.0.2.1:6381"), kAsked);
  REQUIRE(moved);
  CHECK_FALSE(moved->ask);
  CHECK(moved->server == Endpoint{"192.0.2.1", 6381});
  const auto ask = read_redirect(error("ASK 3999 2001:db8::1:6381"), kAsked);
  REQUIRE(ask);
  CHECK(ask->ask);
  CHECK(ask->server == Endpoint{"2001:db8::1", 6381});
  CHECK(read_redirect(error("MOVED 1 :6381"), kAsked)->server == Endpoint{"10.0.0.9", 6381});
  CHECK(read_redirect(error("MOVED 1 redis-1.example:6381"), kAsked)->server.host == "redis-1.example");
  for (const std::string_view other :
       {"MOVED", "MOVED ", "MOVED 1", "MOVED 1 ", "MOVED 1 a", "MOVED 1 a:", "MOVED 1 a:0", "MOVED 1 a:65536",
        "MOVED x a:1", "MOVED 16384 a:1", "MOVED 1 ?:1", "MOVED 1 a b:1", "ASKING", "ASK",
        "TRYAGAIN Multiple keys", "CLUSTERDOWN", "MOVED 1 a\r\n:1", "moved 1 a:1"}) {
    INFO(other);
    CHECK_FALSE(read_redirect(error(std::string(other)), kAsked));
  }
  CHECK_FALSE(read_redirect(text("MOVED 3999 192.0.2.1:6381"), kAsked));
  // Cut anywhere it is another server or none, and nothing is read beyond its end.
  const std::string whole = "MOVED 3999 192.0.2.1:6381";
  for (std::size_t cut = 0; cut < whole.size(); ++cut)
    (void)read_redirect(error(whole.substr(0, cut)), kAsked);
}

TEST_CASE("a batch is cut by server, and its answers come back in order") {
  RedisRounds rounds(batch_of({{"GET", kLow},
                               {"SET", kHigh, "1"},
                               {"EVAL", "return 1", "1", kHigh, "word"},
                               {"GET", kLow},
                               {"PING"}}));
  const RedisSlotMap map = two_servers();
  const auto parts = rounds.next(map);
  REQUIRE(parts);
  REQUIRE(parts->size() == 2);
  CHECK((*parts)[0].server == kFirst);
  CHECK(words_of((*parts)[0]) == Lines{"GET bar", "GET bar", "PING"});
  CHECK((*parts)[1].server == kSecond);
  CHECK(words_of((*parts)[1]) == Lines{"SET foo 1", "EVAL return 1 1 foo word"});
  rounds.take((*parts)[1], {text("b"), text("c")});
  rounds.take((*parts)[0], {text("a"), text("d"), text("e")});
  CHECK_FALSE(rounds.moved());
  CHECK(rounds.next(map)->empty());
  const auto replies = std::move(rounds).replies();
  std::string order;
  for (const RedisReply& reply : replies) order += reply.text;
  CHECK(order == "abcde");
}

TEST_CASE("values may hold anything") {
  const std::string value("\r\n*1\r\n$4\r\n\0PING", 15);
  RedisRounds rounds(batch_of({{"SET", kLow, value}, {"SET", kHigh, ""}, {"GET", kHigh}}));
  const auto parts = rounds.next(two_servers());
  REQUIRE(parts);
  CHECK(words_of((*parts)[0]) == Lines{"SET bar " + value});
  CHECK(words_of((*parts)[1]) == Lines{"SET foo ", "GET foo"});
}

TEST_CASE("a slot that nobody has fails before anything is sent") {
  RedisRounds rounds(batch_of({{"GET", kLow}, {"GET", kHigh}}));
  const auto map = read("*1\r\n*3\r\n:0\r\n:8191\r\n*2\r\n$1\r\na\r\n:1\r\n");
  REQUIRE(map);
  const auto parts = rounds.next(*map);
  REQUIRE_FALSE(parts);
  CHECK(parts.error().code == Errc::unavailable);
}

TEST_CASE("MOVED: the command is sent again by the newer map") {
  RedisRounds rounds(batch_of({{"SET", kLow, "1"}, {"GET", kLow}, {"GET", kHigh}}));
  RedisSlotMap map = two_servers();
  auto parts = rounds.next(map);
  REQUIRE(parts);
  rounds.take((*parts)[0], {error("MOVED 5061 10.0.0.2:7002"), error("MOVED 5061 10.0.0.2:7002")});
  rounds.take((*parts)[1], {text("high")});
  REQUIRE(rounds.moved());
  CHECK(*rounds.moved() == kFirst);
  map.owner[5061] = 1;
  parts = rounds.next(map);
  REQUIRE(parts);
  REQUIRE(parts->size() == 1);
  CHECK(parts->front().server == kSecond);
  CHECK(words_of(parts->front()) == Lines{"SET bar 1", "GET bar"});
  CHECK_FALSE(rounds.moved());
  rounds.take(parts->front(), {text("set"), text("low")});
  CHECK(rounds.next(map)->empty());
  const auto replies = std::move(rounds).replies();
  CHECK(replies[0].text == "set");
  CHECK(replies[1].text == "low");
  CHECK(replies[2].text == "high");
}

TEST_CASE("ASK: the command alone goes elsewhere, after ASKING") {
  RedisRounds rounds(batch_of({{"SET", kLow, "1"}, {"SET", kHigh, "1"}}));
  const RedisSlotMap map = two_servers();
  auto parts = rounds.next(map);
  REQUIRE(parts);
  rounds.take((*parts)[0], {error("ASK 5061 10.0.0.5:7005")});
  rounds.take((*parts)[1], {text("high")});
  CHECK_FALSE(rounds.moved());
  parts = rounds.next(map);
  REQUIRE(parts);
  REQUIRE(parts->size() == 1);
  CHECK(parts->front().server == Endpoint{"10.0.0.5", 7005});
  CHECK(words_of(parts->front()) == Lines{"ASKING", "SET bar 1"});
  rounds.take(parts->front(), {text("OK"), text("low")});
  CHECK(rounds.next(map)->empty());
  CHECK(std::move(rounds).replies()[0].text == "low");
}

TEST_CASE("what reads behind a command that was sent on is read again after it") {
  // A lock and its ledger, while their slot is being moved: the ledger is here still, the lock goes there.
  RedisRounds rounds(batch_of({{"GET", kHigh}, {"SET", "k{bar}", "me", "NX"}, {"HMGET", "l{bar}", "x"}}));
  const RedisSlotMap map = two_servers();
  auto parts = rounds.next(map);
  REQUIRE(parts);
  for (const auto& part : *parts) {
    if (part.server == kFirst) rounds.take(part, {error("ASK 5061 10.0.0.2:7002"), text("old")});
    if (part.server == kSecond) rounds.take(part, {text("generation")});
  }
  parts = rounds.next(map);
  REQUIRE(parts);
  REQUIRE(parts->size() == 1);
  CHECK(words_of(parts->front()) == Lines{"ASKING", "SET k{bar} me NX"});
  rounds.take(parts->front(), {text("OK"), text("taken")});
  parts = rounds.next(map);
  REQUIRE(parts);
  REQUIRE(parts->size() == 1);
  CHECK(parts->front().server == kFirst);
  CHECK(words_of(parts->front()) == Lines{"HMGET l{bar} x"});
  rounds.take(parts->front(), {error("ASK 5061 10.0.0.2:7002")});  // it went, too
  parts = rounds.next(map);
  REQUIRE(parts);
  CHECK(words_of(parts->front()) == Lines{"ASKING", "HMGET l{bar} x"});
  rounds.take(parts->front(), {text("OK"), text("new")});
  CHECK(rounds.next(map)->empty());
  const auto replies = std::move(rounds).replies();
  CHECK(replies[0].text == "generation");
  CHECK(replies[1].text == "taken");
  CHECK(replies[2].text == "new");
}

TEST_CASE("what was sent on to one server goes there in one piece") {
  RedisRounds rounds(batch_of({{"SET", "k{bar}", "me"}, {"HMGET", "l{bar}", "x"}, {"DEL", "m{bar}"}}));
  const RedisSlotMap map = two_servers();
  auto parts = rounds.next(map);
  REQUIRE(parts);
  const auto ask = error("ASK 5061 10.0.0.2:7002");
  // A change behind them that was carried out is not repeated.
  rounds.take(parts->front(), {ask, ask, text("deleted")});
  parts = rounds.next(map);
  REQUIRE(parts);
  REQUIRE(parts->size() == 1);
  CHECK(words_of(parts->front()) == Lines{"ASKING", "SET k{bar} me", "ASKING", "HMGET l{bar} x"});
  rounds.take(parts->front(), {text("OK"), text("1"), text("OK"), text("2")});
  CHECK(rounds.next(map)->empty());
}

TEST_CASE("other errors of a cluster are answers") {
  RedisRounds rounds(batch_of({{"GET", kLow}, {"GET", kLow}, {"GET", kLow}}));
  const RedisSlotMap map = two_servers();
  const auto parts = rounds.next(map);
  REQUIRE(parts);
  rounds.take(parts->front(), {error("TRYAGAIN Multiple keys"), error("CLUSTERDOWN Hash slot not served"),
                               error("MOVED nonsense")});
  CHECK(rounds.next(map)->empty());
  for (const RedisReply& reply : std::move(rounds).replies()) CHECK(reply.is_error());
}

}  // namespace kage::net
