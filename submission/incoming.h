// One message on its way in: header held, body passed through to its copies, one final answer (contract R3.7,
// R3.8).
//
// Octets come without dots and BDAT framing, any cut. After a refusal the rest is taken and dropped, so that
// the answer comes where the protocol has it and memory does not grow. Exactly one of finish() and abandon()
// ends it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mapping/store/directory.h"
#include "message/header.h"
#include "net/task.h"
#include "submission/activity.h"
#include "submission/answer.h"
#include "submission/delivery.h"
#include "submission/pause.h"
#include "submission/plan.h"
#include "submission/services.h"

struct evp_md_ctx_st;

namespace kage::submission {

class Incoming : public std::enable_shared_from_this<Incoming> {
 public:
  /// `client_left`, which may be empty, is asked while the message waits for another attempt of its own.
  Incoming(const Services& services, std::shared_ptr<Activity> activity, Origin origin,
           ClientEnvelope envelope, std::function<bool()> client_left = {});
  ~Incoming();
  Incoming(const Incoming&) = delete;
  Incoming& operator=(const Incoming&) = delete;

  /// Takes octets; returns when all copies have taken them: that is the backpressure. `octets` must stay
  /// valid until then.
  net::Task<void> feed(std::string_view octets);

  /// Nothing is delivered any more; the first refusal is the one that is answered.
  void refuse(Answer answer);
  [[nodiscard]] std::optional<Answer> refusal() const { return refusal_; }

  /// The data have ended. The line to answer with; what remains to be written to Redis goes on by itself.
  net::Task<std::string> finish();

  /// The client went away or gave up: nothing is delivered.
  net::Task<void> abandon();

  /// Called about once a second: keeps the lock of a long transaction, and ends one that takes too long.
  void tick(net::TimePoint now);

  [[nodiscard]] std::uint64_t octets() const { return octets_; }

 private:
  bool take_header(std::string_view& octets);
  net::Task<void> begin();
  std::optional<Answer> parse_header();
  [[nodiscard]] bool has_phantoms() const;
  [[nodiscard]] bool author_vouched() const;
  void find_mentioned();
  net::Task<std::optional<Answer>> judge_phantoms();
  net::Task<std::optional<Answer>> resolve_phantoms();
  net::Task<std::optional<Answer>> plan_and_lock();
  net::Task<std::optional<Answer>> try_lock();
  net::Task<bool> wait_for_lock(net::TimePoint until);
  std::optional<Answer> sort_again(mapping::Routes routes);
  net::Task<void> make_delivery();
  void set_time();

  net::Task<void> on_served(mapping::CopyTag tag);
  static net::Task<void> nothing();
  static net::Task<void> record(std::shared_ptr<Incoming> self, mapping::CopyTag tag);
  static net::Task<void> keep_lock(std::shared_ptr<Incoming> self);
  static net::Task<void> settle(std::shared_ptr<Incoming> self, Activity::Token token, bool forget_entries);
  net::Task<void> secure_ledger();
  net::Task<void> release_lock(bool forget_entries);
  net::Task<bool> unserve_others();
  net::Task<std::string> conclude(std::vector<CopyResult> results);
  void log_progress(net::TimePoint now);
  void log_refusals(const std::vector<CopyResult>& results) const;
  void log_refusal(const mapping::Member& member, bool inward, const message::Address& recipient,
                   std::string_view status) const;
  void log_end(std::string_view answer, const std::vector<CopyResult>& results) const;
  [[nodiscard]] std::string logged_member_tag() const;

  // A mail system's report, which the member gets in our words (incoming_bounce.cc).
  net::Task<bool> write_bounce();
  net::Task<bool> keep_known(std::vector<message::Address>& mentioned);
  net::Task<bool> store_bounced(const BounceReport& report);

  // Copies that were refused for good (incoming_report.cc).
  net::Task<std::string> judge(const std::vector<CopyResult>& results);
  [[nodiscard]] std::vector<std::pair<std::size_t, std::string>> refusals(
      const std::vector<CopyResult>& results) const;
  net::Task<bool> remember_refusals(const std::vector<CopyResult>& results);
  net::Task<bool> store_shown(const std::vector<std::pair<std::size_t, std::string>>& refused);
  net::Task<CopyResult> send_report(std::vector<std::pair<std::size_t, std::string>> refused);

  Services services_;
  std::shared_ptr<Activity> activity_;
  Origin origin_;
  ClientEnvelope envelope_;
  std::function<bool()> client_left_;
  net::TimePoint started_;

  std::string header_block_;
  message::HeaderEnd header_end_;
  bool header_done_ = false;
  std::optional<Answer> refusal_;
  std::uint64_t octets_ = 0;
  std::unique_ptr<evp_md_ctx_st, void (*)(evp_md_ctx_st*)> hash_;
  mapping::Digest digest_{};

  std::optional<mapping::ParsedHeader> header_;
  std::optional<Plan> plan_;
  std::optional<mapping::Transaction> lock_;  // held from begin to release_lock()
  net::TimePoint lock_kept_;
  net::Millis lock_pause_{};       // the next one, while another attempt of this message holds the lock
  std::optional<Pause> pausing_;   // set while this one waits for it
  std::vector<std::size_t> sent_;  // index in the delivery → index in the plan
  std::optional<net::TimePoint> answer_by_;
  std::unique_ptr<Delivery> delivery_;
  bool all_refused_ = false;  // nobody has the message, and nobody will
  std::string bounce_;        // the beginning of a mail system's report, which the member does not get
  bool reported_ = false;     // this attempt sent the report
  std::size_t progress_logged_ = 0;
  net::TimePoint progress_at_;

  std::size_t ledger_writes_ = 0;  // in flight
  std::vector<mapping::CopyTag> ledger_failures_;
  net::Event ledger_quiet_;
};

}  // namespace kage::submission
