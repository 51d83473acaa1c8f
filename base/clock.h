// Wall-clock time as numbers and as RFC 5322 dates. Always UTC: a local zone would tell where a node stands.
#pragma once

#include <cstdint>
#include <string>

namespace kage {

/// Seconds since 1970-01-01 00:00:00 UTC.
std::int64_t unix_seconds();

/// RFC 5322 §3.3 date-time: "Sun, 22 Nov 2026 00:36:16 +0000". Years 0 to 9999; others are clamped.
std::string rfc5322_date(std::int64_t seconds);

/// RFC 3339 with milliseconds: "2026-11-22T00:36:16.042Z". Same range.
std::string rfc3339_time(std::int64_t milliseconds);

}  // namespace kage
