// RFC 4180, row by row.
#include "app/csv.h"

#include <catch2/catch.hpp>

namespace kage::app {
namespace {

struct Read {
  std::vector<CsvRow> rows;
  std::string problem;
  std::size_t line = 0;
};

Read read_all(std::string_view text) {
  Read out;
  CsvReader reader(text);
  while (true) {
    CsvRow row;
    const auto more = reader.next(row);
    if (!more) {
      out.problem = more.error().detail;
      out.line = reader.line();
      return out;
    }
    if (!*more) return out;
    out.rows.push_back(row);
  }
}

using Fields = std::vector<std::string>;

}  // namespace

TEST_CASE("rows and fields") {
  const auto read = read_all(
      "\xEF\xBB\xBF"
      "a,b\r\n1,\"x,\"\"y\"\"\r\nz\"\n\n,\r\n\"\",last");
  CHECK(read.problem.empty());
  REQUIRE(read.rows.size() == 4);
  CHECK(read.rows[0].fields == Fields{"a", "b"});
  CHECK(read.rows[1].fields == Fields{"1", "x,\"y\"\r\nz"});
  CHECK(read.rows[1].line == 2);
  CHECK(read.rows[2].fields == Fields{"", ""});
  CHECK(read.rows[2].line == 5);
  CHECK(read.rows[3].fields == Fields{"", "last"});
  CHECK(read_all("").rows.empty());
  CHECK(read_all("\n\r\n\n").rows.empty());
  CHECK(read_all("a,").rows[0].fields == Fields{"a", ""});
}

TEST_CASE("what is refused, and where") {
  const std::string long_field(5000, 'x');
  struct Case {
    std::string text, problem;
    std::size_t line;
  };
  const std::vector<Case> cases = {
      {"a\nb\"c", "a quote inside a value that is not in quotes", 2},
      {"\"a\"b", "text after a closing quote", 1},
      {"a\n\"b\nc\n", "a quote that is never closed", 2},
      {"a\rb", "a carriage return without a line feed", 1},
      {long_field, "a value of more than 4096 octets", 1},
      {'"' + long_field + '"', "a value of more than 4096 octets", 1},
      {std::string(200, ','), "more than 100 columns", 1},
  };
  for (const Case& each : cases) {
    const auto read = read_all(each.text);
    CHECK(read.problem == each.problem);
    CHECK(read.line == each.line);
  }
}

TEST_CASE("a text cut at every octet ends") {
  const std::string text = "address,mailbox\r\n\"a \"\"b\"\"\"@x.example,c\r\n\"multi\r\nline\",d\n";
  for (std::size_t i = 0; i <= text.size(); ++i) {
    const auto read = read_all(std::string_view(text).substr(0, i));
    CHECK(read.rows.size() <= 3);
  }
}

}  // namespace kage::app
