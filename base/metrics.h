// Counters of one process: relaxed atomics, each on its own cache line.
//
// A metric's name and labels are fixed at compile time: no label can name a person.
#pragma once

#include <array>
#include <atomic>
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
  forms_unknown,
  size_,  // how many there are
};

void add(Counter counter, std::uint64_t count = 1);
std::uint64_t value(Counter counter);

/// All of them in Prometheus text format.
std::string render();

}  // namespace kage::metrics
