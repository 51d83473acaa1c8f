// Dates, randomness, error names, metrics, and what the log writes.
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <set>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/random.h"
#include "base/result.h"

namespace kage {
namespace {

/// What `write` puts on standard error.
template <class Write>
std::string captured(Write write) {
  std::FILE* file = std::tmpfile();
  REQUIRE(file != nullptr);
  const int saved = dup(2);
  dup2(fileno(file), 2);
  write();
  std::fflush(stderr);
  dup2(saved, 2);
  close(saved);
  std::rewind(file);
  std::string text(1 << 16, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file));
  std::fclose(file);
  return text;
}

}  // namespace

TEST_CASE("dates are RFC 5322 in UTC") {
  CHECK(rfc5322_date(0) == "Thu, 01 Jan 1970 00:00:00 +0000");
  CHECK(rfc5322_date(1795307776) == "Sun, 22 Nov 2026 00:36:16 +0000");
  CHECK(rfc5322_date(951782399) == "Mon, 28 Feb 2000 23:59:59 +0000");
  CHECK(rfc5322_date(951782400) == "Tue, 29 Feb 2000 00:00:00 +0000");
  CHECK(rfc5322_date(-1) == "Wed, 31 Dec 1969 23:59:59 +0000");
  CHECK(rfc5322_date(INT64_MAX) == "Fri, 31 Dec 9999 23:59:59 +0000");
  CHECK(rfc5322_date(INT64_MIN).starts_with("Sat, 01 Jan 0000"));
  CHECK(rfc3339_time(1795307776042) == "2026-11-22T00:36:16.042Z");
  CHECK(unix_seconds() > 1700000000);
}

TEST_CASE("random bytes differ") {
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) seen.insert(random_bytes(16));
  CHECK(seen.size() == 100);
  CHECK(random_bytes(0).empty());
}

TEST_CASE("every error class has its own name") {
  std::set<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(Errc::corrupt); ++i) names.insert(to_string(static_cast<Errc>(i)));
  CHECK(names.size() == static_cast<std::size_t>(Errc::corrupt) + 1);
  CHECK_FALSE(names.contains("unknown"));
}

TEST_CASE("metrics count and render in Prometheus format") {
  const auto before = metrics::value(metrics::Counter::logins_refused);
  metrics::add(metrics::Counter::logins_refused);
  metrics::add(metrics::Counter::logins_refused, 4);
  CHECK(metrics::value(metrics::Counter::logins_refused) == before + 5);
  const std::string text = metrics::render();
  CHECK(text.find("# TYPE kagemusha_logins_total counter\n") != std::string::npos);
  CHECK(text.find("\nkagemusha_logins_total{answer=\"refused\"} " + std::to_string(before + 5) + "\n") !=
        std::string::npos);
  std::size_t samples = 0;
  std::set<std::string> series;
  for (std::size_t at = 0; at < text.size(); at = text.find('\n', at) + 1) {
    const std::string line = text.substr(at, text.find('\n', at) - at);
    if (line.starts_with('#')) continue;
    ++samples;
    series.insert(line.substr(0, line.rfind(' ')));
    CHECK(line.starts_with("kagemusha_"));
  }
  CHECK(samples >
        static_cast<std::size_t>(metrics::Counter::size_) + static_cast<std::size_t>(metrics::Gauge::size_));
  CHECK(series.size() == samples);
}

TEST_CASE("gauges go up and down, histograms add up") {
  const auto before = metrics::value(metrics::Gauge::sessions_imap);
  {
    const metrics::Held one(metrics::Gauge::sessions_imap);
    CHECK(metrics::value(metrics::Gauge::sessions_imap) == before + 1);
  }
  CHECK(metrics::value(metrics::Gauge::sessions_imap) == before);
  // At a bound it belongs to the bucket that the bound names ("le"); below zero there is no time.
  for (const int micros : {-5, 250, 251, 1'000'000, 70'000'000}) {
    metrics::observe(metrics::Histogram::message_submission, std::chrono::microseconds(micros));
  }
  const std::string text = metrics::render();
  const auto has = [&text](std::string_view rest) {
    return text.find("\nkagemusha_message_seconds" + std::string(rest) + "\n") != std::string::npos;
  };
  CHECK(has(R"(_bucket{face="submission",le="0.00025"} 2)"));
  CHECK(has(R"(_bucket{face="submission",le="0.001"} 3)"));
  CHECK(has(R"(_bucket{face="submission",le="1"} 4)"));
  CHECK(has(R"(_bucket{face="submission",le="60"} 4)"));
  CHECK(has(R"(_bucket{face="submission",le="+Inf"} 5)"));
  CHECK(has(R"(_sum{face="submission"} 71.000501)"));
  CHECK(has(R"(_count{face="submission"} 5)"));
  CHECK(text.find("\n# TYPE kagemusha_message_seconds histogram\n") != std::string::npos);
  CHECK(text.find("\nkagemusha_redis_seconds_bucket{le=\"0.001\"} ") != std::string::npos);
}

TEST_CASE("each metric that is rendered is described") {
  const std::string text = metrics::render();
  const std::string page = metrics::markdown();
  std::size_t described = 0;
  for (std::size_t at = text.find("# TYPE "); at != std::string::npos; at = text.find("# TYPE ", at + 1)) {
    const std::string name = text.substr(at + 7, text.find(' ', at + 7) - at - 7);
    INFO(name);
    CHECK(page.find("| `" + name + "` | ") != std::string::npos);
    ++described;
  }
  CHECK(described > 15);
}

TEST_CASE("a log line is one line whatever the values are") {
  const std::string text = captured([] {
    log::configure(log::Level::info);
    log::debug("test.hidden");
    log::info("test.event", {{"count", 3},
                             {"size", std::size_t{7}},
                             {"ok", true},
                             {"word", "plain"},
                             {"string", std::string(30, 's')},
                             {"empty", ""},
                             {"odd", "a b\n\"c\"=\\ \xe5\xbd\xb1"},
                             {"long", std::string_view(std::string(300, 'x'))}});
  });
  CHECK(text.size() > 25);
  CHECK(text[4] == '-');
  CHECK(text.substr(23, 1) == "Z");
  const std::string expected =
      " info test.event count=3 size=7 ok=true word=plain string=" + std::string(30, 's') +
      R"( empty="" odd="a b\x0a\"c\"=\\ \xe5\xbd\xb1" long=")" + std::string(200, 'x') + "...\"\n";
  CHECK(text.substr(24) == expected);
}

}  // namespace kage
