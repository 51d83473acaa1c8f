// `kagemusha phantoms`: who may be written to behind a public address, as phantoms, with days and names where
// the address collects them. Never a correspondent's address.
#include <fmt/format.h>

#include <algorithm>

#include "app/command_session.h"
#include "app/commands.h"
#include "app/terminal.h"
#include "base/clock.h"
#include "mapping/store/phantom_list.h"

namespace kage::app {
namespace {

constexpr std::size_t kFlush = 64UL * 1024;
constexpr std::int64_t kDayMillis = 86'400'000;

std::string day(std::uint16_t days) {
  return rfc3339_time(days * kDayMillis).substr(0, 10);
}

/// A value of CSV (RFC 4180). A spreadsheet takes what begins like a formula for one: an apostrophe says that
/// it is text.
std::string csv_value(std::string_view text) {
  std::string out = "\"";
  if (!text.empty() && std::string_view("=+-@\t\r").find(text.front()) != std::string_view::npos) out += '\'';
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + "\"";
}

/// Writes rows as they come, in pieces.
class Rows {
 public:
  explicit Rows(std::string format) : format_(std::move(format)) {}

  void begin() {
    if (format_ == "csv") out_ += "phantom,name,first,last,member\r\n";
    if (format_ == "json") out_ += "[";
    if (format_ == "table") {
      out_ += coloured(Colour::bold, fmt::format("{:<44}  {:<10}  {:<10}  {:<24}  {}", "PHANTOM", "FIRST",
                                                 "LAST", "MEMBER", "NAME")) +
              "\n";
    }
  }

  void add(const mapping::ListedPhantom& phantom) {
    const std::string address = phantom.local + "@" + phantom.member.address->domain->phantom_domain;
    const std::string& member = phantom.member.spec.mailbox.spelling;
    // What was kept before the policy said "hide" is in Redis until that correspondent writes again.
    const bool named = phantom.seen && phantom.member.address->spec.name == mapping::NamePolicy::keep;
    const std::string name = named ? phantom.seen->name : std::string();
    const std::string first = phantom.seen ? day(phantom.seen->first) : std::string();
    const std::string last = phantom.seen ? day(phantom.seen->last) : std::string();
    if (format_ == "csv") {
      out_ += fmt::format("{},{},{},{},{}\r\n", address, csv_value(name), first, last, csv_value(member));
    } else if (format_ == "json") {
      out_ += fmt::format(R"({}{{"phantom":{},"name":{},"first":{},"last":{},"member":{}}})",
                          count_ > 0 ? ",\n" : "\n", json_string(address), json_string(name),
                          json_string(first), json_string(last), json_string(member));
    } else {
      out_ += fmt::format("{:<44}  {:<10}  {:<10}  {:<24}  {}\n", address, first, last, printable(member),
                          printable(name));
    }
    ++count_;
    if (out_.size() >= kFlush) flush();
  }

  void end() {
    if (format_ == "json") out_ += count_ > 0 ? "\n]\n" : "]\n";
    flush();
  }

  [[nodiscard]] std::size_t count() const { return count_; }

 private:
  void flush() {
    print(out_);
    out_.clear();
  }

  std::string format_;
  std::string out_;
  std::size_t count_ = 0;
};

/// The members whose phantoms are wanted; none when what was asked for does not exist, which is then said.
std::unordered_set<mapping::MemberId> wanted_members(const mapping::PublicAddress& address,
                                                     const Command& command) {
  std::unordered_set<mapping::MemberId> members;
  if (!command.mailbox.empty()) {
    if (const auto* member = find_member(address, command.mailbox)) members.insert(member->id);
    return members;
  }
  for (const mapping::Member* member : address.members) members.insert(member->id);
  if (members.empty()) print_error("kagemusha: nobody stands behind this public address\n");
  return members;
}

net::Task<int> list(CommandSession& session, const Command& command) {
  const auto* address = find_address(*session.routes, command.address);
  if (address == nullptr) co_return 1;
  auto members = wanted_members(*address, command);
  if (members.empty()) co_return 1;
  if (!command.all && !address->spec.collect) {
    print_error(
        "kagemusha: this public address does not collect who wrote. Say --all for every phantom,\n"
        "or set `collect = true` in the routes file: it lists those who write from then on.\n");
    co_return 1;
  }
  const auto rows = std::make_unique<Rows>(command.format);
  auto progress = std::make_unique<Progress>("phantoms looked at", 100'000);
  rows->begin();
  const auto done = co_await mapping::list_phantoms(
      session.redis, session.routes, std::move(members),
      [&rows, all = command.all](const mapping::ListedPhantom& phantom) {
        if (all || phantom.seen) rows->add(phantom);
      },
      [&progress](std::uint64_t looked, std::uint64_t total) { progress->update(looked, total); });
  progress.reset();
  rows->end();
  if (!done) {
    print_error(fmt::format("kagemusha: the list is not complete: {}\n", printable(done.error().detail)));
    co_return 1;
  }
  if (command.format == "table") print(fmt::format("{}\n", count_of(rows->count(), "phantom")));
  co_return 0;
}

}  // namespace

int phantoms(const Config& config, const Command& command) {
  return run_command(config, "phantoms", false,
                     [&](CommandSession& session) { return list(session, command); });
}

}  // namespace kage::app
