// The upstream's side of FETCH, as simple as can be.
#include "fetch_rig.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <stdexcept>

#include "base/text.h"
#include "message/header.h"

namespace kage::proxy::test {
namespace {

using mapping::test::await;

struct School {
  mapping::test::RedisServer redis;
  mapping::test::KeyFile key;
  mapping::test::Client tool{redis};
  mapping::test::Node node{redis, key};
  School() {
    if (!tool.apply(mapping::test::small_spec())) throw std::runtime_error("no routes");
    if (!node.refresh()) throw std::runtime_error("no node");
  }
  static School& instance() {
    static School school;
    return school;
  }
};

std::vector<std::uint32_t> numbers_of(std::string_view set, std::uint32_t last) {
  std::vector<std::uint32_t> all;
  while (!set.empty()) {
    const std::size_t comma = std::min(set.find(','), set.size());
    const std::string_view range = set.substr(0, comma);
    const std::size_t colon = range.find(':');
    const auto number = [&](std::string_view text) {
      return text == "*" ? last : static_cast<std::uint32_t>(parse_number(text).value());
    };
    const std::uint32_t low = number(range.substr(0, colon));
    const std::uint32_t high = colon == std::string_view::npos ? low : number(range.substr(colon + 1));
    for (std::uint32_t n = low; n <= std::min(high, last); ++n) all.push_back(n);
    set.remove_prefix(std::min(comma + 1, set.size()));
  }
  return all;
}

/// The fields of a header that "HEADER.FIELDS (FROM TO)" names; of "HEADER" all.
std::string fields_of(std::string_view section, const std::string& header) {
  const std::size_t open = section.find('(');
  if (open == std::string_view::npos) return header;
  const std::string names = " " + std::string(section.substr(open + 1, section.size() - open - 2)) + " ";
  std::string out;
  const std::size_t end = header.find("\r\n\r\n");
  for (const message::Field& field : message::tokenize(std::string_view(header).substr(0, end + 2)).value()) {
    if (names.find(" " + upper(field.name) + " ") != std::string::npos) out += field.raw;
  }
  return out + "\r\n";
}

constexpr std::string_view kStructure =
    R"((("TEXT" "PLAIN" NIL NIL NIL "7BIT" 5 0)("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 400 )"
    R"((NIL "meeting" NIL NIL NIL NIL NIL NIL NIL NIL)("TEXT" "PLAIN" NIL NIL NIL "7BIT" 12 1) 10) "MIXED"))";

}  // namespace

net::Task<Result<>> FakeUpstream::write(std::string_view data) {
  while (!data.empty()) {
    const std::size_t end = data.find("\r\n");
    answer(data.substr(0, end));
    data.remove_prefix(end + 2);
  }
  co_return Result<>();
}

void FakeUpstream::answer(std::string_view line) {
  const std::size_t space = line.find(' ');
  const std::string_view tag = line.substr(0, space);
  std::string_view command = line.substr(space + 1);
  commands.emplace_back(command);
  std::string text;
  const auto scripted = script ? script(tag, command) : std::nullopt;
  if (scripted) {
    text = *scripted;
  } else {
    const bool uid = command.starts_with("UID ");
    if (uid) command.remove_prefix(4);
    REQUIRE(command.starts_with("FETCH "));
    command.remove_prefix(6);
    const std::string_view set = command.substr(0, command.find(' '));
    std::string_view items = command.substr(set.size() + 2);
    items = items.substr(0, items.rfind(')'));
    const std::uint32_t last =
        uid ? (messages.empty() ? 0 : messages.back().uid) : static_cast<std::uint32_t>(messages.size());
    for (const std::uint32_t wanted : numbers_of(set, last)) {
      for (std::uint32_t n = 1; n <= messages.size(); ++n) {
        if ((uid ? messages[n - 1].uid : n) != wanted) continue;
        if (before) text += before(n);
        text += response(n, items);
      }
    }
    text += std::string(tag) + " OK Fetch completed.\r\n";
  }
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t size = std::min(cut, text.size() - at);
    transcript->give(text.substr(at, size));
    at += size;
  }
}

std::string FakeUpstream::response(std::uint32_t number, std::string_view items) {
  const FakeMessage& message = messages[number - 1];
  std::string text = "* " + std::to_string(number) + " FETCH (";
  bool first = true;
  while (!items.empty()) {
    const std::size_t names = items.starts_with("BODY.PEEK[HEADER.FIELDS ") ? items.find(')') : 0;
    const std::size_t space = std::min(items.find(' ', names), items.size());
    const std::string_view item = items.substr(0, space);
    items.remove_prefix(std::min(space + 1, items.size()));
    if (!first) text += ' ';
    first = false;
    const std::size_t open = item.find('[');
    if (open == std::string_view::npos) {
      text += std::string(item) + " ";
      if (item == "UID")
        text += std::to_string(message.uid);
      else if (item == "FLAGS")
        text += "(\\Seen)";
      else if (item == "ENVELOPE")
        text += message.envelope;
      else if (item.starts_with("BODY"))
        text += message.structure;
      else
        text += "42";
      continue;
    }
    const std::size_t close = item.find(']');
    const std::string section(item.substr(open + 1, close - open - 1));
    text += (item.starts_with("BINARY") ? "BINARY[" : "BODY[") + section + "]";
    const auto found = message.sections.find(section.substr(0, section.find(".FIELDS")));
    std::string octets = found == message.sections.end() ? "" : fields_of(section, found->second);
    std::string_view part = item.substr(close + 1);
    if (!part.empty()) {
      const std::size_t dot = part.find('.');
      const std::uint64_t offset = parse_number(part.substr(1, dot - 1)).value();
      const std::uint64_t count = parse_number(part.substr(dot + 1, part.size() - dot - 2)).value();
      text += "<" + std::to_string(offset) + ">";
      octets = offset < octets.size() ? octets.substr(offset, count) : "";
    }
    if (found == message.sections.end()) {
      text += " NIL";
    } else {
      text += " {" + std::to_string(octets.size()) + "}\r\n" + octets;
      octets_asked += octets.size();
    }
  }
  return text + ")\r\n";
}

FetchRig::FetchRig()
    : node(School::instance().node),
      upstream(node.loop),
      client_transcript(std::make_shared<net::testing::Transcript>(node.loop)),
      client(client_transcript),
      client_reader(client),
      out(client, node.directory),
      in(upstream),
      core{node.loop, node.directory, view, &client, client_reader, out, &upstream, in, {}, {}} {
  core.audience.routes = node.directory.known_routes().value();
  const auto members = core.audience.routes->find_login("officer@gmail.example");
  core.audience.members.assign(members.begin(), members.end());
  core.selected = true;
  core.selection = 1;
}

std::string FetchRig::run(std::string_view line) {
  auto command = parse_command("t " + std::string(line)).value();
  const auto status = await(node.loop, run_fetch(core, memory, std::move(command)));
  if (status) {
    const auto flushed = await(node.loop, out.flush());
    REQUIRE(flushed);
  }
  raw_ = std::exchange(client_transcript->output, {});
  return status ? status->name : "!" + std::string(to_string(status.error().code));
}

namespace {

net::Task<void> read_told(ImapReader& reader, std::vector<Told>& all, bool& clean) {
  while (true) {
    const auto response = co_await reader.next();
    if (!response) {
      clean = response.error().code == Errc::closed;
      co_return;
    }
    while (response->name == "FETCH") {
      ImapFetchItem item;
      const auto more = co_await reader.next_item(item);
      if (!more) co_return;
      if (!*more) break;
      Told told{response->number, item.name, item.value, item.streams};
      while (item.streams) {
        const auto octets = co_await reader.chunk();
        if (!octets) co_return;
        if (octets->empty()) break;
        told.value += *octets;
      }
      all.push_back(std::move(told));
    }
  }
}

}  // namespace

std::vector<Told> FetchRig::told() const {
  net::Loop loop;
  net::testing::MemoryStream stream(loop, raw_);
  ImapReader reader(stream);
  std::vector<Told> all;
  bool clean = false;
  net::testing::run_on_loop(loop, read_told(reader, all, clean));
  INFO(raw_.substr(0, 2000));
  REQUIRE(clean);
  return all;
}

std::string FetchRig::value(std::string_view name) const {
  std::vector<std::string> found;
  for (const auto& item : told()) {
    if (item.name == name) found.push_back(item.value);
  }
  INFO(name << " in " << raw_.substr(0, 2000));
  REQUIRE(found.size() == 1);
  return found.front();
}

std::string FetchRig::visible(std::string_view message) {
  auto walker = mapping::VisibleMessage::whole(view, core.audience);
  std::string shown;
  while (!message.empty()) shown += walker.next(message);
  for (auto last = walker.finish(); !last.empty(); last = walker.finish()) shown += last;
  return shown;
}

FakeMessage fake_message(std::uint32_t uid, std::string_view header, std::string_view body) {
  FakeMessage message;
  message.uid = uid;
  message.sections["HEADER"] = header;
  message.sections["TEXT"] = body;
  message.sections[""] = std::string(header) + std::string(body);
  return message;
}

std::string header(std::string_view more) {
  return "Return-Path: <" + std::string(kStranger) +
         ">\r\n"
         "Received: from mail.real-person.example (mail.real-person.example [192.0.2.7])\r\n"
         "\tby mx.gmail.example with ESMTPS id 8xyz for <officer@gmail.example>; Sun, 22 Nov 2026 04:00:00 "
         "+0900\r\n"
         "From: Hanako <" +
         std::string(kStranger) +
         ">\r\n"
         "To: pta@school.example\r\n"
         "Subject: meeting\r\n"
         "Date: Sun, 22 Nov 2026 04:00:00 +0900\r\n"
         "Message-ID: <1@real-person.example>\r\n" +
         std::string(more) + "\r\n";
}

std::string nested_body() {
  return "preamble\r\n--b1\r\nContent-Type: text/plain\r\n\r\nhello\r\n"
         "--b1\r\nContent-Type: message/rfc822\r\nX-Origin: real-person.example\r\n\r\n" +
         header() + "inner text\r\n--b1--\r\nepilogue\r\n";
}

FakeMessage nested_message(std::uint32_t uid) {
  FakeMessage message = fake_message(uid, header(kMultipart), nested_body());
  message.structure = kStructure;
  message.envelope =
      R"(("Sun, 22 Nov 2026 04:00:00 +0900" "meeting" (("Hanako" NIL "hanako.canary" "real-person.example")) )"
      R"((("Hanako" NIL "hanako.canary" "real-person.example")) )"
      R"((("Hanako" NIL "hanako.canary" "real-person.example")) ((NIL NIL "pta" "school.example")) )"
      R"(NIL NIL NIL "<1@real-person.example>"))";
  message.sections["1"] = "hello";
  message.sections["2"] = header() + "inner text";
  message.sections["2.HEADER"] = header();
  message.sections["2.TEXT"] = message.sections["2.1"] = "inner text";
  message.sections["2.MIME"] = "Content-Type: message/rfc822\r\nX-Origin: real-person.example\r\n\r\n";
  return message;
}

bool leaks(std::string_view text) {
  return text.find("real-person") != std::string_view::npos || text.find("canary") != std::string_view::npos;
}

}  // namespace kage::proxy::test
