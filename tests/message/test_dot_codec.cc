// Dot codec: only CRLF "." CRLF ends the data, however the input is cut.
#include "message/dot_codec.h"

#include <catch2/catch.hpp>
#include <vector>

namespace kage::message {
namespace {

struct Decoded {
  std::string out;
  std::size_t consumed = 0;
  bool finished = false;
  bool bare = false;
  bool operator==(const Decoded&) const = default;
};

/// Decodes with the input cut at the given places.
Decoded decode(std::string_view input, const std::vector<std::size_t>& cuts = {}) {
  DotDecoder decoder;
  Decoded result;
  std::size_t begin = 0;
  for (std::size_t i = 0; i <= cuts.size() && !result.finished; ++i) {
    const std::size_t end = i < cuts.size() ? cuts[i] : input.size();
    const std::string_view piece = input.substr(begin, end - begin);
    const std::size_t before = result.out.size();
    const auto step = decoder.decode(piece, result.out);
    CHECK(result.out.size() - before <= piece.size() + 2);
    result.consumed += step.consumed;
    result.finished = step.finished;
    if (!step.finished) CHECK(step.consumed == piece.size());
    begin = end;
  }
  result.bare = decoder.bare_line_end();
  return result;
}

std::string encode(std::string_view input, std::size_t cut = std::string_view::npos) {
  DotEncoder encoder;
  std::string out;
  encoder.encode(input.substr(0, cut), out);
  if (cut < input.size()) encoder.encode(input.substr(cut), out);
  encoder.finish(out);
  return out;
}

struct Case {
  std::string_view input;
  std::string_view out;
  bool finished;
  bool bare;
  std::size_t rest;  // octets left for commands
};

const std::vector<Case> kCases = {
    {".\r\n", "", true, false, 0},
    {".\r\nQUIT\r\n", "", true, false, 6},
    {"a\r\n.\r\n", "a\r\n", true, false, 0},
    {"a\r\n.\r\nMAIL FROM:<>\r\n", "a\r\n", true, false, 14},
    {"..\r\n.\r\n", ".\r\n", true, false, 0},
    {"...a\r\n.\r\n", "..a\r\n", true, false, 0},
    {".a\r\n.\r\n", "a\r\n", true, false, 0},
    {"a.\r\n.\r\n", "a.\r\n", true, false, 0},
    {"\r\n.\r\n", "\r\n", true, false, 0},
    {"\r\n\r\n.\r\n", "\r\n\r\n", true, false, 0},
    // What must never end the data (SMTP smuggling).
    {"a\n.\n", "a\n.\n", false, true, 0},
    {"a\n.\nMAIL FROM:<x@y>\r\n", "a\n.\nMAIL FROM:<x@y>\r\n", false, true, 0},
    {"a\r.\r", "a\r.\r", false, true, 0},
    {"a\r\n.\nb\r\n", "a\r\n\nb\r\n", false, true, 0},
    {"a\n.\r\nb\r\n", "a\n.\r\nb\r\n", false, true, 0},
    {"a\r\n.\rb\r\n", "a\r\n\rb\r\n", false, true, 0},
    {"a\r.\r\nb\r\n", "a\r.\r\nb\r\n", false, true, 0},
    {"a\r\r\n.\r\n", "a\r\r\n", true, true, 0},
    {"a\n\r\n.\r\n", "a\n\r\n", true, true, 0},
    {"a\r\n.\r\r\n.\r\n", "a\r\n\r\r\n", true, true, 0},
    {"a\r\n.\r.\r\n", "a\r\n\r.\r\n", false, true, 0},
    {"a\r\n..\n.\r\n", "a\r\n.\n.\r\n", false, true, 0},
    {"\n.\r\n", "\n.\r\n", false, true, 0},
    {"\r.\r\n", "\r.\r\n", false, true, 0},
    // Not yet complete.
    {"", "", false, false, 0},
    {"a\r\n", "a\r\n", false, false, 0},
    {"a\r\n.", "a\r\n", false, false, 0},
    {"a\r\n.\r", "a\r\n", false, false, 0},
    {"a\r", "a\r", false, false, 0},
    {std::string_view("a\0b\r\n.\r\n", 8), std::string_view("a\0b\r\n", 5), true, false, 0},
};

TEST_CASE("decode: table, one shot") {
  for (const Case& c : kCases) {
    CAPTURE(c.input);
    const Decoded got = decode(c.input);
    CHECK(got.out == c.out);
    CHECK(got.finished == c.finished);
    CHECK(got.bare == c.bare);
    if (c.finished) CHECK(c.input.size() - got.consumed == c.rest);
  }
}

TEST_CASE("decode: every pair of cuts gives what one shot gives") {
  for (const Case& c : kCases) {
    CAPTURE(c.input);
    const Decoded whole = decode(c.input);
    for (std::size_t a = 0; a <= c.input.size(); ++a) {
      for (std::size_t b = a; b <= c.input.size(); ++b) {
        CAPTURE(a, b);
        CHECK(decode(c.input, {a, b}) == whole);
      }
    }
    std::vector<std::size_t> each;
    for (std::size_t i = 1; i < c.input.size(); ++i) each.push_back(i);
    CHECK(decode(c.input, each) == whole);
  }
}

/// All strings over CR, LF, '.', 'x' of a length.
std::vector<std::string> all_strings(std::size_t length) {
  std::vector<std::string> all = {""};
  for (std::size_t i = 0; i < length; ++i) {
    std::vector<std::string> longer;
    for (const std::string& text : all) {
      for (char c : {'\r', '\n', '.', 'x'}) longer.push_back(text + c);
    }
    all = std::move(longer);
  }
  return all;
}

/// RFC 5321 §4.5.2, word for word, octet by octet: the reference.
Decoded reference(std::string_view input) {
  Decoded result;
  std::string line;
  bool cr = false;
  for (std::size_t i = 0; i < input.size(); ++i) {
    const char c = input[i];
    if (cr != (c == '\n')) result.bare = true;
    line.push_back(c);
    cr = c == '\r';
    result.consumed = i + 1;
    if (line.ends_with("\r\n")) {
      if (line == ".\r\n") {
        result.finished = true;
        return result;
      }
      result.out += line.starts_with('.') ? line.substr(1) : line;
      line.clear();
    }
  }
  result.out += line.starts_with('.') ? line.substr(1) : line;
  // A held back ".\r" and a CR at the end of what has come so far are not decided yet.
  if (line == ".\r") result.out.pop_back();
  return result;
}

TEST_CASE("decode: equals the reference on every short input") {
  for (std::size_t length = 0; length <= 7; ++length) {
    for (const std::string& text : all_strings(length)) {
      const Decoded want = reference(text);
      const Decoded got = decode(text);
      if (got != want) {
        CAPTURE(text);
        CHECK(got.out == want.out);
        CHECK(got.finished == want.finished);
        CHECK(got.consumed == want.consumed);
        CHECK(got.bare == want.bare);
      }
    }
  }
  SUCCEED();
}

TEST_CASE("encode: table") {
  CHECK(encode("") == ".\r\n");
  CHECK(encode("a\r\n") == "a\r\n.\r\n");
  CHECK(encode("a") == "a\r\n.\r\n");
  CHECK(encode("a\r") == "a\r\n.\r\n");
  CHECK(encode(".\r\n") == "..\r\n.\r\n");
  CHECK(encode(".") == "..\r\n.\r\n");
  CHECK(encode("a\r\n.b\r\n..\r\n") == "a\r\n..b\r\n...\r\n.\r\n");
  CHECK(encode("a.b") == "a.b\r\n.\r\n");
}

TEST_CASE("encode then decode is the message, any cut") {
  for (std::size_t length = 0; length <= 6; ++length) {
    for (const std::string& text : all_strings(length)) {
      LineEndCheck check;
      check.feed(text);
      if (check.bare(true)) continue;
      const std::string wire = encode(text);
      const Decoded got = decode(wire);
      REQUIRE(got.finished);
      REQUIRE_FALSE(got.bare);
      REQUIRE(got.consumed == wire.size());
      REQUIRE(got.out == (text.empty() || text.ends_with("\r\n") ? text : text + "\r\n"));
      for (std::size_t cut = 0; cut <= text.size(); ++cut) REQUIRE(encode(text, cut) == wire);
    }
  }
}

TEST_CASE("LineEndCheck: equals the reference, any cut") {
  for (std::size_t length = 0; length <= 6; ++length) {
    for (const std::string& text : all_strings(length)) {
      bool bare = false;
      for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\n' && (i == 0 || text[i - 1] != '\r')) bare = true;
        if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] != '\n') bare = true;
      }
      for (std::size_t cut = 0; cut <= text.size(); ++cut) {
        LineEndCheck check;
        check.feed(std::string_view(text).substr(0, cut));
        check.feed(std::string_view(text).substr(cut));
        CAPTURE(text, cut);
        REQUIRE(check.bare(false) == bare);
        REQUIRE(check.bare(true) == (bare || text.ends_with('\r')));
      }
    }
  }
}

TEST_CASE("bulk input") {
  std::string message;
  for (int i = 0; i < 20000; ++i) message += std::string(static_cast<std::size_t>(i % 90), '.') + "\r\n";
  const std::string wire = encode(message);
  CHECK(decode(wire).out == message);
  const std::string no_end(1U << 20U, 'x');
  CHECK(decode(no_end).out == no_end);
  const std::string returns(1U << 20U, '\r');
  CHECK(decode(returns).bare);
}

}  // namespace
}  // namespace kage::message
