// One padded atomic for each counter; the table below is the only place that names them.
#include "base/metrics.h"

#include <fmt/format.h>

#include <iterator>
#include <string_view>

namespace kage::metrics {
namespace {

constexpr std::size_t kCount = static_cast<std::size_t>(Counter::size_);

/// Counters with the same name stand together and differ in their label.
struct Description {
  Counter counter;
  std::string_view name;
  std::string_view label;
  std::string_view help;
};

constexpr std::array<Description, kCount> kTable = {{
    {Counter::connections_inbound, "kagemusha_connections_total", R"({face="inbound"})",
     "Accepted connections."},
    {Counter::connections_submission, "kagemusha_connections_total", R"({face="submission"})", ""},
    {Counter::connections_imap, "kagemusha_connections_total", R"({face="imap"})", ""},
    {Counter::connections_pop3, "kagemusha_connections_total", R"({face="pop3"})", ""},
    {Counter::messages_accepted, "kagemusha_messages_total", R"({answer="accepted"})",
     "Messages by the final answer."},
    {Counter::messages_deferred, "kagemusha_messages_total", R"({answer="deferred"})", ""},
    {Counter::messages_refused, "kagemusha_messages_total", R"({answer="refused"})", ""},
    {Counter::copies_delivered, "kagemusha_copies_total", R"({outcome="delivered"})",
     "Copies by the next hop's word."},
    {Counter::copies_deferred, "kagemusha_copies_total", R"({outcome="deferred"})", ""},
    {Counter::copies_refused, "kagemusha_copies_total", R"({outcome="refused"})", ""},
    {Counter::reports_sent, "kagemusha_reports_total", "", "Reports of refused copies that members got."},
    {Counter::recipients_unknown, "kagemusha_recipients_unknown_total", "",
     "Recipients answered with 550 5.1.1."},
    {Counter::authors_hidden_always, "kagemusha_authors_total", R"({shown="no",rule="always"})",
     "Messages to a public address by the rule that decided whether members see the author's address."},
    {Counter::authors_hidden_184, "kagemusha_authors_total", R"({shown="no",rule="184"})", ""},
    {Counter::authors_shown_never, "kagemusha_authors_total", R"({shown="yes",rule="never"})", ""},
    {Counter::authors_shown_plain, "kagemusha_authors_total", R"({shown="yes",rule="no 184"})", ""},
    {Counter::authors_shown_186, "kagemusha_authors_total", R"({shown="yes",rule="186"})", ""},
    {Counter::authors_hidden_unreadable, "kagemusha_authors_total", R"({shown="no",rule="unreadable"})", ""},
    {Counter::logins_accepted, "kagemusha_logins_total", R"({answer="accepted"})",
     "Logins of submission by their answer."},
    {Counter::logins_refused, "kagemusha_logins_total", R"({answer="refused"})", ""},
    {Counter::logins_throttled, "kagemusha_logins_total", R"({answer="throttled"})", ""},
    {Counter::proxy_logins_accepted, "kagemusha_proxy_logins_total", R"({answer="accepted"})",
     "Logins of the IMAP and POP3 proxy by their answer."},
    {Counter::proxy_logins_refused, "kagemusha_proxy_logins_total", R"({answer="refused"})", ""},
    {Counter::proxy_logins_throttled, "kagemusha_proxy_logins_total", R"({answer="throttled"})", ""},
    {Counter::upstream_unreachable, "kagemusha_upstream_failures_total", R"({reason="unreachable"})",
     "Logins and sessions that ended because the provider's server failed."},
    {Counter::upstream_tls, "kagemusha_upstream_failures_total", R"({reason="tls"})", ""},
    {Counter::upstream_timed_out, "kagemusha_upstream_failures_total", R"({reason="timed_out"})", ""},
    {Counter::upstream_protocol, "kagemusha_upstream_failures_total", R"({reason="protocol"})", ""},
    {Counter::upstream_unavailable, "kagemusha_upstream_failures_total", R"({reason="unavailable"})", ""},
    {Counter::redis_round_trips, "kagemusha_redis_round_trips_total", "", "Batches sent to Redis."},
    {Counter::redis_waits, "kagemusha_redis_waits_total", "",
     "Redis round trips that a message waited for before its answer."},
    {Counter::redis_failures, "kagemusha_redis_failures_total", "", "Batches that Redis did not answer."},
    {Counter::phantoms_stored, "kagemusha_phantoms_stored_total", "", "New phantoms written to Redis."},
    {Counter::next_hop_connections, "kagemusha_next_hop_connections_total", "",
     "Connections made to next hops."},
    {Counter::size_fallbacks_references, "kagemusha_size_fallbacks_total", R"({step="references"})",
     "Fetched header blocks without room for all that could be shown, by what gave way."},
    {Counter::size_fallbacks_names, "kagemusha_size_fallbacks_total", R"({step="names"})", ""},
    {Counter::size_fallbacks_ids, "kagemusha_size_fallbacks_total", R"({step="ids"})", ""},
    {Counter::size_fallbacks_text, "kagemusha_size_fallbacks_total", R"({step="text"})", ""},
    {Counter::size_fallbacks_recipients, "kagemusha_size_fallbacks_total", R"({step="recipients"})", ""},
    {Counter::size_fallbacks_fields, "kagemusha_size_fallbacks_total", R"({step="fields"})", ""},
    {Counter::size_fallbacks_all, "kagemusha_size_fallbacks_total", R"({step="all"})", ""},
    {Counter::forms_sent, "kagemusha_form_posts_total", R"({outcome="sent"})",
     "Posts of web forms by their outcome."},
    {Counter::forms_deferred, "kagemusha_form_posts_total", R"({outcome="deferred"})", ""},
    {Counter::forms_refused, "kagemusha_form_posts_total", R"({outcome="refused"})", ""},
    {Counter::forms_invalid, "kagemusha_form_posts_total", R"({outcome="invalid"})", ""},
    {Counter::forms_robot, "kagemusha_form_posts_total", R"({outcome="robot"})", ""},
    {Counter::forms_origin, "kagemusha_form_posts_total", R"({outcome="origin"})", ""},
    {Counter::forms_throttled, "kagemusha_form_posts_total", R"({outcome="throttled"})", ""},
    {Counter::forms_unknown, "kagemusha_form_posts_total", R"({outcome="unknown"})", ""},
}};

struct alignas(64) Cell {
  std::atomic<std::uint64_t> value{0};
};

std::array<Cell, kCount> cells;

}  // namespace

void add(Counter counter, std::uint64_t count) {
  cells[static_cast<std::size_t>(counter)].value.fetch_add(count, std::memory_order_relaxed);
}

std::uint64_t value(Counter counter) {
  return cells[static_cast<std::size_t>(counter)].value.load(std::memory_order_relaxed);
}

std::string render() {
  std::string out;
  for (const Description& row : kTable) {
    if (!row.help.empty()) {
      fmt::format_to(std::back_inserter(out), "# HELP {0} {1}\n# TYPE {0} counter\n", row.name, row.help);
    }
    fmt::format_to(std::back_inserter(out), "{}{} {}\n", row.name, row.label, value(row.counter));
  }
  return out;
}

}  // namespace kage::metrics
