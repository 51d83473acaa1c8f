// The keys are read with parse_search(), which has tests of its own, and judged on the stored octets.
#include "fake_mailbox.h"

#include <algorithm>

#include "base/text.h"
#include "message/header.h"
#include "proxy/imap/command.h"
#include "proxy/search/request.h"

namespace kage::proxy::test {

namespace {

std::size_t header_size(std::string_view octets) {
  const std::size_t end = octets.find("\r\n\r\n");
  return end == octets.npos ? octets.size() : end + 4;
}

bool has(std::string_view text, std::string_view needle) {
  return lower(text).find(lower(needle)) != std::string::npos;
}

bool field_has(std::string_view octets, const SearchKey& key) {
  const auto fields = message::tokenize(octets.substr(0, header_size(octets)));
  return fields && std::ranges::any_of(*fields, [&](const message::Field& field) {
           return field.is(key.name) && has(message::unfold(field.body), key.value);
         });
}

using Ranges = std::vector<std::pair<std::uint32_t, std::uint32_t>>;

Ranges ranges_of(std::string_view set, std::uint32_t last) {
  Ranges ranges;
  while (!set.empty()) {
    const std::size_t comma = std::min(set.find(','), set.size());
    const auto range = set.substr(0, comma);
    const std::size_t colon = range.find(':');
    const auto value = [&](std::string_view word) {
      return word == "*" ? last : static_cast<std::uint32_t>(parse_number(word).value());
    };
    const auto a = value(range.substr(0, colon));
    const auto b = colon == range.npos ? a : value(range.substr(colon + 1));
    ranges.emplace_back(std::min(a, b), std::max(a, b));
    set.remove_prefix(std::min(comma + 1, set.size()));
  }
  return ranges;
}

bool in_ranges(const Ranges& ranges, std::uint32_t number) {
  return std::ranges::any_of(
      ranges, [&](const auto& range) { return number >= range.first && number <= range.second; });
}

bool in_set(std::string_view set, std::uint32_t number, std::uint32_t last) {
  return in_ranges(ranges_of(set, last), number);
}

/// Lines behind the header that have no ": ".
std::string without_fields(std::string_view octets) {
  std::string out;
  octets.remove_prefix(header_size(octets));
  while (!octets.empty()) {
    const auto line = octets.substr(0, octets.find('\n') + 1);
    if (line.find(": ") == line.npos) out += line;
    octets.remove_prefix(line.empty() ? octets.size() : line.size());
  }
  return out;
}

struct Judge {
  const std::vector<SearchKey>& keys;
  const StoredMessage& message;
  std::uint32_t number, count, last_uid;
  bool plain_bodies;

  [[nodiscard]] bool holds(std::size_t at) const {
    const SearchKey& key = keys[at];
    const std::string_view octets = message.octets;
    std::vector<bool> parts;
    switch (key.kind) {
      case SearchKey::Kind::field:
        return field_has(octets, key);
      case SearchKey::Kind::text:
        return has(octets, key.value);
      case SearchKey::Kind::body:
        return has(plain_bodies ? without_fields(octets) : octets.substr(header_size(octets)), key.value);
      case SearchKey::Kind::plain:
        if (key.written == "ALL" || key.written == "SEEN") return true;
        if (key.written == "UNSEEN") return false;
        if (key.written.starts_with("UID ")) return in_set(key.written.substr(4), message.uid, last_uid);
        return in_set(key.written, number, count);
      default:
        for (std::size_t i = at + 1; i < key.end; i = keys[i].end) parts.push_back(holds(i));
    }
    if (key.kind == SearchKey::Kind::negation) return !parts.at(0);
    if (key.kind == SearchKey::Kind::any_of) return parts.at(0) || parts.at(1);
    return std::ranges::all_of(parts, [](bool part) { return part; });
  }
};

}  // namespace

FakeMailbox::FakeMailbox(net::Loop& loop, std::vector<StoredMessage> messages)
    : messages_(std::move(messages)), out_(std::make_shared<net::testing::Transcript>(loop)) {}

net::Task<Result<std::string_view>> FakeMailbox::read() {
  return out_.read();
}

net::Task<Result<>> FakeMailbox::write(std::string_view data) {
  pending_ += data;
  while (true) {
    // A command ends with a line end that no literal announces.
    std::size_t end = 0;
    while (true) {
      const std::size_t line_end = pending_.find("\r\n", end);
      if (line_end == pending_.npos) co_return Result<>();
      const auto mark = literal_mark(std::string_view(pending_).substr(0, line_end));
      if (!mark) {
        end = line_end;
        break;
      }
      if (!mark->non_sync && pending_.size() == line_end + 2) out_.transcript()->give("+ go on\r\n");
      end = line_end + 2 + mark->size;
      if (pending_.size() < end) co_return Result<>();
    }
    run(std::string_view(pending_).substr(0, end));
    pending_.erase(0, end + 2);
  }
}

net::Task<Result<>> FakeMailbox::shutdown() {
  return out_.shutdown();
}
void FakeMailbox::close() {
  out_.close();
}
void FakeMailbox::set_deadline(std::optional<net::TimePoint> at) {
  out_.set_deadline(at);
}
net::Loop& FakeMailbox::loop() {
  return out_.loop();
}

void FakeMailbox::run(std::string_view line) {
  const std::size_t space = line.find(' ');
  const auto tag = line.substr(0, space);
  const auto command = line.substr(space + 1);
  commands.emplace_back(command);
  const std::string result = answer(tag, command);
  out_.transcript()->give(std::exchange(beside, {}) + result + std::string(tag) +
                          (result.empty() ? " BAD what\r\n" : " OK done\r\n"));
}

std::string FakeMailbox::answer(std::string_view tag, std::string_view command) {
  if (command.find("FETCH ") != command.npos) return fetch(command);
  if (command.find("SEARCH ") != command.npos || command.find("SORT ") != command.npos) {
    return search(tag, command);
  }
  if (command.find("THREAD ") != command.npos) return "* THREAD (1)(2 3)\r\n";
  return {};
}

std::string FakeMailbox::search(std::string_view tag, std::string_view command) {
  const auto parsed = parse_command("t " + std::string(command));
  if (!parsed) return {};
  const auto request = parse_search(*parsed, {});
  if (!request) return {};
  const bool sort = request->verb == SearchRequest::Verb::sort;
  std::string numbers;
  auto count = static_cast<std::uint32_t>(messages_.size());
  for (std::uint32_t n = 1; n <= count; ++n) {
    // SORT: the last comes first.
    const std::uint32_t number = sort ? count + 1 - n : n;
    const StoredMessage& message = messages_[number - 1];
    if (!Judge{request->keys, message, number, count, messages_.back().uid, body_without_headers}.holds(0))
      continue;
    if (!numbers.empty()) numbers += rev2 ? ',' : ' ';
    numbers += std::to_string(request->uid ? message.uid : number);
  }
  if (sort) return "* SORT " + numbers + "\r\n";
  if (!rev2 && !request->returns) return "* SEARCH " + numbers + "\r\n";
  const std::string all = numbers.empty() ? "" : " ALL " + numbers;
  return "* ESEARCH (TAG \"" + std::string(tag) + "\")" + (request->uid ? " UID" : "") + all + "\r\n";
}

std::string FakeMailbox::fetch(std::string_view command) {
  const bool uid = command.starts_with("UID ");
  ImapCursor cursor(command.substr(uid ? 10 : 6));
  const auto last = uid ? messages_.back().uid : static_cast<std::uint32_t>(messages_.size());
  const Ranges ranges = ranges_of(cursor.atom(), last);
  const bool header = command.find("[HEADER]") != command.npos;
  std::string out;
  for (std::uint32_t number = 1; number <= messages_.size(); ++number) {
    const StoredMessage& message = messages_[number - 1];
    if (!in_ranges(ranges, uid ? message.uid : number)) continue;
    const auto octets =
        std::string_view(message.octets).substr(0, header ? header_size(message.octets) : SIZE_MAX);
    out += "* " + std::to_string(number) + " FETCH (" +
           (uid ? "UID " + std::to_string(message.uid) + " " : "") + (header ? "BODY[HEADER]" : "BODY[]<0>") +
           " {" + std::to_string(octets.size()) + "}\r\n";
    out.append(octets).append(")\r\n");
  }
  return out;
}

}  // namespace kage::proxy::test
