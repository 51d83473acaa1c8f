// One padded atomic for each counter; the tables below are the only place that names them.
#include "base/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <string_view>

namespace kage::metrics {
namespace {

/// Rows with the same name stand together and differ in their labels; the first has the help.
template <class Which>
struct Description {
  Which which;
  std::string_view name;
  std::string_view labels;  ///< `face="imap"`; empty: none
  std::string_view help;
};

constexpr std::array<Description<Counter>, static_cast<std::size_t>(Counter::size_)> kCounters = {{
    {Counter::connections_inbound, "kagemusha_connections_total", R"(face="inbound")",
     "Accepted connections."},
    {Counter::connections_submission, "kagemusha_connections_total", R"(face="submission")", ""},
    {Counter::connections_imap, "kagemusha_connections_total", R"(face="imap")", ""},
    {Counter::connections_pop3, "kagemusha_connections_total", R"(face="pop3")", ""},
    {Counter::messages_accepted, "kagemusha_messages_total", R"(answer="accepted")",
     "Messages by the final answer."},
    {Counter::messages_deferred, "kagemusha_messages_total", R"(answer="deferred")", ""},
    {Counter::messages_refused, "kagemusha_messages_total", R"(answer="refused")", ""},
    {Counter::copies_delivered, "kagemusha_copies_total", R"(outcome="delivered")",
     "Copies by the next hop's word."},
    {Counter::copies_deferred, "kagemusha_copies_total", R"(outcome="deferred")", ""},
    {Counter::copies_refused, "kagemusha_copies_total", R"(outcome="refused")", ""},
    {Counter::reports_sent, "kagemusha_reports_total", "", "Reports of refused copies that members got."},
    {Counter::recipients_unknown, "kagemusha_recipients_unknown_total", "",
     "Recipients answered with 550 5.1.1."},
    {Counter::authors_hidden_always, "kagemusha_authors_total", R"(shown="no",rule="always")",
     "Messages to a public address by the rule that decided whether members see the author's address."},
    {Counter::authors_hidden_184, "kagemusha_authors_total", R"(shown="no",rule="184")", ""},
    {Counter::authors_shown_never, "kagemusha_authors_total", R"(shown="yes",rule="never")", ""},
    {Counter::authors_shown_plain, "kagemusha_authors_total", R"(shown="yes",rule="no 184")", ""},
    {Counter::authors_shown_186, "kagemusha_authors_total", R"(shown="yes",rule="186")", ""},
    {Counter::authors_hidden_unreadable, "kagemusha_authors_total", R"(shown="no",rule="unreadable")", ""},
    {Counter::logins_accepted, "kagemusha_logins_total", R"(answer="accepted")",
     "Logins of submission by their answer."},
    {Counter::logins_refused, "kagemusha_logins_total", R"(answer="refused")", ""},
    {Counter::logins_throttled, "kagemusha_logins_total", R"(answer="throttled")", ""},
    {Counter::proxy_logins_accepted, "kagemusha_proxy_logins_total", R"(answer="accepted")",
     "Logins of the IMAP and POP3 proxy by their answer."},
    {Counter::proxy_logins_refused, "kagemusha_proxy_logins_total", R"(answer="refused")", ""},
    {Counter::proxy_logins_throttled, "kagemusha_proxy_logins_total", R"(answer="throttled")", ""},
    {Counter::upstream_unreachable, "kagemusha_upstream_failures_total", R"(reason="unreachable")",
     "Logins and sessions that ended because the provider's server failed."},
    {Counter::upstream_tls, "kagemusha_upstream_failures_total", R"(reason="tls")", ""},
    {Counter::upstream_timed_out, "kagemusha_upstream_failures_total", R"(reason="timed_out")", ""},
    {Counter::upstream_protocol, "kagemusha_upstream_failures_total", R"(reason="protocol")", ""},
    {Counter::upstream_unavailable, "kagemusha_upstream_failures_total", R"(reason="unavailable")", ""},
    {Counter::redis_round_trips, "kagemusha_redis_round_trips_total", "", "Batches sent to Redis."},
    {Counter::redis_waits, "kagemusha_redis_waits_total", "",
     "Redis round trips that a message waited for before its answer."},
    {Counter::redis_failures, "kagemusha_redis_failures_total", "", "Batches that Redis did not answer."},
    {Counter::phantoms_stored, "kagemusha_phantoms_stored_total", "", "New phantoms written to Redis."},
    {Counter::next_hop_connections, "kagemusha_next_hop_connections_total", "",
     "Connections made to next hops."},
    {Counter::size_fallbacks_references, "kagemusha_size_fallbacks_total", R"(step="references")",
     "Fetched header blocks without room for all that could be shown, by what gave way."},
    {Counter::size_fallbacks_names, "kagemusha_size_fallbacks_total", R"(step="names")", ""},
    {Counter::size_fallbacks_ids, "kagemusha_size_fallbacks_total", R"(step="ids")", ""},
    {Counter::size_fallbacks_text, "kagemusha_size_fallbacks_total", R"(step="text")", ""},
    {Counter::size_fallbacks_recipients, "kagemusha_size_fallbacks_total", R"(step="recipients")", ""},
    {Counter::size_fallbacks_fields, "kagemusha_size_fallbacks_total", R"(step="fields")", ""},
    {Counter::size_fallbacks_all, "kagemusha_size_fallbacks_total", R"(step="all")", ""},
    {Counter::forms_sent, "kagemusha_form_posts_total", R"(outcome="sent")",
     "Posts of web forms by their outcome."},
    {Counter::forms_deferred, "kagemusha_form_posts_total", R"(outcome="deferred")", ""},
    {Counter::forms_refused, "kagemusha_form_posts_total", R"(outcome="refused")", ""},
    {Counter::forms_invalid, "kagemusha_form_posts_total", R"(outcome="invalid")", ""},
    {Counter::forms_robot, "kagemusha_form_posts_total", R"(outcome="robot")", ""},
    {Counter::forms_origin, "kagemusha_form_posts_total", R"(outcome="origin")", ""},
    {Counter::forms_throttled, "kagemusha_form_posts_total", R"(outcome="throttled")", ""},
    {Counter::forms_code, "kagemusha_form_posts_total", R"(outcome="code")", ""},
    {Counter::forms_unknown, "kagemusha_form_posts_total", R"(outcome="unknown")", ""},
    {Counter::headers_shown, "kagemusha_headers_shown_total", "",
     "Header blocks, or their fields, that the proxy made visible to a member."},
    {Counter::headers_asked_again, "kagemusha_headers_asked_again_total", "",
     "Messages of a list whose whole header was asked for after some of its fields."},
    {Counter::crossed_inward, "kagemusha_crossed_total", R"(way="inward")",
     "Messages that were accepted, by their way: to members, a plain reply to phantoms, by submission."},
    {Counter::crossed_reply, "kagemusha_crossed_total", R"(way="plain reply")", ""},
    {Counter::crossed_submitted, "kagemusha_crossed_total", R"(way="submission")", ""},
    {Counter::bounces_dropped, "kagemusha_bounces_dropped_total", "",
     "Bounces of forwarded messages: a member's mailbox refuses mail. They go no further."},
    {Counter::refusals_unknown, "kagemusha_refusals_total", R"(reason="no such user")",
     "What SMTP clients were refused, for now or for good, by the reason: commands, recipients and "
     "messages."},
    {Counter::refusals_relaying, "kagemusha_refusals_total", R"(reason="relaying")", ""},
    {Counter::refusals_phantoms_only, "kagemusha_refusals_total", R"(reason="phantoms only")", ""},
    {Counter::refusals_login, "kagemusha_refusals_total", R"(reason="login")", ""},
    {Counter::refusals_tls, "kagemusha_refusals_total", R"(reason="tls required")", ""},
    {Counter::refusals_mapping, "kagemusha_refusals_total", R"(reason="mapping not ready")", ""},
    {Counter::refusals_again, "kagemusha_refusals_total", R"(reason="try again")", ""},
    {Counter::refusals_recipients, "kagemusha_refusals_total", R"(reason="too many recipients")", ""},
    {Counter::refusals_size, "kagemusha_refusals_total", R"(reason="message too big")", ""},
    {Counter::refusals_header, "kagemusha_refusals_total", R"(reason="header too large")", ""},
    {Counter::refusals_line_ends, "kagemusha_refusals_total", R"(reason="bare line end")", ""},
    {Counter::refusals_smtputf8, "kagemusha_refusals_total", R"(reason="needs smtputf8")", ""},
    {Counter::refusals_loop, "kagemusha_refusals_total", R"(reason="routing loop")", ""},
    {Counter::refusals_timed_out, "kagemusha_refusals_total", R"(reason="timed out")", ""},
    {Counter::refusals_errors, "kagemusha_refusals_total", R"(reason="too many errors")", ""},
    {Counter::refusals_stopping, "kagemusha_refusals_total", R"(reason="stopping")", ""},
    {Counter::refusals_syntax, "kagemusha_refusals_total", R"(reason="syntax")", ""},
}};

constexpr std::array<Description<Gauge>, static_cast<std::size_t>(Gauge::size_)> kGauges = {{
    {Gauge::ready, "kagemusha_ready", "",
     "1 while routes, Redis and the key are usable, as /readyz says; else 0."},
    {Gauge::routes_addresses, "kagemusha_routes_addresses", "", "Public addresses that are known."},
    {Gauge::routes_members, "kagemusha_routes_members", "", "Members that are known."},
    {Gauge::sessions_inbound, "kagemusha_sessions", R"(face="inbound")", "Connections that are open."},
    {Gauge::sessions_submission, "kagemusha_sessions", R"(face="submission")", ""},
    {Gauge::sessions_imap, "kagemusha_sessions", R"(face="imap")", ""},
    {Gauge::sessions_pop3, "kagemusha_sessions", R"(face="pop3")", ""},
    {Gauge::cache_phantoms_stored, "kagemusha_cache_entries", R"(cache="phantoms stored")",
     "What is remembered so that it need not be asked or derived again, over all workers."},
    {Gauge::cache_phantoms_derived, "kagemusha_cache_entries", R"(cache="phantoms derived")", ""},
    {Gauge::cache_ids_derived, "kagemusha_cache_entries", R"(cache="ids derived")", ""},
    {Gauge::cache_fields_derived, "kagemusha_cache_entries", R"(cache="fields derived")", ""},
    {Gauge::certificate_end, "kagemusha_certificate_end_seconds", "",
     "When the first of our certificates ends, in Unix seconds; 0 without certificates."},
}};

constexpr std::array<Description<Histogram>, static_cast<std::size_t>(Histogram::size_)> kHistograms = {{
    {Histogram::message_inbound, "kagemusha_message_seconds", R"(face="inbound")",
     "From the command that begins a message's data to the last word on it."},
    {Histogram::message_submission, "kagemusha_message_seconds", R"(face="submission")", ""},
    {Histogram::redis, "kagemusha_redis_seconds", "", "From sending a batch to Redis to its last reply."},
}};

/// Whether each value has its row, at its place.
template <class Table>
constexpr bool is_complete(const Table& table) {
  for (std::size_t i = 0; i < table.size(); ++i) {
    if (static_cast<std::size_t>(table[i].which) != i || table[i].name.empty()) return false;
  }
  return true;
}
static_assert(is_complete(kCounters) && is_complete(kGauges) && is_complete(kHistograms));

/// Upper bounds in microseconds; one more bucket takes the rest.
constexpr std::array<std::int64_t, 14> kBounds = {250,       1'000,     2'500,      5'000,     10'000,
                                                  25'000,    50'000,    100'000,    250'000,   1'000'000,
                                                  2'500'000, 5'000'000, 15'000'000, 60'000'000};

struct alignas(64) Cell {
  std::atomic<std::uint64_t> value{0};
};

std::array<Cell, kCounters.size()> cells;

std::array<std::atomic<std::int64_t>, kGauges.size()> gauges;

struct Buckets {
  std::array<std::atomic<std::uint64_t>, kBounds.size() + 1> counts;
  std::atomic<std::uint64_t> micros;
};
std::array<Buckets, kHistograms.size()> histograms;

template <class Which>
void render_head(std::string& out, const Description<Which>& row, std::string_view type) {
  if (row.help.empty()) return;
  out += fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n", row.name, row.help, type);
}

std::string seconds(std::int64_t micros) {
  return fmt::format("{}", static_cast<double>(micros) / 1e6);
}

/// In braces, where there are any.
std::string braced(std::string_view labels) {
  return labels.empty() ? std::string() : fmt::format("{{{}}}", labels);
}

template <class Table>
void render_values(std::string& out, const Table& table, std::string_view type) {
  for (const auto& row : table) {
    render_head(out, row, type);
    out += fmt::format("{}{} {}\n", row.name, braced(row.labels), value(row.which));
  }
}

void render_histogram(std::string& out, const Description<Histogram>& row) {
  render_head(out, row, "histogram");
  const Buckets& buckets = histograms[static_cast<std::size_t>(row.which)];
  const std::string_view comma = row.labels.empty() ? "" : ",";
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i <= kBounds.size(); ++i) {
    sum += buckets.counts[i].load(std::memory_order_relaxed);
    const std::string bound = i < kBounds.size() ? seconds(kBounds[i]) : "+Inf";
    out += fmt::format("{}_bucket{{{}{}le=\"{}\"}} {}\n", row.name, row.labels, comma, bound, sum);
  }
  const auto micros = static_cast<std::int64_t>(buckets.micros.load(std::memory_order_relaxed));
  out +=
      fmt::format("{0}_sum{1} {2}\n{0}_count{1} {3}\n", row.name, braced(row.labels), seconds(micros), sum);
}

/// One row of the page for all rows of one name.
template <class Table>
void describe(std::string& out, const Table& table, std::string_view type) {
  for (std::size_t i = 0; i < table.size();) {
    std::string all;
    const std::size_t first = i;
    for (; i < table.size() && table[i].name == table[first].name; ++i) {
      const std::string_view labels = table[i].labels;
      if (!labels.empty()) all += fmt::format("{}`{}`", all.empty() ? "" : ", ", labels);
    }
    out += fmt::format("| `{}` | {} | {} | {} |\n", table[first].name, type, all, table[first].help);
  }
}

}  // namespace

void add(Counter counter, std::uint64_t count) {
  cells[static_cast<std::size_t>(counter)].value.fetch_add(count, std::memory_order_relaxed);
}

std::uint64_t value(Counter counter) {
  return cells[static_cast<std::size_t>(counter)].value.load(std::memory_order_relaxed);
}

void set(Gauge gauge, std::int64_t value) {
  gauges[static_cast<std::size_t>(gauge)].store(value, std::memory_order_relaxed);
}

void add(Gauge gauge, std::int64_t difference) {
  gauges[static_cast<std::size_t>(gauge)].fetch_add(difference, std::memory_order_relaxed);
}

std::int64_t value(Gauge gauge) {
  return gauges[static_cast<std::size_t>(gauge)].load(std::memory_order_relaxed);
}

void observe(Histogram histogram, std::chrono::microseconds time) {
  const std::int64_t micros = std::max<std::int64_t>(time.count(), 0);
  Buckets& buckets = histograms[static_cast<std::size_t>(histogram)];
  const auto at = static_cast<std::size_t>(std::ranges::lower_bound(kBounds, micros) - kBounds.begin());
  buckets.counts[at].fetch_add(1, std::memory_order_relaxed);
  buckets.micros.fetch_add(static_cast<std::uint64_t>(micros), std::memory_order_relaxed);
}

std::string render() {
  std::string out;
  render_values(out, kCounters, "counter");
  render_values(out, kGauges, "gauge");
  for (const auto& row : kHistograms) render_histogram(out, row);
  return out;
}

std::string markdown() {
  std::string out =
      "# Metrics\n\n"
      "What `/metrics` on the HTTP face has, in Prometheus text format. Names and labels are fixed when the "
      "program\n"
      "is built: none can name a person. Printed from the tables in `base/metrics.cc` by "
      "`scripts/generate-docs`.\n\n"
      "| name | type | labels | what it tells |\n|---|---|---|---|\n";
  describe(out, kCounters, "counter");
  describe(out, kGauges, "gauge");
  describe(out, kHistograms, "histogram");
  return out;
}

}  // namespace kage::metrics
