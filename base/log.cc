// The log writer. A line is formatted here and given to spdlog's sink as it is.
//
// Values are escaped and cut, so no peer can forge a line or fill a disk with one event.
#include "base/log.h"

#include <fmt/format.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <atomic>
#include <chrono>
#include <iterator>
#include <memory>

#include "base/clock.h"

namespace kage::log {
namespace {

constexpr std::size_t kMaxValue = 200;

std::atomic<Level> least_level{Level::info};

/// Never destroyed: a thread may still write while the process ends.
spdlog::logger& sink() {
  static auto* logger = [] {
    auto* made = new spdlog::logger("kagemusha", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%v");
    made->set_level(spdlog::level::trace);
    return made;
  }();
  return *logger;
}

std::string_view name_of(Level level) {
  switch (level) {
    case Level::debug:
      return "debug";
    case Level::info:
      return "info";
    case Level::warn:
      return "warn";
    case Level::error:
      return "error";
  }
  return "error";
}

bool is_plain(std::string_view text) {
  if (text.empty()) return false;
  for (const char c : text) {
    if (c <= ' ' || c >= 0x7f || c == '"' || c == '=' || c == '\\') return false;
  }
  return true;
}

void append_text(fmt::memory_buffer& line, std::string_view text) {
  const bool cut = text.size() > kMaxValue;
  text = text.substr(0, kMaxValue);
  if (!cut && is_plain(text)) {
    line.append(text);
    return;
  }
  line.push_back('"');
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      line.push_back('\\');
      line.push_back(c);
    } else if (byte < 0x20 || byte >= 0x7f) {
      fmt::format_to(std::back_inserter(line), "\\x{:02x}", byte);
    } else {
      line.push_back(c);
    }
  }
  if (cut) line.append(std::string_view("..."));
  line.push_back('"');
}

void append_value(fmt::memory_buffer& line, const Pair& pair) {
  std::visit(
      [&line](const auto& value) {
        if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::string_view>) {
          append_text(line, value);
        } else {
          fmt::format_to(std::back_inserter(line), "{}", value);
        }
      },
      pair.value);
}

}  // namespace

void configure(Level level) {
  least_level.store(level, std::memory_order_relaxed);
  sink();
}

void write(Level level, std::string_view event, std::initializer_list<Pair> pairs) {
  if (level < least_level.load(std::memory_order_relaxed)) return;
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  fmt::memory_buffer line;
  fmt::format_to(std::back_inserter(line), "{} {} {}",
                 rfc3339_time(std::chrono::duration_cast<std::chrono::milliseconds>(since).count()),
                 name_of(level), event);
  for (const Pair& pair : pairs) {
    fmt::format_to(std::back_inserter(line), " {}=", pair.key);
    append_value(line, pair);
  }
  sink().log(spdlog::level::info, spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace kage::log
