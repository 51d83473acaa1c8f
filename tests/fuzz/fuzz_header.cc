// Header blocks: nothing is lost in cutting them into fields, nothing is injected in writing one.
#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "message/header.h"
#include "message/mime.h"
#include "message/utf8.h"
#include "tests/fuzz/fuzz.h"

namespace {

using kage::fuzz::require;
using namespace kage::message;

void check_written(const std::string& out) {
  const auto fields = tokenize(out, {.max_octets = SIZE_MAX, .max_fields = SIZE_MAX});
  require(fields.has_value() && fields->size() == 1 && !(*fields)[0].name.empty(),
          "what is written is one field");
  for (std::size_t begin = 0; begin < out.size();) {
    const std::size_t end = out.find("\r\n", begin);
    require(end != std::string::npos, "lines end with CRLF");
    const std::string_view line = std::string_view(out).substr(begin, end - begin);
    require(line.size() <= 998, "no line passes 998");
    require(line.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos,
            "no bare line ends, no NUL");
    require(line.find_first_not_of(" \t") != std::string_view::npos, "no line of white space only");
    begin = end + 2;
  }
}

void check_write(const Field& field) {
  const std::string value = unfold(field.body);
  std::string out;
  write_field(out, "X-Test", value);
  check_written(out);
  const bool utf8 = is_valid_utf8(value);
  require(!utf8 || is_valid_utf8(out), "UTF-8 stays UTF-8");
  const std::string back = unfold((*tokenize(out))[0].body);
  const auto without_space = [](std::string text) {
    std::erase_if(text, [](char c) { return c == ' ' || c == '\t'; });
    return text;
  };
  require(without_space(back) == without_space(value), "only white space changes in folding");

  std::vector<std::string> tokens;
  for (std::size_t at = 0; at < value.size(); at += 50) tokens.push_back(value.substr(at, 50));
  std::string list;
  write_field(list, field.name.empty() ? "X-Test" : field.name, tokens);
  check_written(list);
}

void check_parameters(const Field& field) {
  const auto parsed = parse_parameters(field.body);
  if (!parsed) return;
  for (const Parameter& parameter : parsed->parameters) {
    require(is_valid_utf8(parameter.value), "parameter values are UTF-8");
    const auto again = parse_parameters("x; " + write_parameter(parameter.name, parameter.value));
    std::string value = parameter.value;
    std::erase_if(value, [](char c) { return c == '\r' || c == '\n' || c == '\0'; });
    value.resize(utf8_floor(value, 1000));
    require(again && again->parameters.size() == 1 && again->parameters[0].value == value,
            "a written parameter is read back");
  }
}

void check_end(std::string_view block) {
  const std::size_t whole = HeaderEnd().find(block);
  HeaderEnd growing;
  std::size_t found = HeaderEnd::npos;
  for (std::size_t size = 0; size <= block.size() && found == HeaderEnd::npos; ++size) {
    found = growing.find(block.substr(0, size));
  }
  require(whole == found, "the end is found whatever the cut");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view block = kage::fuzz::text_of(data, size);
  check_end(block);
  const auto fields = tokenize(block);
  if (!fields) return 0;
  std::string all;
  for (const Field& field : *fields) {
    all += field.raw;
    check_write(field);
    check_parameters(field);
  }
  require(all == block, "the raws are the block");
  return 0;
}
