// Commands of an IMAP client: the split, search keys, arguments of SORT and THREAD.
#include <algorithm>
#include <string>

#include "proxy/imap/command.h"
#include "proxy/search/request.h"
#include "tests/fuzz/fuzz.h"

namespace {

using kage::fuzz::require;
using namespace kage::proxy;

/// Nothing in it ends a line but what stands in its literals.
void check_one_line(std::string_view text) {
  ImapCursor cursor(text);
  while (!cursor.at_end()) {
    if ((cursor.peek() == '"' || cursor.peek() == '{') && cursor.skip_string()) continue;
    const char c = cursor.peek();
    require(c != '\r' && c != '\n' && c != '\0', "line ends stand in literals only");
    cursor.take(c);
  }
}

void check_cursor(std::string_view text) {
  ImapCursor values(text);
  const std::size_t begin = values.offset();
  const auto value = values.value(8);
  require(value ? values.offset() == begin + value->size() : values.offset() == begin,
          "a value is consumed whole or not at all");
  ImapCursor strings(text);
  if (const auto string = strings.string()) {
    require(string->size() <= text.size(), "a string is no longer than what it is written as");
    const std::string written = imap_string(*string, true);
    ImapCursor again(written);
    require(again.string() == string && again.at_end(), "a string reads as it was written");
  }
}

void check_search(const ImapCommand& command, bool gmail) {
  const auto request = parse_search(command, {.gmail = gmail});
  if (!request) {
    require(request.error().name == "BAD" || request.error().name == "NO", "a refusal says BAD or NO");
    return;
  }
  require(!request->keys.empty() && request->keys.size() <= 1001, "keys are bounded");
  require(request->keys[0].end == request->keys.size(), "the first key is the whole");
  std::vector<std::string> instead(request->keys.size(), "UID 1");
  const std::string written = write_keys(request->keys, 0, instead);
  require(std::ranges::none_of(written, [](char c) { return c == '\r' || c == '\n' || c == '\0'; }),
          "what goes upstream is one line");
  const auto again = parse_search({.tag = "a", .name = "SEARCH", .rest = written}, {.gmail = gmail});
  require(again.has_value(), "what goes upstream is a search again");
  require(write_keys(again->keys, 0) == written, "and the same one");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(kage::fuzz::text_of(data, size));
  check_cursor(text);
  (void)is_sequence_set(text, 100);
  (void)literal_mark(text);
  const auto command = parse_command(text);
  if (!command) return 0;
  check_one_line(command->rest);
  require(text.ends_with(command->rest), "the rest is the command's end");
  check_search(*command, false);
  check_search(*command, true);
  return 0;
}
