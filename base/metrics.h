// Numbers of one process: counters, gauges, histograms of time; relaxed atomics, counters each on its own
// cache line.
//
// A metric's name and labels are fixed at compile time: no label can name a person.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

namespace kage::metrics {

/// Every counter there is; the table in metrics.cc gives its Prometheus name, labels and help.
enum class Counter : std::uint8_t {
  connections_inbound,
  connections_submission,
  connections_imap,
  connections_pop3,
  messages_accepted,
  messages_deferred,
  messages_refused,
  copies_delivered,
  copies_deferred,
  copies_refused,
  reports_sent,
  recipients_unknown,
  authors_hidden_always,
  authors_hidden_184,
  authors_shown_never,
  authors_shown_plain,
  authors_shown_186,
  authors_hidden_unreadable,
  logins_accepted,
  logins_refused,
  logins_throttled,
  proxy_logins_accepted,
  proxy_logins_refused,
  proxy_logins_throttled,
  upstream_unreachable,
  upstream_tls,
  upstream_timed_out,
  upstream_protocol,
  upstream_unavailable,
  redis_round_trips,
  redis_waits,
  redis_failures,
  phantoms_stored,
  next_hop_connections,
  size_fallbacks_references,
  size_fallbacks_names,
  size_fallbacks_ids,
  size_fallbacks_text,
  size_fallbacks_recipients,
  size_fallbacks_fields,
  size_fallbacks_all,
  forms_sent,
  forms_deferred,
  forms_refused,
  forms_invalid,
  forms_robot,
  forms_origin,
  forms_throttled,
  forms_code,
  forms_unknown,
  headers_shown,
  headers_asked_again,
  crossed_inward,
  crossed_reply,
  crossed_submitted,
  bounces_dropped,
  refusals_unknown,
  refusals_relaying,
  refusals_phantoms_only,
  refusals_login,
  refusals_tls,
  refusals_mapping,
  refusals_again,
  refusals_recipients,
  refusals_size,
  refusals_header,
  refusals_line_ends,
  refusals_smtputf8,
  refusals_loop,
  refusals_timed_out,
  refusals_errors,
  refusals_stopping,
  refusals_syntax,
  size_,  // how many there are
};

/// What goes up and down.
enum class Gauge : std::uint8_t {
  ready,
  routes_addresses,
  routes_members,
  sessions_inbound,
  sessions_submission,
  sessions_imap,
  sessions_pop3,
  cache_phantoms_stored,
  cache_phantoms_derived,
  cache_ids_derived,
  cache_fields_derived,
  certificate_end,
  size_,
};

/// How long something took.
enum class Histogram : std::uint8_t {
  message_inbound,
  message_submission,
  redis,
  size_,
};

void add(Counter counter, std::uint64_t count = 1);
std::uint64_t value(Counter counter);

void set(Gauge gauge, std::int64_t value);
void add(Gauge gauge, std::int64_t difference);
std::int64_t value(Gauge gauge);

void observe(Histogram histogram, std::chrono::microseconds time);

/// Counts one more of something for as long as it lives.
class Held {
 public:
  explicit Held(Gauge gauge) : gauge_(gauge) { add(gauge_, 1); }
  ~Held() { add(gauge_, -1); }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;

 private:
  Gauge gauge_;
};

/// All of them in Prometheus text format, version 0.0.4.
std::string render();

/// docs/metrics.md: what there is and what it tells.
std::string markdown();

}  // namespace kage::metrics
