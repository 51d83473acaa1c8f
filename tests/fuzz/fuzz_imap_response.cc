// What an upstream may answer to FETCH: in any cuts the client gets the same, and it is whole responses.
#include <array>
#include <memory>
#include <string>

#include "../mapping/rewrite_world.h"
#include "../net/test_streams.h"
#include "proxy/fetch/fetch.h"
#include "tests/fuzz/fuzz.h"

namespace {

using kage::Result;
using kage::fuzz::require;
using namespace kage::proxy;
namespace net = kage::net;
namespace mapping = kage::mapping;

constexpr std::array<std::string_view, 12> kCommands = {
    "FETCH 1 (FLAGS UID BODY[])",
    "UID FETCH 1:* (ENVELOPE BODYSTRUCTURE)",
    "FETCH 1:* (RFC822.HEADER BODY.PEEK[HEADER.FIELDS (From Subject)] BODY.PEEK[HEADER.FIELDS.NOT (To)])",
    "FETCH 1 (BODY[1] BODY[TEXT])",
    "UID FETCH 7 (BODY.PEEK[]<0.40>)",
    "UID FETCH 7 (FLAGS BODY.PEEK[]<40.4000000>)",
    "FETCH 1 (BODY.PEEK[1]<3.30>)",
    "UID FETCH 1:* (FLAGS) (CHANGEDSINCE 5 VANISHED)",
    "FETCH 1:* (BINARY[1] BINARY.SIZE[1])",
    "FETCH 1:* FULL",
    "FETCH 1 (BODY.PEEK[2.MIME] BODY.PEEK[2.HEADER] BODY.PEEK[2.TEXT])",
    "FETCH 1:* (RFC822 RFC822.TEXT BODY[])",
};

/// A worker without Redis: an answer that shows a phantom cannot be finished, and says so.
struct Worker {
  net::Loop loop;
  net::Redis redis{loop, options()};
  mapping::SharedRoutes shared{"/nonexistent/master.key"};
  mapping::Directory directory{loop, redis, shared};
  mapping::HeaderView view;
  mapping::test::World world;
  mapping::Audience audience;

  static net::RedisOptions options() {
    net::RedisOptions redis_options;
    redis_options.unix_path = "/nonexistent/redis.sock";
    redis_options.command_timeout = net::Millis(1);
    return redis_options;
  }
  Worker() {
    world.add("pta@school.example", "PTA", {"officer@gmail.example"}).build();
    audience.routes = mapping::Routes(&world.routes(), [](const mapping::RouteTable*) {});
    audience.members.push_back(&world.member(1));
  }
};

net::Task<void> fetch(ImapCore& core, FetchMemory& memory, std::string_view line, std::string& outcome) {
  auto command = parse_command("t " + std::string(line));
  require(command.has_value(), "the command is one");
  const auto status = co_await run_fetch(core, memory, std::move(*command));
  if (status) {
    const auto flushed = co_await core.out.flush();
    outcome = flushed ? status->name : "!";
  } else {
    outcome = "!";
  }
}

struct Answer {
  std::string outcome;
  std::string octets;
};

Answer run(Worker& worker, std::string_view line, std::string_view input, std::size_t cut) {
  auto upstream = std::make_shared<net::testing::Transcript>(worker.loop);
  auto client = std::make_shared<net::testing::Transcript>(worker.loop);
  for (std::size_t at = 0; at < input.size(); at += cut) upstream->give(std::string(input.substr(at, cut)));
  upstream->end();
  net::testing::MemoryStream upstream_stream(upstream);
  net::testing::MemoryStream client_stream(client);
  net::BufferedReader client_reader(client_stream);
  ClientOut out(client_stream, worker.directory);
  ImapReader in(upstream_stream);
  ImapCore core{
      worker.loop, worker.directory, worker.view, &client_stream, client_reader, out, &upstream_stream, in,
      {},          worker.audience};
  FetchMemory memory;
  Answer answer;
  net::testing::run_on_loop(worker.loop, fetch(core, memory, line, answer.outcome));
  answer.octets = client->output;
  return answer;
}

net::Task<void> read_all(ImapReader& reader, bool& whole) {
  while (true) {
    const auto response = co_await reader.next();
    if (!response) {
      whole = response.error().code == kage::Errc::closed;
      co_return;
    }
    ImapFetchItem item;
    while (response->name == "FETCH") {
      const auto more = co_await reader.next_item(item);
      if (!more) co_return;
      if (!*more) break;
    }
  }
}

bool is_whole(Worker& worker, const std::string& octets) {
  if (!octets.empty() && !octets.ends_with("\r\n")) return false;
  net::testing::MemoryStream stream(worker.loop, octets);
  ImapReader reader(stream);
  bool whole = false;
  net::testing::run_on_loop(worker.loop, read_all(reader, whole));
  return whole;
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Worker worker;
  if (size < 2 || size > 20'000) return 0;
  const std::string_view line = kCommands[data[0] % kCommands.size()];
  const std::string_view input = kage::fuzz::text_of(data, size).substr(2);
  const Answer one = run(worker, line, input, input.size() + 1);
  const Answer cut = run(worker, line, input, 1 + data[1] % 64);
  require(one.outcome == cut.outcome, "cuts make no difference");
  if (one.outcome == "!") {
    // The session ends: how much was written before depends on what came together.
    require(one.octets.starts_with(cut.octets) || cut.octets.starts_with(one.octets),
            "cuts make no difference");
    return 0;
  }
  require(one.octets == cut.octets, "cuts make no difference to the client's octets");
  require(is_whole(worker, one.octets), "the client gets whole responses");
  return 0;
}
