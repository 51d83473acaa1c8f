// One Exchange for each request. A post is judged before its content is read as far as that is possible, then
// field by field; nothing is sent before all of it is right.
#include "app/form_service.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "app/form_answers.h"
#include "app/form_code.h"
#include "app/form_token.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "base/text.h"
#include "http/negotiate.h"
#include "message/form_data.h"
#include "message/form_letter.h"

namespace kage::app {
namespace {

constexpr std::size_t kMaxText = 256 * 1024;
constexpr std::int64_t kClockSkew = 300;  // seconds that two nodes' clocks may differ by
constexpr std::string_view kTokenSuffix = "/token";

FormOutcome outcome_of(message::FormFault fault) {
  switch (fault) {
    case message::FormFault::too_large:
      return FormOutcome::too_large;
    case message::FormFault::too_many_files:
      return FormOutcome::too_many_files;
    default:
      return FormOutcome::malformed;
  }
}

FormOutcome outcome_of(message::LetterFault fault) {
  using message::LetterFault;
  switch (fault) {
    case LetterFault::unknown_field:
      return FormOutcome::unknown_field;
    case LetterFault::twice:
      return FormOutcome::twice;
    case LetterFault::file_in_text:
      return FormOutcome::file_in_text;
    case LetterFault::charset:
      return FormOutcome::charset;
    case LetterFault::control:
      return FormOutcome::control;
    case LetterFault::too_long:
      return FormOutcome::too_long;
    case LetterFault::no_email:
      return FormOutcome::no_email;
    case LetterFault::bad_email:
      return FormOutcome::bad_email;
    case LetterFault::no_message:
      return FormOutcome::no_message;
    case LetterFault::trapped:
      return FormOutcome::trapped;
  }
  return FormOutcome::malformed;
}

FormOutcome outcome_of(std::string_view answer) {
  if (answer.starts_with('2')) return FormOutcome::sent;
  if (answer.starts_with('4')) return FormOutcome::deferred;
  return answer.starts_with("552") ? FormOutcome::too_large : FormOutcome::refused;
}

/// Whether a next hop's "later" is about this one address (RFC 3463 §3.2, §3.3): it does not exist, or its
/// mailbox does and is full. 4.2.0 is what greylisting says to everybody.
bool is_about_the_address(std::string_view status) {
  return status.starts_with("4.1.") || (status.starts_with("4.2.") && status != "4.2.0");
}

/// One hash over all that makes the letter what it is; each part is hashed by itself, so that none can pass
/// for a piece of its neighbour.
std::string digest_of(const message::FormLetter& letter) {
  std::string parts;
  const auto add = [&parts](std::string_view part) { parts += mapping::sha256(part); };
  add(letter.name);
  add(letter.email.spelling);
  add(letter.subject);
  add(letter.text);
  for (const message::FormFile& file : letter.files) {
    add(file.name);
    add(file.type);
    add(file.content);
  }
  return parts;
}

}  // namespace

class FormService::Exchange final : public http::Exchange {
 public:
  Exchange(FormService& service, const http::Request& request, std::string ip, bool tls)
      : service_(service), request_(request), ip_(std::move(ip)), tls_(tls), began_(service.loop_.now()) {
    manner_.japanese = http::prefers_japanese(value_of("accept-language"));
    manner_.json = http::prefers_json(value_of("accept")) ||
                   starts_with_nocase(value_of("content-type"), "application/json");
  }
  ~Exchange() override { service_.held_ -= held_; }

  std::optional<http::Response> begin() override;
  std::optional<http::Response> take(std::string_view octets) override;
  net::Task<http::Response> finish() override;
  http::Response fault(int status) override;

 private:
  [[nodiscard]] std::string_view value_of(std::string_view field) const {
    const std::string* value = request_.find(field);
    return value == nullptr ? std::string_view() : std::string_view(*value);
  }
  [[nodiscard]] const FormOptions& options() const { return service_.options_; }
  [[nodiscard]] bool is_listed(std::string_view origin) const {
    return std::ranges::find(options().origins, origin) != options().origins.end();
  }
  [[nodiscard]] bool is_own(std::string_view origin) const;
  [[nodiscard]] bool origin_allowed() const;
  std::optional<FormOutcome> find_address();
  std::string current_token() const;
  http::Response look() const;
  http::Response preflight() const;
  std::optional<FormOutcome> begin_post();
  std::optional<FormOutcome> read();
  std::optional<FormOutcome> judge_token();
  std::optional<FormOutcome> judge();
  net::Task<std::optional<FormOutcome>> prove();
  net::Task<std::string> deliver();
  http::Response answer(FormOutcome outcome);
  void add_cors(http::Response& response) const;

  FormService& service_;
  const http::Request& request_;
  const std::string ip_;
  const bool tls_;
  const net::TimePoint began_;
  FormManner manner_;
  bool for_token_ = false;    // the path ends in /token
  net::Millis wait_{60'000};  // what Retry-After says
  std::size_t held_ = 0;
  mapping::Routes routes_;
  const mapping::PublicAddress* address_ = nullptr;
  std::string charset_;
  std::unique_ptr<message::FormReader> reader_;
  message::FormLetter letter_;
  std::int64_t date_ = 0;
};

/// The page that this gateway itself serves; behind a web server in front the scheme may differ.
bool FormService::Exchange::is_own(std::string_view origin) const {
  const std::string host = lower(value_of("host"));
  return !host.empty() && (origin == "https://" + host || origin == "http://" + host);
}

bool FormService::Exchange::origin_allowed() const {
  if (is_listed("*")) return true;
  const std::string_view origin = value_of("origin");
  if (!origin.empty()) return request_.count("origin") == 1 && (is_listed(origin) || is_own(origin));
  const auto referrer = http::origin_of_url(value_of("referer"));
  return referrer && (is_listed(*referrer) || is_own(*referrer));
}

void FormService::Exchange::add_cors(http::Response& response) const {
  const std::string_view origin = value_of("origin");
  response.fields.emplace_back("Vary", "Origin, Accept, Accept-Language");
  if (origin.empty() || !origin_allowed()) return;
  response.fields.emplace_back("Access-Control-Allow-Origin",
                               is_listed("*") ? std::string_view("*") : origin);
}

http::Response FormService::Exchange::answer(FormOutcome outcome) {
  const FormOutcomeRow& row = form_outcome(outcome);
  if (request_.method == "POST") {
    metrics::add(row.counter);
    log::info("form", {{"outcome", row.code},
                       {"octets", held_},
                       {"files", letter_.files.size()},
                       {"ms", (service_.loop_.now() - began_).count()}});
  }
  const bool asks =
      !manner_.json && (outcome == FormOutcome::code_sent || outcome == FormOutcome::wrong_code);
  http::Response response =
      asks ? code_page(outcome, letter_, manner_.japanese) : form_answer(outcome, manner_);
  if (outcome == FormOutcome::sent && !manner_.json && !letter_.redirect.empty()) {
    response.status = 303;
    response.fields.emplace_back("Location", letter_.redirect);
  }
  if (row.status == 503 || row.status == 429) {
    response.fields.emplace_back("Retry-After", std::to_string((wait_.count() + 999) / 1000));
  }
  if (row.status == 405) response.fields.emplace_back("Allow", "GET, HEAD, POST, OPTIONS");
  add_cors(response);
  return response;
}

http::Response FormService::Exchange::fault(int status) {
  return answer(status == 408   ? FormOutcome::too_slow
                : status == 413 ? FormOutcome::too_large
                                : FormOutcome::malformed);
}

/// An address without a form gets the answer of one that does not exist.
std::optional<FormOutcome> FormService::Exchange::find_address() {
  auto path = http::path_behind(request_.target, "/form/");
  if (!path) return FormOutcome::no_form;
  for_token_ = path->ends_with(kTokenSuffix);
  if (for_token_) path->resize(path->size() - kTokenSuffix.size());
  const auto address = message::parse_address(*path);
  if (!address) return FormOutcome::no_form;
  auto routes = service_.directory_.known_routes();
  if (!routes) return FormOutcome::deferred;
  routes_ = std::move(*routes);
  address_ = routes_->find_address(address->canonical());
  if (address_ == nullptr || !address_->spec.form) return FormOutcome::no_form;
  return std::nullopt;
}

std::optional<http::Response> FormService::Exchange::begin() {
  if (const auto outcome = find_address()) return answer(*outcome);
  if (request_.method == "OPTIONS") return preflight();
  if (request_.method == "GET" || request_.method == "HEAD") return look();
  if (request_.method != "POST" || for_token_) return answer(FormOutcome::wrong_method);
  if (const auto outcome = begin_post()) return answer(*outcome);
  return std::nullopt;
}

http::Response FormService::Exchange::preflight() const {
  http::Response response;
  response.status = 204;
  add_cors(response);
  if (origin_allowed()) {
    response.fields.emplace_back("Access-Control-Allow-Methods", "GET, POST");
    response.fields.emplace_back("Access-Control-Allow-Headers", "Content-Type");
    response.fields.emplace_back("Access-Control-Max-Age", "600");
  }
  return response;
}

/// A new token, or that of the query while it is young: a page that the browser has brought back keeps its
/// own, and what it sends again is known as the same message.
std::string FormService::Exchange::current_token() const {
  const std::int64_t now = unix_seconds();
  const std::size_t query = request_.target.find('?');
  const std::string_view old =
      query == std::string::npos ? std::string_view() : std::string_view(request_.target).substr(query + 1);
  const auto made = open_form_token(routes_->master(), address_->canonical, old);
  if (made && *made <= now && std::chrono::seconds(now - *made) < options().max_time / 2)
    return std::string(old);
  return make_form_token(routes_->master(), address_->canonical, now);
}

/// The token alone, or the page that has it.
http::Response FormService::Exchange::look() const {
  const std::string token = current_token();
  const std::string& name = address_->spec.display_name;
  http::Response response = for_token_ ? token_answer(token)
                                       : form_page(name.empty() ? address_->canonical : name, token,
                                                   options().max_files, manner_.japanese);
  add_cors(response);
  return response;
}

std::optional<FormOutcome> FormService::Exchange::begin_post() {
  if (!origin_allowed()) return FormOutcome::wrong_origin;
  if (const auto wait = service_.rates_.networks.take(net::network_of(ip_), service_.loop_.now())) {
    wait_ = *wait;
    return FormOutcome::throttled;
  }
  const std::string* length = request_.find("content-length");
  if (length != nullptr && !parse_number(*length, options().max_size)) return FormOutcome::too_large;
  if (request_.find("content-encoding") != nullptr || request_.count("content-type") != 1) {
    return FormOutcome::wrong_type;
  }
  message::FormLimits limits;
  limits.max_value = kMaxText;
  limits.max_files = options().max_files;
  limits.max_file_octets = options().max_size;
  reader_ = message::make_form_reader(value_of("content-type"), limits, charset_);
  return reader_ ? std::nullopt : std::optional(FormOutcome::wrong_type);
}

std::optional<http::Response> FormService::Exchange::take(std::string_view octets) {
  held_ += octets.size();
  service_.held_ += octets.size();
  if (held_ > options().max_size) return answer(FormOutcome::too_large);
  if (service_.held_ > options().max_memory) return answer(FormOutcome::deferred);
  if (const auto fault = reader_->feed(octets)) return answer(outcome_of(*fault));
  return std::nullopt;
}

/// From octets to a letter.
std::optional<FormOutcome> FormService::Exchange::read() {
  if (const auto fault = reader_->finish()) return outcome_of(*fault);
  auto letter = message::read_letter(std::move(reader_->fields()), charset_);
  if (!letter) return outcome_of(letter.error());
  letter_ = std::move(*letter);
  reader_.reset();
  return std::nullopt;
}

std::optional<FormOutcome> FormService::Exchange::judge_token() {
  const std::int64_t now = unix_seconds();
  date_ = now;
  if (letter_.token.empty()) {
    return options().require_token ? std::optional(FormOutcome::stale) : std::nullopt;
  }
  const auto made = open_form_token(routes_->master(), address_->canonical, letter_.token);
  if (!made || *made > now + kClockSkew) return FormOutcome::stale;
  const net::Millis age = std::chrono::seconds(std::max<std::int64_t>(0, now - *made));
  if (age > options().max_time) return FormOutcome::stale;
  if (age < options().min_time) return FormOutcome::too_fast;
  date_ = *made;
  return std::nullopt;
}

std::optional<FormOutcome> FormService::Exchange::judge() {
  if (const auto outcome = judge_token()) return outcome;
  // Only pages that are listed: a form is no way to send somebody anywhere.
  if (!letter_.redirect.empty()) {
    const auto origin = http::origin_of_url(letter_.redirect);
    if (!origin || !is_listed(*origin)) return FormOutcome::bad_redirect;
  }
  // Nobody outside has an address in our domains. Members' mailboxes are not looked at: a refusal would tell
  // that they are some (contract R3.2).
  const std::string domain = letter_.email.canonical_domain();
  if (routes_->find_public_domain(domain) != nullptr || routes_->find_phantom_domain(domain) != nullptr) {
    return FormOutcome::bad_email;
  }
  if (const auto wait = service_.rates_.addresses.take(address_->canonical, service_.loop_.now())) {
    wait_ = *wait;
    return FormOutcome::throttled;
  }
  return std::nullopt;
}

/// Nothing: the visitor reads the mail of the address that was given. What a next hop says of that address is
/// not told: anybody could find out who exists.
net::Task<std::optional<FormOutcome>> FormService::Exchange::prove() {
  if (letter_.token.empty()) co_return FormOutcome::stale;
  // As on port 25: refused whether the person exists or not (contract R7.5).
  if (service_.mail_.is_inside(letter_.email)) co_return FormOutcome::bad_email;
  const std::string code = form_code(routes_->master(), address_->canonical, letter_.email, letter_.token);
  if (!letter_.code.empty()) {
    co_return is_form_code(letter_.code, code) ? std::nullopt : std::optional(FormOutcome::wrong_code);
  }
  if (const auto wait = service_.rates_.emails.take(letter_.email.canonical(), service_.loop_.now())) {
    wait_ = *wait;
    co_return FormOutcome::throttled;
  }
  const std::string id = base32(random_bytes(20)) + "@" + address_->domain->name;
  CodeMail mail = write_code_mail(*address_, letter_.email, code, id, unix_seconds(), manner_.japanese);
  const submission::CopyResult sent =
      co_await service_.mail_.send({.recipient = letter_.email,
                                    .header = std::move(mail.header),
                                    .body = std::move(mail.body),
                                    .deadline = service_.loop_.now() + options().delivery_timeout});
  switch (sent.outcome) {
    case submission::Outcome::delivered:
      co_return FormOutcome::code_sent;
    case submission::Outcome::refused:
      break;
    case submission::Outcome::deferred:
      if (!is_about_the_address(sent.status)) co_return FormOutcome::deferred;
      break;
  }
  co_return FormOutcome::code_sent;
}

/// Equal posts under one token are one message: the second is a retry, which the ledger knows (contract
/// R3.7).
net::Task<std::string> FormService::Exchange::deliver() {
  std::string seed("form message\0", 13);
  if (letter_.token.empty()) {
    seed += random_bytes(32);
  } else {
    seed += letter_.token + '\0' + address_->canonical + '\0' + digest_of(letter_);
  }
  const std::string id = base32(mapping::hmac_sha256(routes_->master().index_key(), seed).first(20));
  message::LetterWriter writer(letter_, address_->spec.address, id + "@" + address_->domain->name, date_);
  submission::LocalMessage message{.routes = routes_,
                                   .sender = letter_.email,
                                   .recipient = address_->spec.address,
                                   .how = tls_ ? "HTTPS" : "HTTP",
                                   .header = writer.header(),
                                   .next = [&writer](std::string& out) { return writer.next(out); }};
  std::string answer = co_await service_.mail_.deliver(std::move(message));
  co_return answer;
}

net::Task<http::Response> FormService::Exchange::finish() {
  if (const auto outcome = read()) co_return answer(*outcome);
  if (const auto outcome = judge()) co_return answer(*outcome);
  if (address_->spec.form_code) {
    if (const auto outcome = co_await prove()) co_return answer(*outcome);
  }
  const std::string delivered = co_await deliver();
  co_return answer(outcome_of(delivered));
}

std::unique_ptr<http::Exchange> FormService::exchange(const http::Request& request,
                                                      const net::PeerAddress& peer, bool tls) {
  return std::make_unique<Exchange>(*this, request, http::client_ip(request, peer.ip, options_.proxies), tls);
}

http::ServerOptions FormService::server_options() const {
  http::ServerOptions options;
  options.max_connections = options_.max_connections;
  options.max_content = options_.max_size + options_.max_size / 4;
  options.content_timeout = options_.content_timeout;
  options.idle_timeout = net::Millis(15'000);  // anybody may connect here
  return options;
}

}  // namespace kage::app
