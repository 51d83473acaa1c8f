// POP3 from both sides. The first octet of the input chooses what the rest is: a client's command, or a
// server's answers in cuts that the second octet says (a CAPA, a listing, a message of RETR or TOP).
#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <vector>

#include "../mapping/rewrite_world.h"
#include "../net/test_streams.h"
#include "base/text.h"
#include "proxy/pop3/command.h"
#include "proxy/pop3/text.h"
#include "proxy/pop3/upstream.h"
#include "tests/fuzz/fuzz.h"

namespace {

using kage::fuzz::require;
using namespace kage::proxy;
namespace net = kage::net;
namespace mapping = kage::mapping;

constexpr std::size_t kMaxShown = 512;  // octets of a line with CRLF (RFC 2449 §4)

std::size_t lines_of(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count(text, '\n'));
}

bool is_line(std::string_view line) {
  return line.ends_with("\r\n") &&
         std::ranges::all_of(line.substr(0, line.size() - 2), [](char c) { return c >= ' ' && c < '\x7f'; });
}

void check_command(std::string_view line) {
  const Pop3Command command = parse_pop3(line);
  require(line.ends_with(command.rest), "the rest is the line's end");
  require(static_cast<std::size_t>(command.verb) < kPop3Verbs, "a verb is one of the table");
  if (const auto number = pop3_number(command.rest)) {
    require(*number > 0, "messages count from 1");
    require(pop3_number(std::to_string(*number)) == number, "a number reads as it goes upstream");
  }
  if (const auto top = top_arguments(command.rest)) {
    const auto again = top_arguments(std::to_string(top->message) + " " + std::to_string(top->lines));
    require(again && again->message == top->message && again->lines == top->lines && top->message > 0,
            "TOP reads as it goes upstream");
  }
}

/// A server's line, as each of the kinds of line that we wait for.
void check_line(std::string_view line) {
  if (const auto status = parse_pop3_status(line)) {
    const std::string shown = pop3_status_line(*status);
    require(is_line(shown) && shown.size() <= kMaxShown, "a status is one short line");
    require(shown.starts_with(status->ok() ? "+OK" : "-ERR"), "a status says what it said");
    require(shown.find('@') == std::string::npos, "a status holds no address");
    const auto again = parse_pop3_status(std::string_view(shown).substr(0, shown.size() - 2));
    require(again && pop3_status_line(*again) == shown, "what is shown may be shown");
    require(is_line(pop3_refusal_line(pop3_refusal(status->text))), "a refusal is a line");
  }
  const std::string numbers = pop3_numbers(line);
  require(numbers.empty() || (pop3_numbers(numbers) == numbers && line.starts_with(numbers)),
          "numbers are the line's own");
  if (const auto uid = uidl_line(line)) {
    require(!uid->uid.empty() && uid->uid.size() <= 70 && kage::parse_number(uid->number).has_value(),
            "a unique-id is short");
    require(is_line(std::string(uid->uid) + "\r\n"), "and printable");
  }
}

void check_capabilities(const Pop3Capabilities& known) {
  for (const bool logins : {false, true}) {
    const std::string shown = pop3_capabilities({.stls = logins, .logins = logins, .server = &known});
    require(shown.starts_with("+OK\r\n") && shown.ends_with("\r\n.\r\n"), "CAPA is one answer");
    require(shown.find("\r\n.\r\n") + 5 == shown.size(), "CAPA ends once");
    require(shown.find('@') == std::string::npos, "CAPA holds no address");
    for (std::size_t at = 0; at < shown.size();) {
      const std::size_t end = shown.find('\n', at) + 1;
      require(is_line(std::string_view(shown).substr(at, end - at)), "lines of CAPA are lines");
      at = end;
    }
  }
}

/// What was read of a server: a CAPA, then answers with a listing each until it ends or is no POP3.
struct Heard {
  bool capabilities = false;
  Pop3Capabilities known;
  std::vector<std::string> lines;
  kage::Errc end = kage::Errc::closed;
};

net::Task<void> listen(std::shared_ptr<net::testing::Transcript> transcript, Heard& heard) {
  Pop3Upstream upstream(std::make_unique<net::testing::MemoryStream>(transcript));
  auto known = co_await upstream.capabilities();
  if (!known) {
    heard.end = known.error().code;
    co_return;
  }
  heard.capabilities = true;
  heard.known = std::move(*known);
  while (true) {
    const auto status = co_await upstream.status();
    if (!status) {
      heard.end = status.error().code;
      co_return;
    }
    heard.lines.push_back(pop3_status_line(*status));
    while (status->ok()) {
      std::string_view line;
      const auto more = co_await upstream.line(line);
      if (!more) {
        heard.end = more.error().code;
        co_return;
      }
      if (!*more) break;
      heard.lines.emplace_back(line);
    }
  }
}

Heard hear(std::string_view input, std::size_t cut) {
  static net::Loop loop;
  auto transcript = std::make_shared<net::testing::Transcript>(loop);
  for (std::size_t at = 0; at < input.size(); at += cut) transcript->give(std::string(input.substr(at, cut)));
  transcript->end();
  Heard heard;
  net::testing::run_on_loop(loop, listen(transcript, heard));
  return heard;
}

void check_server(std::string_view input, std::size_t cut) {
  const Heard one = hear(input, input.size() + 1);
  const Heard pieces = hear(input, cut);
  require(one.capabilities == pieces.capabilities && one.end == pieces.end && one.lines == pieces.lines,
          "cuts make no difference");
  check_capabilities(one.known);
  for (const std::string& line : one.lines) {
    require(line.size() <= 4096, "lines are bounded");
    check_line(line);
  }
}

Pop3Text reader() {
  static mapping::HeaderView view;
  static const mapping::test::World world =
      mapping::test::World().add("pta@school.example", "PTA", {"officer@home.example"}).build();
  const mapping::Audience audience{.routes = mapping::Routes(mapping::Routes(), &world.routes()),
                                   .members = {&world.member(1)}};
  return Pop3Text(mapping::VisibleMessage::whole(view, audience));
}

std::string stuffed(std::string_view message) {
  kage::message::DotEncoder encoder;
  std::string out;
  encoder.encode(message, out);
  encoder.finish(out);
  return out;
}

/// Feeds one answer of the server; false: it does not end.
bool feed(Pop3Text& text, std::string_view wire, std::size_t cut, std::string& out) {
  for (std::size_t at = 0; at < wire.size(); at += cut) {
    const std::string piece(wire.substr(at, cut));
    const auto step = text.feed(piece, out);
    require(step.consumed <= piece.size() && (step.ended || step.consumed == piece.size()),
            "an answer takes what is its own");
    if (step.ended) return true;
  }
  return false;
}

/// RETR of octets as they come: an answer that ends once, in any cuts.
void check_retr(std::string_view wire, std::size_t cut) {
  std::array<std::string, 2> out;
  std::array<bool, 2> ended{};
  for (const std::size_t i : {0U, 1U}) {
    Pop3Text text = reader();
    ended[i] = feed(text, wire, i == 0 ? wire.size() + 1 : cut, out[i]);
    text.finish(out[i]);
  }
  require(ended[0] == ended[1] && out[0] == out[1], "cuts make no difference to RETR");
  kage::message::DotDecoder decoder;
  std::string plain;
  const auto step = decoder.decode(out[0], plain);
  require(step.finished && step.consumed == out[0].size(), "an answer ends where it ends");
}

/// TOP of a message that has more lines: as many lines as the server's, and the beginning of RETR.
void check_top(std::string_view message, std::size_t lines, std::size_t cut) {
  std::size_t end = 0;
  for (; lines > 0 && end < message.size(); --lines) {
    end = std::min(message.find('\n', end), message.size() - 1) + 1;
  }
  const std::string_view top = message.substr(0, end);
  // Where a shown line ends with a bare LF, the answer's end adds a CRLF that RETR does not have.
  kage::message::LineEndCheck ends;
  ends.feed(message);
  if (ends.bare(true)) return;
  // A server's answers end with a line.
  if (!top.ends_with("\r\n") || !message.ends_with("\r\n")) return;
  std::string whole;
  Pop3Text all = reader();
  require(feed(all, stuffed(message), message.size() * 2 + 9, whole), "RETR ends");
  all.finish(whole);
  std::string shown;
  Pop3Text text = reader();
  require(feed(text, stuffed(top), cut, shown), "TOP ends");
  if (text.needs_more()) {
    text.begin_longer();
    require(feed(text, stuffed(message), cut, shown), "the longer TOP ends");
  }
  text.finish(shown);
  require(shown.ends_with("\r\n.\r\n"), "TOP has its end");
  shown.resize(shown.size() - 3);
  require(whole.starts_with(shown) && lines_of(shown) == lines_of(top), "TOP is the beginning of RETR");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2 || size > 20'000) return 0;
  const std::string input(kage::fuzz::text_of(data + 2, size - 2));
  const std::size_t cut = 1 + data[1] % 64;
  switch (data[0] % 4) {
    case 0:
      check_command(input);
      check_line(input);
      break;
    case 1:
      check_server(input, cut);
      break;
    case 2:
      check_retr(input, cut);
      break;
    default:
      check_top(input, data[0] / 4, cut);
  }
  return 0;
}
