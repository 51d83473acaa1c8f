// The message's way: header, verdict, phantoms, lock and ledger, copies, answer. Redis sees two trips before
// the body goes on (one where no phantom has to be resolved), however many recipients there are.
#include "submission/incoming.h"

#include <openssl/evp.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/text.h"
#include "submission/ascii_domains.h"
#include "submission/bounce_report.h"

namespace kage::submission {
namespace {

constexpr net::Millis kKeepLockEvery{20'000};
constexpr net::Millis kLedgerPatience{30'000};
constexpr net::Millis kLedgerPause{500};
constexpr net::Millis kWriteTime{5};  // how long headers may be written in one go

}  // namespace

net::Task<void> Incoming::nothing() {
  co_return;
}

Incoming::Incoming(const Services& services, std::shared_ptr<Activity> activity, Origin origin,
                   ClientEnvelope envelope, std::function<bool()> client_left)
    : services_(services),
      activity_(std::move(activity)),
      origin_(std::move(origin)),
      envelope_(std::move(envelope)),
      client_left_(std::move(client_left)),
      started_(services.loop.now()),
      hash_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
  EVP_DigestInit_ex(hash_.get(), EVP_sha256(), nullptr);
}

Incoming::~Incoming() = default;

void Incoming::refuse(Answer answer) {
  if (refusal_) return;
  refusal_ = answer;
  if (delivery_) delivery_->abort();
  std::string().swap(header_block_);
  if (pausing_) pausing_->over.set();
}

net::Task<void> Incoming::feed(std::string_view octets) {
  octets_ += octets.size();
  if (octets_ > services_.options.max_message_size) refuse(Answer::message_too_big);
  if (refusal_) co_return;
  if (!header_done_) {
    if (!take_header(octets)) co_return;
    co_await begin();
  }
  if (refusal_ || octets.empty()) co_return;
  EVP_DigestUpdate(hash_.get(), octets.data(), octets.size());
  if (plan_->bounced_to() != nullptr) {
    bounce_.append(octets.substr(0, kBounceRead - std::min(kBounceRead, bounce_.size())));
  } else if (delivery_) {
    co_await delivery_->write(octets);
  }
}

/// Adds to the header; true when it is complete, `octets` is then what follows the empty line.
bool Incoming::take_header(std::string_view& octets) {
  header_block_.append(octets);
  const std::size_t end = header_end_.find(header_block_);
  const bool complete = end != message::HeaderEnd::npos;
  if (std::min(end, header_block_.size()) > services_.options.max_header_size) {
    refuse(Answer::header_too_large);
    return false;
  }
  if (!complete) return false;
  octets.remove_prefix(octets.size() - (header_block_.size() - end));
  header_block_.resize(end);
  if (header_block_.ends_with("\r\n")) header_block_.resize(end - 2);
  header_done_ = true;
  return true;
}

net::Task<void> Incoming::begin() {
  auto refusal = parse_header();
  if (!refusal && origin_.face == Face::inbound) refusal = co_await judge_phantoms();
  if (!refusal) refusal = co_await plan_and_lock();
  if (refusal) refuse(*refusal);
  if (refusal_) co_return;
  if (plan_->bounced_to() != nullptr) co_return;  // its body tells what the copy says (incoming_bounce.cc)
  co_await make_delivery();
  if (!delivery_) co_return;
  set_time();
  co_await delivery_->open();
  answer_by_.reset();
}

/// A header that names a thousand people is written a thousand times: others have their turn in between.
net::Task<void> Incoming::make_delivery() {
  DeliveryOptions options;
  if (plan_->bounced_to() == nullptr) options.size_estimate = envelope_.size;
  options.body_8bit = envelope_.body_8bit;
  options.spool_dir = services_.options.spool_dir;
  const std::string received =
      received_body(services_.options.hostname, origin_, envelope_.smtputf8, unix_seconds());
  std::vector<Copy> copies;
  auto pause_at = std::chrono::steady_clock::now() + kWriteTime;
  for (std::size_t i = 0; i < plan_->copies().size(); ++i) {
    if (lock_->served[i]) continue;
    if (std::chrono::steady_clock::now() >= pause_at) {
      co_await services_.loop.sleep(net::Millis(0));
      pause_at = std::chrono::steady_clock::now() + kWriteTime;
    }
    sent_.push_back(i);
    copies.push_back(plan_->write(i, *header_, envelope_, received));
    Copy& copy = copies.back();
    copy.smtputf8 = envelope_.smtputf8 && !all_ascii(copy.header);
    if (copy.smtputf8 && !all_ascii(with_ascii_domains(copy.header))) options.smtputf8 = true;
  }
  if (copies.empty()) co_return;
  delivery_ =
      std::make_unique<Delivery>(services_.loop, services_.hops, std::move(copies), std::move(options),
                                 [weak = weak_from_this()](std::size_t index) {
                                   const auto self = weak.lock();
                                   if (!self) return nothing();
                                   return self->on_served(self->plan_->copies()[self->sent_[index]].tag);
                                 });
}

/// The entry is on its way at once, and waited for only where the client will try again: with all copies
/// delivered it gets its 250 and has no reason to.
net::Task<void> Incoming::on_served(mapping::CopyTag tag) {
  if (!lock_) return nothing();
  ++ledger_writes_;
  ledger_quiet_.reset();
  return record(shared_from_this(), tag);
}

net::Task<void> Incoming::record(std::shared_ptr<Incoming> self, mapping::CopyTag tag) {
  const auto written = co_await self->services_.directory.served(*self->lock_, tag, self->digest_);
  if (!written) self->ledger_failures_.push_back(tag);
  if (--self->ledger_writes_ == 0) self->ledger_quiet_.set();
}

/// Waits until the ledger has every copy that was served, for as long as makes sense: a retry after our 4xx
/// must not deliver them again (contract R3.7).
net::Task<void> Incoming::secure_ledger() {
  const net::TimePoint until = services_.loop.now() + kLedgerPatience;
  for (;;) {
    if (ledger_writes_ > 0) co_await ledger_quiet_;
    if (ledger_failures_.empty() || activity_->cancelled()) co_return;
    if (services_.loop.now() >= until) break;
    co_await services_.loop.sleep(kLedgerPause);
    if (activity_->cancelled()) co_return;
    for (const mapping::CopyTag& tag : std::exchange(ledger_failures_, {})) {
      ++ledger_writes_;
      ledger_quiet_.reset();
      net::spawn(record(shared_from_this(), tag));
    }
  }
  log::error("ledger.lost", {{"copies", ledger_failures_.size()}});
}

void Incoming::tick(net::TimePoint now) {
  if (answer_by_ && now >= *answer_by_ && delivery_) delivery_->abort();
  log_progress(now);
  if (!lock_ || now < lock_kept_ + kKeepLockEvery) return;
  lock_kept_ = now;
  net::spawn(keep_lock(shared_from_this()));
}

net::Task<void> Incoming::keep_lock(std::shared_ptr<Incoming> self) {
  const mapping::Transaction transaction = *self->lock_;
  const auto kept = co_await self->services_.directory.keep_alive(transaction);
  if (!kept) log::debug("lock.not_kept", {{"reason", to_string(kept.error().code)}});
}

net::Task<void> Incoming::release_lock(bool forget_entries) {
  if (!lock_ || activity_->cancelled()) co_return;
  const mapping::Transaction transaction = std::move(*lock_);
  lock_.reset();
  const auto released = co_await services_.directory.finish(transaction, forget_entries);
  if (!released) log::debug("lock.left", {{"reason", to_string(released.error().code)}});
}

net::Task<void> Incoming::settle(std::shared_ptr<Incoming> self, Activity::Token token, bool forget_entries) {
  const auto held = std::move(token);
  const bool at_once = self->services_.directory.keeps_order() && self->ledger_failures_.empty();
  if (self->lock_ && at_once && !self->activity_->cancelled()) {
    // In one trip with the entries: Redis carries out the release after what was sent before it.
    const mapping::Transaction transaction = *self->lock_;
    const auto released = co_await self->services_.directory.finish(transaction, forget_entries);
    if (!released) log::debug("lock.left", {{"reason", to_string(released.error().code)}});
    co_await self->secure_ledger();
    self->lock_.reset();
    co_return;
  }
  co_await self->secure_ledger();
  co_await self->release_lock(forget_entries);
}

net::Task<void> Incoming::abandon() {
  if (delivery_) delivery_->abort();
  co_await secure_ledger();
  co_await release_lock(false);
}

net::Task<std::string> Incoming::finish() {
  if (!header_done_ && !refusal_) {
    // Data that end before an empty line are all header.
    header_done_ = true;
    co_await begin();
  }
  if (!refusal_ && plan_->bounced_to() != nullptr && !co_await write_bounce()) refuse(Answer::no_mapping);
  if (refusal_) {
    if (refusal_ == Answer::no_such_user) metrics::add(metrics::Counter::recipients_unknown);
    count_refusal(*refusal_);
    co_await abandon();
    log_end(line(*refusal_).substr(0, 3), {});
    co_return std::string(line(*refusal_));
  }
  unsigned char hash[EVP_MAX_MD_SIZE];
  EVP_DigestFinal_ex(hash_.get(), hash, nullptr);
  std::copy_n(reinterpret_cast<const char*>(hash), digest_.size(), digest_.begin());
  set_time();
  std::vector<CopyResult> results;
  if (delivery_) results = co_await delivery_->finish();
  auto answer = co_await conclude(std::move(results));
  answer_by_.reset();
  co_return answer;
}

/// The client waits until then. The last ninth is for copies under way, and for the report.
void Incoming::set_time() {
  const net::Millis timeout = services_.options.transaction_timeout;
  answer_by_ = services_.loop.now() + timeout;
  if (delivery_) delivery_->begin_until(*answer_by_ - timeout / 9);
}

/// Copies that the ledger has for another body of the same identity are not of this message. True: there were
/// some.
net::Task<bool> Incoming::unserve_others() {
  std::vector<mapping::CopyTag> others;
  for (std::size_t i = 0; i < lock_->served.size(); ++i) {
    if (lock_->served[i] && *lock_->served[i] != digest_) others.push_back(plan_->request().copies[i]);
  }
  if (others.empty()) co_return false;
  const auto removed = co_await services_.directory.unserve(*lock_, std::move(others));
  if (!removed) log::warn("ledger.stale", {{"reason", to_string(removed.error().code)}});
  co_return true;
}

net::Task<std::string> Incoming::conclude(std::vector<CopyResult> results) {
  log_refusals(results);
  std::string answer;
  if (co_await unserve_others()) {
    answer = line(Answer::try_again);
    count_refusal(Answer::try_again);
  } else {
    answer = co_await judge(results);
  }
  log_end(std::string_view(answer).substr(0, 3), results);
  // Two equal messages without Message-ID are two messages, not a message and its retry. What nobody has may
  // be sent anew as a whole.
  const bool forget = (answer[0] == '2' && !plan_->remembered()) || all_refused_;
  if (answer[0] == '2' && !forget) {
    net::spawn(settle(shared_from_this(), Activity::Token(activity_), false));
    co_return answer;
  }
  if (!forget) co_await secure_ledger();
  if (ledger_writes_ > 0) co_await ledger_quiet_;
  co_await release_lock(forget);
  co_return answer;
}

}  // namespace kage::submission
