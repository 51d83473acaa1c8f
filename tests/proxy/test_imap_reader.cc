// The upstream's responses: in every cut the same, and what is not IMAP is an error.
#include <catch2/catch.hpp>
#include <deque>
#include <memory>

#include "../net/test_streams.h"
#include "proxy/imap/reader.h"

namespace kage::proxy {
namespace {

using net::testing::MemoryStream;
using net::testing::Transcript;

/// Everything that the reader says of `input`, as text.
net::Task<void> describe_all(ImapReader& reader, std::string& out) {
  while (true) {
    const auto response = co_await reader.next();
    if (!response) {
      out += "! " + std::string(to_string(response.error().code)) + "\n";
      co_return;
    }
    if (response->kind == ImapResponse::Kind::continuation) out += "+";
    if (response->kind == ImapResponse::Kind::tagged) out += "T " + response->tag + " ";
    out += std::to_string(response->number) + " " + response->name + " <" + response->text + ">\n";
    if (response->name != "FETCH") continue;
    while (true) {
      ImapFetchItem item;
      const auto more = co_await reader.next_item(item);
      if (!more) {
        out += "! " + std::string(to_string(more.error().code)) + "\n";
        co_return;
      }
      if (!*more) break;
      out += "  " + item.name + " = " + (item.too_large ? "too large" : item.value);
      CHECK((!item.too_large || item.value.empty()));
      if (item.streams) {
        out += (item.binary ? "~{" : "{") + std::to_string(item.size) + "}";
        while (true) {
          const auto octets = co_await reader.chunk();
          if (!octets) {
            out += "! " + std::string(to_string(octets.error().code)) + "\n";
            co_return;
          }
          if (octets->empty()) break;
          out += *octets;
        }
      }
      out += "\n";
    }
    out += "  end\n";
  }
}

std::string describe(const std::vector<std::string>& pieces, ImapReaderLimits limits = {}) {
  net::Loop loop;
  auto transcript = std::make_shared<Transcript>(loop);
  for (const auto& piece : pieces) transcript->give(piece);
  transcript->end();
  MemoryStream stream(transcript);
  ImapReader reader(stream, limits);
  std::string out;
  net::testing::run_on_loop(loop, describe_all(reader, out));
  return out;
}

constexpr std::string_view kStream =
    "* OK [UIDVALIDITY 3] text {5}\r\n"
    "* 23 EXISTS\r\n"
    "* LIST (\\HasNoChildren) \"/\" {3}\r\na\nb\r\n"
    "* LIST () \"/\" {1}\r\nx ({2}\r\nyz)\r\n"
    "+ go ahead\r\n+\r\n"
    "* 7 FETCH (FLAGS (\\Seen \"a)\\\"b\") UID 9 ENVELOPE (NIL {4}\r\n()\"\" ((\"x\\\\\" NIL)) {0}\r\n) "
    "BODY[] {12}\r\nHello\r\n)\r\n\r\n RFC822.SIZE 12)\r\n"
    "* 8 fetch (BODY[HEADER.FIELDS (\"a b\" {3}\r\nc]d)]<0> NIL BINARY[1] ~{3}\r\n\r\n) X \"q\")\r\n"
    "* 9 FETCH ()\r\n"
    // Long names: once more, with another end, in another case, and one that goes on with a literal.
    "* 1 FETCH (BODY[HEADER.FIELDS (FROM SENDER REPLY-TO TO CC SUBJECT DATE MESSAGE-ID)] {2}\r\n\r\n)\r\n"
    "* 2 FETCH (BODY[HEADER.FIELDS (FROM SENDER REPLY-TO TO CC SUBJECT DATE MESSAGE-ID)] NIL "
    "BODY[HEADER.FIELDS (FROM SENDER REPLY-TO TO CC SUBJECT DATE MESSAGE-ID)]<0> \"\")\r\n"
    "* 3 FETCH (body[header.fields (FROM SENDER REPLY-TO TO CC SUBJECT DATE MESSAGE-ID)] NIL)\r\n"
    "* 4 FETCH (body[header.fields (FROM SENDER REPLY-TO TO CC SUBJECT DATE {3}\r\nA]B)] NIL)\r\n"
    "* 5 FETCH (body[header.fields (FROM SENDER REPLY-TO TO CC SUBJECT DATE {3}\r\nA]B)] NIL)\r\n"
    "* SEARCH\r\n"
    "k1 OK done\r\n";

constexpr std::string_view kSaid =
    "0 OK <[UIDVALIDITY 3] text {5}>\n"
    "23 EXISTS <>\n"
    "0 LIST <(\\HasNoChildren) \"/\" {3}\r\na\nb>\n"
    "0 LIST <() \"/\" {1}\r\nx ({2}\r\nyz)>\n"
    "+0  <go ahead>\n+0  <>\n"
    "7 FETCH <>\n"
    "  FLAGS = (\\Seen \"a)\\\"b\")\n"
    "  UID = 9\n"
    "  ENVELOPE = (NIL {4}\r\n()\"\" ((\"x\\\\\" NIL)) {0}\r\n)\n"
    "  BODY[] = {12}Hello\r\n)\r\n\r\n\n"
    "  RFC822.SIZE = 12\n"
    "  end\n"
    "8 FETCH <>\n"
    "  BODY[HEADER.FIELDS (\"a b\" {3}\r\nc]d)]<0> = NIL\n"
    "  BINARY[1] = ~{3}\r\n)\n"
    "  X = \"q\"\n"
    "  end\n"
    "9 FETCH <>\n"
    "  end\n"
    "1 FETCH <>\n"
    "  BODY[HEADER.FIELDS (FROM SENDER REPLY-TO TO CC SUBJECT DATE MESSAGE-ID)] = {2}\r\n\n  end\n"
    "2 FETCH <>\n"
    "  BODY[HEADER.FIELDS (FROM SENDER REPLY-TO TO CC SUBJECT DATE MESSAGE-ID)] = NIL\n"
    "  BODY[HEADER.FIELDS (FROM SENDER REPLY-TO TO CC SUBJECT DATE MESSAGE-ID)]<0> = \"\"\n  end\n"
    "3 FETCH <>\n"
    "  body[header.fields (FROM SENDER REPLY-TO TO CC SUBJECT DATE MESSAGE-ID)] = NIL\n  end\n"
    "4 FETCH <>\n"
    "  body[header.fields (FROM SENDER REPLY-TO TO CC SUBJECT DATE {3}\r\nA]B)] = NIL\n  end\n"
    "5 FETCH <>\n"
    "  body[header.fields (FROM SENDER REPLY-TO TO CC SUBJECT DATE {3}\r\nA]B)] = NIL\n  end\n"
    "0 SEARCH <>\n"
    "T k1 0 OK <done>\n"
    "! closed\n";

}  // namespace

TEST_CASE("responses are the same in every cut") {
  CHECK(describe({std::string(kStream)}) == kSaid);
  for (std::size_t cut = 1; cut < kStream.size(); ++cut) {
    CAPTURE(cut);
    CHECK(describe({std::string(kStream.substr(0, cut)), std::string(kStream.substr(cut))}) == kSaid);
  }
  std::vector<std::string> octets;
  for (const char c : kStream) octets.emplace_back(1, c);
  CHECK(describe(octets) == kSaid);
}

TEST_CASE("a stream that ends anywhere is an error and nothing else") {
  for (std::size_t size = 0; size < kStream.size(); ++size) {
    CAPTURE(size);
    CHECK(describe({std::string(kStream.substr(0, size))}).ends_with("! closed\n"));
  }
}

TEST_CASE("what is not IMAP is refused") {
  for (const std::string_view input : {"\r\n",
                                       "*\r\n",
                                       "* \r\n",
                                       "* 5\r\n",
                                       "k1 MAYBE x\r\n",
                                       "a\x01 OK x\r\n",
                                       "* OK a\rb\r\n",
                                       "* 1 FETCH\r\n",
                                       "* 1 FETCH FLAGS ()\r\n",
                                       "* 1 FETCH (FLAGS)\r\n",
                                       "* 1 FETCH (FLAGS (\r\n",
                                       "* 1 FETCH (FLAGS \"x\r\n",
                                       "* 1 FETCH (BODY[ x\r\n",
                                       "* 1 FETCH (BODY] x)\r\n",
                                       "* 1 FETCH (UID 1\r\n",
                                       "* 1 FETCH (UID 1) x\r\n",
                                       "* 1 FETCH (BODY[] {x}\r\n",
                                       "* 1 FETCH (BODY[] {5} x\r\n",
                                       "* 1 FETCH (BODY[] {99999999999}\r\n",
                                       "* 1 FETCH ( )x\r\n",
                                       "* 1 FETCH (UID )\r\n"}) {
    CAPTURE(input);
    CHECK(describe({std::string(input)}).ends_with("! protocol\n"));
  }
  CHECK(describe({std::string("* OK \0x\r\n", 9)}) == "! protocol\n");
  CHECK(describe({std::string("* LIST () x {1}\r\n\0\r\n", 20)}) == "! protocol\n");
}

TEST_CASE("lines, values and literals are bounded") {
  const ImapReaderLimits limits{.max_line = 1000, .max_value = 200, .max_literal = 5000};
  const std::string endless(3000, 'x');
  CHECK(describe({"* OK " + endless + "\r\n"}, limits) == "! limit\n");
  CHECK(describe({endless}, limits) == "! limit\n");
  CHECK(describe({"* LIST {2000}\r\n" + endless}, limits) == "! limit\n");
  std::string list = "* LIST ";
  for (int i = 0; i < 30; ++i) list += "{40}\r\n" + std::string(40, 'y') + " ";
  CHECK(describe({list + "\r\n"}, limits) == "! limit\n");

  CHECK(describe({"* 1 FETCH (" + endless + " 1)\r\n"}, limits).ends_with("! limit\n"));
  CHECK(describe({"* 1 FETCH (ENVELOPE ({5001}\r\n" + endless}, limits).ends_with("! protocol\n"));
  CHECK(describe({"* 1 FETCH (ENVELOPE ({3001}\r\n" + endless}, limits).ends_with("! closed\n"));
  CHECK(describe({"* 1 FETCH (ENVELOPE (" + endless + "\r\n"}, limits).ends_with("! protocol\n"));
  CHECK(describe({"* 1 FETCH (ENVELOPE (\"" + endless + "\r\n\"))\r\n"}, limits).ends_with("! protocol\n"));
  CHECK(
      describe({"* 1 FETCH (ENVELOPE (" + endless + " {9999999999}\r\n"}, limits).ends_with("! protocol\n"));
  CHECK(describe({"* 1 FETCH (BODY[] {5001}\r\n"}, limits).ends_with("! protocol\n"));
  // One that streams may be longer than anything that is held.
  CHECK(
      describe({"* 1 FETCH (BODY[] {3000}\r\n" + endless + ")\r\n"}, limits).ends_with("  end\n! closed\n"));
}

namespace {

/// The whole, and octet by octet.
std::string describe_in_cuts(const std::string& input, const ImapReaderLimits& limits) {
  std::vector<std::string> octets;
  for (const char c : input) octets.emplace_back(1, c);
  std::string said = describe({input}, limits);
  CHECK(describe(octets, limits) == said);
  return said;
}

}  // namespace

TEST_CASE("values beyond the bounds are dropped, and what stands beside them is told") {
  const ImapReaderLimits limits{.max_line = 300, .max_value = 60, .max_literal = 5000};
  const std::string many(70, '(');
  const std::vector<std::string> values{
      "(" + std::string(80, 'x') + ")",
      "(" + std::string(900, 'x') + ")",
      "(\"" + std::string(400, ')') + "\\\"\\\\\" " + many + std::string(70, ')') + ")",
      "(a {80}\r\n" + std::string(80, ')') + ")",
      "(a {30}\r\n" + std::string(30, ')') + " (b {40+}\r\n" + std::string(40, '"') + "))",
      "(a {30}\r\n" + std::string(30, ')') + " (b {0}\r\n " + std::string(400, 'y') + " {3}\r\n)))))",
      "(" + std::string(400, '{') + "2} ~{2}\r\n)) {1}x)",
      std::string(400, 'n'),
      "\"" + std::string(400, ' ') + "\"",
  };
  for (const std::string& value : values) {
    for (std::size_t pad = 0; pad < 320; ++pad) {
      CAPTURE(value, pad);
      const std::string input = "* 1 FETCH (PAD (" + std::string(pad, 'p') + ") UID 5 ENVELOPE " + value +
                                " BODY[HEADER] {3}\r\na)b FLAGS (\\Seen))\r\nk1 OK x\r\n";
      const std::string padding = pad > 58 ? "too large" : "(" + std::string(pad, 'p') + ")";
      const std::string expected = "1 FETCH <>\n  PAD = " + padding +
                                   "\n  UID = 5\n  ENVELOPE = too large\n  BODY[HEADER] = {3}a)b\n"
                                   "  FLAGS = (\\Seen)\n  end\nT k1 0 OK <x>\n! closed\n";
      CHECK((pad % 40 == 0 ? describe_in_cuts(input, limits) : describe({input}, limits)) == expected);
    }
  }
}

TEST_CASE("a line of many values may be longer than any that is held") {
  const ImapReaderLimits limits{.max_line = 300, .max_value = 60, .max_literal = 5000};
  for (std::size_t pad = 0; pad < 40; ++pad) {
    std::string input = "* 1 FETCH (";
    std::string expected = "1 FETCH <>\n";
    for (std::size_t i = 0; i < 40; ++i) {
      const std::string value = i % 3 == 0 ? "\"" + std::string((pad + i) % 50, ')') + "\"" : "(a (b) \"c\")";
      input += (i > 0 ? " " : "") + std::string("X[(a b)]<") + std::to_string(i) + "> " + value;
      expected += "  X[(a b)]<" + std::to_string(i) + "> = " + value + "\n";
    }
    CAPTURE(pad);
    CHECK(describe_in_cuts(input + ")\r\n* 2 EXISTS\r\n", limits) ==
          expected + "  end\n2 EXISTS <>\n! closed\n");
  }
}

namespace {

net::Task<void> take_names(ImapReader& reader, std::string& out) {
  for (int i = 0; i < 2; ++i) {
    const auto response = co_await reader.next();
    out += response ? response->name + " " : "! ";
    ImapFetchItem item;
    if (i == 0 && response) (void)(co_await reader.next_item(item));
    if (i == 0 && response) (void)(co_await reader.next_item(item));
    out += item.name + " ";
  }
}

}  // namespace

TEST_CASE("what a caller leaves unread is skipped") {
  net::Loop loop;
  MemoryStream stream(loop,
                      "* 1 FETCH (BODY[] {5}\r\n)))))"
                      " BODY[TEXT] {2}\r\n)) UID 5)\r\nk1 OK\r\n");
  ImapReader reader(stream);
  std::string out;
  net::testing::run_on_loop(loop, take_names(reader, out));
  CHECK(out == "FETCH BODY[TEXT] OK  ");
  CHECK_FALSE(reader.has_more());
}

}  // namespace kage::proxy
