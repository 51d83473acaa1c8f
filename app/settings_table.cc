// All configuration keys as data. Defaults of [limits] and [[next_hop]] equal those of the structures they
// fill; a test compares them.

#include "app/settings.h"

namespace kage::app {
namespace {

constexpr std::int64_t kSecond = 1000;
constexpr std::int64_t kMinute = 60 * kSecond;
constexpr std::int64_t kHour = 60 * kMinute;
constexpr std::int64_t kKilo = 1024;
constexpr std::int64_t kMega = 1024 * kKilo;
constexpr std::int64_t kGiga = 1024 * kMega;

constexpr Section kSections[] = {
    {"server", false, "The gateway itself."},
    {"keys", false, "The master key, from which everything stored is sealed (contract R4.3)."},
    {"redis", false,
     "Where the mapping lives. Without `unix`, `host`, `sentinels` and `cluster`, `serve` runs a private "
     "redis-server "
     "of its own in the state folder; commands that run beside it use the same one."},
    {"tls", false, ""},
    {"tls.certificate", true,
     "Certificates for STARTTLS and port 465, chosen by the name that the client asks for (SNI); the first "
     "is the default. "
     "SIGHUP reads them again."},
    {"listen", true, "Where connections are accepted. `serve` needs at least one."},
    {"limits", false, "Bounds of one connection or message. What they refuse gets a clear SMTP code."},
    {"inbound", false, "Who may speak for a member on port 25 (a plain reply to a phantom)."},
    {"inbound.trusted", true,
     "Networks whose mail is taken as its header says, such as a carrier's gateway that checks its own "
     "users."},
    {"submission", false, "Members' mail clients, on the faces `submission` and `submissions`."},
    {"proxy", false,
     "Members' mail clients that read their mailbox, on the faces `imap`, `imaps`, `pop3` and `pop3s`."},
    {"form", false,
     "Web forms, on the faces `form` and `forms`, for public addresses whose routes say `form = true` (see "
     "web-form.md)."},
    {"provider", true,
     "Mail providers of the members: where the proxy finds their mailboxes, and who is asked whether a "
     "member's password is right, for members without a `password_hash`."},
    {"next_hop", true,
     "Mail servers that take the rewritten messages, chosen by the recipient's domain. `serve` needs one "
     "with the domain "
     "`*`."},
};

constexpr Setting text(std::string_view section, std::string_view key, Kind kind, std::string_view fallback,
                       std::string_view help) {
  return {section, key, kind, fallback, 0, 0, "", false, help};
}
constexpr Setting required(std::string_view section, std::string_view key, Kind kind, std::string_view help) {
  return {section, key, kind, "", 0, 0, "", true, help};
}
constexpr Setting choice(std::string_view section, std::string_view key, std::string_view choices,
                         std::string_view fallback, std::string_view help) {
  return {section, key, Kind::choice, fallback, 0, 0, choices, fallback.empty(), help};
}
constexpr Setting optional_choice(std::string_view section, std::string_view key, std::string_view choices,
                                  std::string_view help) {
  return {section, key, Kind::choice, "", 0, 0, choices, false, help};
}
constexpr Setting range(std::string_view section, std::string_view key, Kind kind, std::string_view fallback,
                        std::int64_t minimum, std::int64_t maximum, std::string_view help) {
  return {section, key, kind, fallback, minimum, maximum, "", false, help};
}
constexpr Setting required_port(std::string_view section, std::int64_t minimum, std::string_view help) {
  return {section, "port", Kind::integer, "", minimum, 65535, "", true, help};
}

constexpr Setting kSettings[] = {
    required("server", "hostname", Kind::host_name,
             "The name of this machine as mail servers see it: greeting, EHLO and our Received field."),
    text("server", "state_dir", Kind::path, "state",
         "Folder (mode 0700) for the key, the embedded Redis and what large messages spill."),
    range("server", "workers", Kind::integer, "0", 0, 256, "Threads that serve; 0 means one for each CPU."),
    choice("server", "log_level", "debug|info|warn|error", "info",
           "The least important events that are logged."),
    range("server", "stop_timeout", Kind::duration, "30s", 0, kHour,
          "How long a stop waits for transactions in flight."),

    text("keys", "master", Kind::path, "",
         "The key file, mode 0600; default: `master.key` in the state folder. Made at the first start. Keep "
         "a copy: "
         "without it nothing in Redis can be read."),

    text("redis", "unix", Kind::path, "", "Unix socket of a Redis server."),
    text("redis", "host", Kind::host, "", "Host of a Redis server."),
    range("redis", "port", Kind::integer, "6379", 1, 65535, "Its port."),
    text("redis", "sentinels", Kind::endpoints, "",
         "Redis Sentinels (port 26379 unless given), which name the Redis server that is the master. Asked "
         "one after the other."),
    text("redis", "sentinel_master", Kind::text, "",
         "The name under which they watch it (`sentinel monitor NAME …`)."),
    text("redis", "sentinel_username", Kind::text, "", "ACL user of the sentinels."),
    text("redis", "sentinel_password", Kind::secret, "", "Password of the sentinels."),
    text("redis", "sentinel_password_file", Kind::file, "",
         "A file whose first line is that password, instead of `sentinel_password`."),
    text("redis", "cluster", Kind::endpoints, "",
         "Some servers of a Redis Cluster (port 6379 unless given). Any one that answers tells of all the "
         "others."),
    text("redis", "tls", Kind::boolean, "false",
         "Whether to speak TLS with it, with the sentinels and with all servers of a cluster; certificates "
         "are "
         "verified."),
    text("redis", "ca_file", Kind::file, "",
         "PEM file of the authorities that may sign its certificate; default: the system's."),
    text("redis", "username", Kind::text, "", "ACL user."),
    text("redis", "password", Kind::secret, "", "Password."),
    text("redis", "password_file", Kind::file, "",
         "A file whose first line is the password, instead of `password`."),
    range("redis", "database", Kind::integer, "0", 0, 15, "Number of the database."),
    range("redis", "connect_timeout", Kind::duration, "2s", 100, kMinute, "To connect and log in."),
    range("redis", "command_timeout", Kind::duration, "2s", 100, kMinute, "To answer one batch of commands."),
    choice("redis", "fsync", "always|everysec", "always",
           "Embedded Redis only: when its file is flushed. `everysec` is faster and may lose a second of "
           "phantoms when the "
           "machine loses power."),
    text("redis", "executable", Kind::text, "redis-server",
         "Embedded Redis only: the program, a name or a path."),

    required("tls.certificate", "certificate", Kind::file, "PEM file: the certificate and its chain."),
    required("tls.certificate", "key", Kind::file, "PEM file: its private key."),

    choice(
        "listen", "face", "inbound|submission|submissions|imap|imaps|pop3|pop3s|http|form|forms", "",
        "`inbound`: port 25, strangers and plain replies. `submission`: port 587, members with STARTTLS. "
        "`submissions`: "
        "port 465, members with TLS from the start. `imap` (port 143) and `pop3` (port 110): the proxy with "
        "STARTTLS; `imaps` (993) and `pop3s` (995): with TLS from the start. `http`: /healthz, /readyz and "
        "/metrics. `forms`: web forms over HTTPS; `form`: the same over HTTP, behind a web server on the "
        "same machine."),
    text("listen", "address", Kind::ip, "127.0.0.1", "IP address to listen on; `0.0.0.0` and `::` mean all."),
    required_port("listen", 0, "Port; 0 means any free one."),

    range("limits", "max_message_size", Kind::size, "50MB", 64 * kKilo, 2 * kGiga,
          "Largest message, announced with SIZE."),
    range("limits", "max_header_size", Kind::size, "256kB", 16 * kKilo, 4 * kMega, "Largest header block."),
    range("limits", "max_header_fields", Kind::integer, "2000", 100, 100'000,
          "Most fields in a header block."),
    range("limits", "max_recipients", Kind::integer, "1000", 100, 100'000,
          "Most recipients of one message (RFC 5321 wants 100 at least)."),
    range("limits", "max_errors", Kind::integer, "20", 3, 1000,
          "Bad commands and refused recipients before a connection is closed."),
    range("limits", "max_hops", Kind::integer, "50", 10, 1000,
          "Most Received fields before a message counts as looping."),
    range("limits", "max_connections", Kind::integer, "10000", 1, 1'000'000,
          "Most connections of one worker."),
    range("limits", "command_timeout", Kind::duration, "5m", kSecond, kHour,
          "How long a client may be silent between commands."),
    range("limits", "data_timeout", Kind::duration, "10m", kSecond, 24 * kHour,
          "How long one message may take to arrive, beside what `min_data_rate` grants its size."),
    range("limits", "min_data_rate", Kind::size, "1kB", 1, kGiga,
          "Octets a second below which a sender is too slow."),
    range("limits", "transaction_timeout", Kind::duration, "9m", kSecond, kHour,
          "How long all next hops together may take to answer; clients wait 10 minutes."),

    text("inbound", "authserv_ids", Kind::domains, "",
         "Names under which the mail system in front writes Authentication-Results (RFC 8601); default: "
         "`server.hostname`."),
    text("inbound", "fronts", Kind::networks, "",
         "Peers that are the mail system in front. Only their Authentication-Results count."),
    text("inbound", "proxy_protocol", Kind::networks, "",
         "Peers that begin with a PROXY header (version 1 or 2), on every SMTP face."),

    required("inbound.trusted", "name", Kind::text, "A name for logs."),
    required("inbound.trusted", "networks", Kind::networks, "Its networks."),

    text("submission", "require_tls", Kind::boolean, "true", "Whether AUTH is offered only after TLS."),

    text("proxy", "require_tls", Kind::boolean, "true", "Whether logins are taken only after TLS."),
    text("proxy", "proxy_protocol", Kind::networks, "",
         "Peers that begin with a PROXY header (version 1 or 2), on the faces of the proxy."),
    range("proxy", "login_timeout", Kind::duration, "1m", kSecond, kHour,
          "How long a client may take from connecting to a successful login."),
    range(
        "proxy", "idle_timeout", Kind::duration, "31m", kMinute, 24 * kHour,
        "How long an IMAP client may be silent after its login; RFC 9051 wants 30 minutes at least. POP3: 10 "
        "minutes at most."),
    range("proxy", "upstream_timeout", Kind::duration, "1m", kSecond, kHour,
          "How long a provider's server may take to go on with an answer."),
    range("proxy", "max_command", Kind::size, "64kB", 8 * kKilo, 16 * kMega,
          "Longest command, with the literals in it."),
    range("proxy", "max_append", Kind::size, "50MB", 64 * kKilo, 2 * kGiga,
          "Largest message that a client may store (APPEND)."),
    range("proxy", "max_errors", Kind::integer, "20", 3, 1000,
          "Bad commands in a row, or before the login, that close a connection."),
    range("proxy", "max_connections_per_login", Kind::integer, "0", 0, 100'000,
          "Most connections of one login to one worker; 0: as many as the provider allows."),
    text("proxy", "gmail", Kind::boolean, "false", "Whether Gmail's extension X-GM-EXT-1 is offered."),

    text("form", "origins", Kind::origins, "",
         "Web sites whose pages may hold a form, and to which a visitor may be sent after it. `\"*\"`: any "
         "page, "
         "and no redirects. Needed with a face of web forms."),
    range("form", "max_size", Kind::size, "10MB", 64 * kKilo, 100 * kMega, "Largest post, files included."),
    range("form", "max_files", Kind::integer, "5", 0, 20, "Most files of one post."),
    range("form", "max_memory", Kind::size, "64MB", kMega, 16 * kGiga,
          "What all posts in flight of one worker may hold together."),
    range("form", "max_connections", Kind::integer, "500", 1, 100'000,
          "Most connections of one worker to the faces of web forms."),
    text("form", "require_token", Kind::boolean, "true",
         "Whether a form has to hold a token, which tells when it was opened."),
    range("form", "min_time", Kind::duration, "3s", 0, 10 * kMinute,
          "Who fills in a form faster than this is no person."),
    range("form", "max_time", Kind::duration, "12h", kMinute, 7 * 24 * kHour,
          "How long a token is good for."),
    range("form", "rate_window", Kind::duration, "1h", kSecond, 24 * kHour,
          "The time that the rates are for."),
    range("form", "rate_network", Kind::integer, "30", 1, 1'000'000,
          "Most posts from one network (/24 of IPv4, /56 of IPv6) in that time."),
    range("form", "rate_address", Kind::integer, "200", 1, 1'000'000,
          "Most posts to one public address in that time."),
    range("form", "rate_email", Kind::integer, "5", 1, 1'000'000,
          "Most codes to one visitor's address in that time, where an address has `form_code`."),
    range("form", "content_timeout", Kind::duration, "1m", kSecond, kHour,
          "How long a post may take to arrive, beside 1 s for each 8 kB."),
    range("form", "delivery_timeout", Kind::duration, "50s", kSecond, 10 * kMinute,
          "How long the next hops may take before the visitor is asked to try again."),
    text("form", "proxies", Kind::networks, "",
         "Web servers in front, whose X-Forwarded-For tells the visitor's address; it counts for "
         "`rate_network` only."),

    required("provider", "name", Kind::text, "The name that a routes file uses."),
    required("provider", "domains", Kind::domains, "Logins of these domains are asked here."),
    choice("provider", "protocol", "imap|submission", "imap", "How it is asked."),
    required("provider", "host", Kind::host, "Its server."),
    range("provider", "port", Kind::integer, "", 1, 65535,
          "Its port; default: 993 (imap) and 465 (submission) with implicit TLS, 143 and 587 with STARTTLS."),
    choice("provider", "tls", "implicit|starttls", "implicit",
           "How TLS begins. The certificate is always verified."),
    text("provider", "imap_host", Kind::host, "",
         "Its IMAP server for the proxy; default: `host`, when the protocol is `imap`."),
    range("provider", "imap_port", Kind::integer, "", 1, 65535,
          "Its port; default: `port`, when the protocol is `imap` and `imap_host` is not given, else 993 or "
          "143."),
    optional_choice(
        "provider", "imap_tls", "implicit|starttls|none",
        "How its TLS begins; default: `tls`, when the protocol is `imap` and `imap_host` is not given, "
        "else `implicit`. `none`: for a server on this machine, whose host is then a loopback address."),
    text("provider", "pop3_host", Kind::host, "", "Its POP3 server for the proxy; default: `host`."),
    range("provider", "pop3_port", Kind::integer, "", 1, 65535,
          "Its port; default: 995 with implicit TLS, 110 with STLS."),
    choice("provider", "pop3_tls", "implicit|starttls|none", "implicit",
           "How its TLS begins. `none`: as `imap_tls`."),
    text("provider", "ca_file", Kind::file, "",
         "PEM file of the authorities that may sign its certificates; default: the system's."),
    range("provider", "timeout", Kind::duration, "15s", kSecond, 5 * kMinute, "For one question."),

    required("next_hop", "name", Kind::text, "A name for logs and metrics."),
    required("next_hop", "domains", Kind::hop_domains,
             "Recipient domains: `example.org`, `.example.org` for its subdomains, `*` for all others."),
    text("next_hop", "inside", Kind::boolean, "false",
         "Whether only the inside may reach these domains: then no code of a web form goes there."),
    required("next_hop", "host", Kind::host, "Its server."),
    range("next_hop", "port", Kind::integer, "25", 1, 65535, "Its port."),
    choice("next_hop", "tls", "none|opportunistic|starttls|implicit", "opportunistic",
           "`none`: plain, for the same machine. `opportunistic`: STARTTLS when offered, nothing verified. "
           "`starttls`, "
           "`implicit`: TLS always, certificate and name verified."),
    text("next_hop", "ca_file", Kind::file, "",
         "PEM file of the authorities that may sign it; default: the system's."),
    text("next_hop", "username", Kind::text, "", "Login, where it wants one."),
    text("next_hop", "password", Kind::secret, "", "Its password."),
    text("next_hop", "password_file", Kind::file, "",
         "A file whose first line is the password, instead of `password`."),
    range("next_hop", "max_connections", Kind::integer, "20", 1, 10'000,
          "Most connections of one worker to it."),
    range("next_hop", "messages_per_second", Kind::integer, "0", 0, 100'000,
          "Most messages a second to it, of all workers together; 0: no limit. What finds no turn while the "
          "client "
          "waits is answered 4xx, and a retry goes on with it. Each node counts for itself: divide by their "
          "number."),
    range("next_hop", "connect_timeout", Kind::duration, "10s", 100, 10 * kMinute, "To connect."),
    range("next_hop", "command_timeout", Kind::duration, "1m", 100, 30 * kMinute,
          "For MAIL, RCPT, DATA and each piece of a body."),
    range("next_hop", "final_timeout", Kind::duration, "10m", 100, kHour, "For its answer to the final dot."),
    range("next_hop", "idle_timeout", Kind::duration, "30s", 0, kHour,
          "An unused connection is closed after this time."),
};

}  // namespace

std::span<const Setting> settings() {
  return kSettings;
}

std::span<const Section> sections() {
  return kSections;
}

}  // namespace kage::app
