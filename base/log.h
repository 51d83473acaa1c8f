// Structured logs: one line an event, "key=value" pairs, without addresses (contract R9.5).
//
// Values are numbers, fixed words of ours, Error::detail (which never holds an address) or
// MasterKeys::log_tag(). No type enforces that: ask of each value whom it shows, and to whom.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

namespace kage::log {

enum class Level : std::uint8_t { debug, info, warn, error };

/// One pair. String values are written quoted where needed, control characters escaped, cut at 200 octets.
struct Pair {
  std::string_view key;
  std::variant<std::int64_t, std::uint64_t, double, bool, std::string_view> value;

  /// What `v` refers to outlives the line.
  template <class T>
  Pair(std::string_view k, const T& v);
};

/// Sets the least level that is written; the sink is standard error. Call before threads start.
void configure(Level level);

/// Writes "time level event key=value …". Safe from any thread.
void write(Level level, std::string_view event, std::initializer_list<Pair> pairs);

inline void debug(std::string_view event, std::initializer_list<Pair> pairs = {}) {
  write(Level::debug, event, pairs);
}
inline void info(std::string_view event, std::initializer_list<Pair> pairs = {}) {
  write(Level::info, event, pairs);
}
inline void warn(std::string_view event, std::initializer_list<Pair> pairs = {}) {
  write(Level::warn, event, pairs);
}
inline void error(std::string_view event, std::initializer_list<Pair> pairs = {}) {
  write(Level::error, event, pairs);
}

template <class T>
Pair::Pair(std::string_view k, const T& v) : key(k) {
  if constexpr (std::is_same_v<T, bool>) {
    value = v;
  } else if constexpr (std::is_integral_v<T> && std::is_signed_v<T>) {
    value = static_cast<std::int64_t>(v);
  } else if constexpr (std::is_integral_v<T>) {
    value = static_cast<std::uint64_t>(v);
  } else if constexpr (std::is_floating_point_v<T>) {
    value = static_cast<double>(v);
  } else {
    value = std::string_view(v);
  }
}

}  // namespace kage::log
