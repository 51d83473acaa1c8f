// Header tokenizer and writer: original octets are kept, nothing is injected, lines stay within bounds.
#include "message/header.h"

#include <catch2/catch.hpp>

#include "message/utf8.h"

namespace kage::message {
namespace {

std::string joined(const std::vector<Field>& fields) {
  std::string all;
  for (const Field& field : fields) all += field.raw;
  return all;
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find("\r\n"), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 2, text.size()));
  }
  return lines;
}

std::string written(std::string_view name, std::string_view value) {
  std::string out;
  write_field(out, name, value);
  return out;
}

std::string written(std::string_view name, const std::vector<std::string>& tokens) {
  std::string out;
  write_field(out, name, tokens);
  return out;
}

TEST_CASE("tokenize: names and bodies") {
  struct Case {
    std::string_view block;
    std::vector<std::pair<std::string, std::string>> fields;  // name, body
  };
  const std::vector<Case> cases = {
      {"", {}},
      {"Subject: hi\r\n", {{"Subject", " hi"}}},
      {"Subject: hi", {{"Subject", " hi"}}},
      {"Subject:\r\n", {{"Subject", ""}}},
      {"A: 1\r\nB: 2\r\n", {{"A", " 1"}, {"B", " 2"}}},
      {"A: 1\nB: 2\n", {{"A", " 1"}, {"B", " 2"}}},
      {"A: 1\r\n 2\r\n\t3\r\nB: 4\r\n", {{"A", " 1\r\n 2\r\n\t3"}, {"B", " 4"}}},
      {"A: 1\n 2\nB: 4\n", {{"A", " 1\n 2"}, {"B", " 4"}}},
      {"A: 1\r\n   \r\nB: 2\r\n", {{"A", " 1\r\n   "}, {"B", " 2"}}},
      {"Subject \t: hi\r\n", {{"Subject", " hi"}}},
      {"Subject:\r\n folded\r\n", {{"Subject", "\r\n folded"}}},
      {"From taro@example.jp Thu Jan  1 00:00:00 2026\r\nA: 1\r\n",
       {{"", "From taro@example.jp Thu Jan  1 00:00:00 2026"}, {"A", " 1"}}},
      {"garbage\r\n more\r\nA: 1\r\n", {{"", "garbage\r\n more"}, {"A", " 1"}}},
      {" leading\r\nA: 1\r\n", {{"", " leading"}, {"A", " 1"}}},
      {": none\r\n", {{"", ": none"}}},
      {"two words: x\r\n", {{"", "two words: x"}}},
      {"N\xC3\xA4me: x\r\n", {{"", "N\xC3\xA4me: x"}}},
      {"garbage\r\n colon: here\r\n", {{"", "garbage\r\n colon: here"}}},
      {"A: 1\r\n\r\nB: 2\r\n", {{"A", " 1"}, {"", ""}, {"B", " 2"}}},
      {"A: x\ry\r\nB: 2\r\n", {{"A", " x\ry"}, {"B", " 2"}}},
      {std::string_view("A: x\0y\r\n", 8), {{"A", std::string(" x\0y", 4)}}},
      {"A: \x93\xFA\r\n", {{"A", " \x93\xFA"}}},
      {"a!#$%&'*+-.^_`|~z: x\r\n", {{"a!#$%&'*+-.^_`|~z", " x"}}},
      {"\r\n", {{"", ""}}},
      {"A: x\r", {{"A", " x"}}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.block);
    const auto fields = tokenize(c.block);
    REQUIRE(fields);
    CHECK(joined(*fields) == c.block);
    REQUIRE(fields->size() == c.fields.size());
    for (std::size_t i = 0; i < c.fields.size(); ++i) {
      CHECK((*fields)[i].name == c.fields[i].first);
      CHECK((*fields)[i].body == c.fields[i].second);
    }
  }
}

TEST_CASE("tokenize: a name has at most 200 octets") {
  CHECK((*tokenize(std::string(200, 'n') + ": x\r\n"))[0].name.size() == 200);
  CHECK((*tokenize(std::string(201, 'n') + ": x\r\n"))[0].name.empty());
}

TEST_CASE("tokenize: bounds") {
  HeaderLimits limits{.max_octets = 20, .max_fields = 2};
  CHECK(tokenize("A: 1\r\nB: 2\r\n", limits).has_value());
  CHECK(tokenize("A:1\r\nB:2\r\nC:3\r\n", limits).error().code == Errc::limit);
  CHECK(tokenize("garbage\r\nA:\r\nB:\r\n", limits).error().code == Errc::limit);
  CHECK(tokenize(std::string(20, 'x'), limits).has_value());
  CHECK(tokenize(std::string(21, 'x'), limits).error().code == Errc::limit);
}

TEST_CASE("tokenize: cut at every octet the raws are still the block") {
  const std::string block =
      "From mbox\r\nFrom: \"a\r\n b\" <a@b>\r\nX\r\n y\nSubject : \xE5\x90\x8D\r\n\r\n\t\r\nTo:\rz\r\n";
  for (std::size_t cut = 0; cut <= block.size(); ++cut) {
    const auto fields = tokenize(std::string_view(block).substr(0, cut));
    REQUIRE(fields);
    CHECK(joined(*fields) == block.substr(0, cut));
  }
}

TEST_CASE("Field::is ignores case") {
  const auto fields = *tokenize("MESSAGE-id: <a@b>\r\nx\r\n");
  CHECK(fields[0].is("Message-ID"));
  CHECK_FALSE(fields[0].is("Message"));
  CHECK_FALSE(fields[1].is("x"));
}

TEST_CASE("unfold") {
  CHECK(unfold(" a\r\n b") == "a b");
  CHECK(unfold(" a\r\n\t b \r\n ") == "a\t b");
  CHECK(unfold("\r\n a") == "a");
  CHECK(unfold(" a\n b") == "a b");
  CHECK(unfold("").empty());
  // What write_field drops must not hide anything from who looks at the unfolded text.
  CHECK(unfold(std::string_view(" a@\rb.ex\0ample", 14)) == "a@b.example");
}

TEST_CASE("HeaderEnd: any growth gives the same end") {
  struct Case {
    std::string_view text;
    std::size_t end;
  };
  const std::vector<Case> cases = {
      {"\r\nbody", 2},
      {"\nbody", 1},
      {"A: 1\r\n\r\nbody", 8},
      {"A: 1\n\nbody", 6},
      {"A: 1\n\r\nbody", 7},
      {"A: 1\r\n\nbody", 7},
      {"A: 1\r\n \r\n\r\n", 11},
      {"A: 1\r\n\rx\r\n\r\n", 12},
      {"\r\rA\n\n", 5},
      {"A: 1\r\n", HeaderEnd::npos},
      {"A: 1\r\n\r", HeaderEnd::npos},
      {"", HeaderEnd::npos},
      {"\r", HeaderEnd::npos},
  };
  for (const Case& c : cases) {
    CAPTURE(c.text);
    CHECK(HeaderEnd().find(c.text) == c.end);
    for (std::size_t step = 1; step <= 3; ++step) {
      HeaderEnd end;
      std::size_t found = HeaderEnd::npos;
      for (std::size_t size = 0; found == HeaderEnd::npos && size < c.text.size() + step; size += step) {
        found = end.find(c.text.substr(0, std::min(size, c.text.size())));
      }
      CHECK(found == c.end);
    }
  }
}

TEST_CASE("write_field: plain") {
  CHECK(written("Subject", "hi there") == "Subject: hi there\r\n");
  CHECK(written("Subject", "") == "Subject:\r\n");
  CHECK(written("Subject", "  hi  ") == "Subject:  hi\r\n");
  CHECK(written("Subject", "a\tb") == "Subject: a\tb\r\n");
}

TEST_CASE("write_field: nothing can inject a field or a name") {
  CHECK(written("Subject", "a\r\nBcc: x@y\r\n\r\nbody") == "Subject: aBcc: x@ybody\r\n");
  CHECK(written("Subject", std::string_view("a\0b", 3)) == "Subject: ab\r\n");
  CHECK(written("Sub\r\nject: x", "a") == "Subjectx: a\r\n");
  CHECK(written("To", std::vector<std::string>{"a\r\n", "\nb"}) == "To: a b\r\n");
}

TEST_CASE("write_field: folds at white space below 78") {
  std::string value;
  for (int i = 0; i < 60; ++i) value += (i > 0 ? " word" : "word") + std::to_string(i);
  const std::string out = written("Subject", value);
  const auto lines = lines_of(out);
  REQUIRE(lines.size() > 5);
  for (const auto line : lines) CHECK(line.size() <= 78);
  CHECK(unfold((*tokenize(out))[0].body) == value);
}

TEST_CASE("write_field: no line holds white space only, none passes 998") {
  const std::vector<std::string> values = {
      std::string(3000, 'x'),
      "a" + std::string(3000, ' ') + "b",
      "a " + std::string(3000, 'x') + " b",
      std::string(500, ' ') + "a" + std::string(990, '\t') + std::string(997, 'y'),
      std::string(990, 'a') + " b",
      std::string(2000, '\x80'),
  };
  for (const std::string& value : values) {
    for (const std::string& name : {std::string("X"), std::string(300, 'n')}) {
      const std::string out = written(name, value);
      const auto fields = tokenize(out);
      REQUIRE(fields);
      REQUIRE(fields->size() == 1);
      CHECK_FALSE((*fields)[0].name.empty());
      for (const auto line : lines_of(out)) {
        CHECK(line.size() <= 998);
        CHECK(line.find_first_not_of(" \t") != std::string_view::npos);
      }
    }
  }
}

TEST_CASE("write_field: UTF-8 is never cut inside a character") {
  for (std::size_t shift = 0; shift < 4; ++shift) {
    std::string value(shift, 'a');
    for (int i = 0; i < 1500; ++i) value += "\xE5\xB1\xB1";
    const std::string out = written("Subject", value);
    for (const auto line : lines_of(out)) {
      CHECK(is_valid_utf8(line));
      CHECK(line.size() <= 998);
    }
  }
}

TEST_CASE("write_field: tokens are not broken") {
  std::vector<std::string> tokens;
  for (int i = 0; i < 40; ++i)
    tokens.push_back("\"Taro Yamada " + std::to_string(i) + "\" <taro@example.jp>,");
  const std::string out = written("To", tokens);
  for (const auto line : lines_of(out)) {
    CHECK(line.size() <= 78);
    CHECK(line.ends_with(">,"));
  }
  const std::string id = "<" + std::string(600, 'i') + "@example.jp>";
  const std::string ids = written("References", std::vector<std::string>{id, id, id});
  const auto lines = lines_of(ids);
  REQUIRE(lines.size() == 3);
  CHECK(lines[0] == "References: " + id);
  CHECK(lines[1] == " " + id);
  CHECK(written("To", std::vector<std::string>{}) == "To:\r\n");
  CHECK(written("To", std::vector<std::string>{"", " ", "a"}) == "To: a\r\n");
}

TEST_CASE("write_field: a token that no line can hold is folded as text") {
  const std::string out = written("X", std::vector<std::string>{std::string(5000, 'x'), "y"});
  for (const auto line : lines_of(out)) CHECK(line.size() <= 998);
  CHECK(tokenize(out)->size() == 1);
}

TEST_CASE("a hostile block is one pass") {
  HeaderLimits limits{.max_octets = 64U << 20U, .max_fields = 10};
  const std::string folds = "A:" + [] {
    std::string text;
    for (int i = 0; i < 1000000; ++i) text += "\r\n x";
    return text;
  }();
  REQUIRE(tokenize(folds, limits)->size() == 1);
  HeaderEnd end;
  std::size_t found = 0;
  for (std::size_t size = 0; size < folds.size(); size += 1000) {
    found += end.find(std::string_view(folds).substr(0, size)) != HeaderEnd::npos ? 1 : 0;
  }
  CHECK(found == 0);
}

}  // namespace
}  // namespace kage::message
