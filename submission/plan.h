// The plan of the copies that a message needs (contract chapter 6). Pure: deciding is kept apart from Redis
// and sockets, so that each rule can be tested.
//
// It holds pointers into the routes' snapshot that it was made with, and keeps that snapshot alive.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "mapping/rewrite/rewrite.h"
#include "mapping/routes/table.h"
#include "mapping/store/directory.h"
#include "message/address.h"
#include "submission/answer.h"
#include "submission/bounce_report.h"
#include "submission/delivery.h"
#include "submission/transaction.h"

namespace kage::submission {

/// One copy that the message needs.
struct PlannedCopy {
  bool inward = false;                      ///< towards a member; else towards a correspondent
  const mapping::Member* member = nullptr;  ///< whom it is for, or who writes
  const mapping::Member* writer =
      nullptr;                 ///< inward: whose message is shared with the member (contract R7.3)
  bool is_bounce = false;      ///< inward: no policy shows where it comes from
  message::Address recipient;  ///< mailbox or correspondent, spelled as it goes out
  std::string recipient_key;   ///< canonical
  std::string phantom;         ///< outward: the correspondent's phantom; empty when addressed directly
  std::string notify;
  std::size_t position = 0;  ///< which of the envelope's recipients it is for, from 0
  mapping::CopyTag tag{};
};

class Plan {
 public:
  /// Works out all copies, the phantoms to store and the tags of the ledger. The error is the answer to the
  /// whole message: a phantom that is not resolved or whose member is gone refuses all of it.
  static std::expected<Plan, Answer> make(const mapping::ParsedHeader& header, const ClientEnvelope& envelope,
                                          const Origin& origin, std::int64_t now);

  [[nodiscard]] const std::vector<PlannedCopy>& copies() const { return copies_; }
  [[nodiscard]] const mapping::BeginRequest& request() const { return request_; }
  [[nodiscard]] const mapping::Routes& routes() const { return routes_; }
  /// A bounce of a forwarded message: it would show the mailbox, and nobody gets it.
  [[nodiscard]] bool discards() const { return discarded_ != nullptr && copies_.empty(); }
  /// A member's message that has several copies: those that are refused for good do not refuse the whole
  /// message, which others have; the member gets a report of them (report.h). The ledger's entry of that
  /// report is then the last of request().copies.
  [[nodiscard]] bool reportable() const { return writer_ != nullptr && copies_.size() > 1; }
  /// Whether the ledger may remember the message although it was delivered completely: it has a Message-ID.
  /// One without may be the second of two equal messages; not so the other part of a member's reply to all,
  /// which has its Date and its place in another transaction.
  [[nodiscard]] bool remembered() const { return remembered_; }
  /// The member whom the message is a mail system's report for (bounce_report.h); then it has that copy only,
  /// and a body of our own. Null otherwise.
  [[nodiscard]] const mapping::Member* bounced_to() const { return bounced_to_; }
  /// Sets what the report turned out to say; call it before write(). False: its header cannot be made.
  [[nodiscard]] bool set_bounce_kind(const mapping::ParsedHeader& header, BounceReport::Kind kind);
  /// Which rule decided whether the author is shown (contract R7.1): one for each public address that the
  /// message came to.
  [[nodiscard]] const std::vector<mapping::AnonymityRule>& anonymity() const { return anonymity_; }
  /// The member whom the log names: the writer, or the first that gets a copy. Null when there is none.
  [[nodiscard]] const mapping::Member* logged_member() const;

  /// Copy `index` as it goes out; `header` is the one that the plan was made with. `received`: the body of
  /// our own Received field.
  [[nodiscard]] Copy write(std::size_t index, const mapping::ParsedHeader& header,
                           const ClientEnvelope& envelope, std::string_view received) const;

 private:
  Plan() = default;
  std::optional<Answer> add_recipients(const ClientEnvelope& envelope);
  std::optional<Answer> add_recipient(const Recipient& recipient);
  static std::string copy_name(bool inward, mapping::MemberId member, const std::string& key);
  [[nodiscard]] const mapping::Member* colleague(const PlannedCopy& copy) const;
  void drop_duplicates();
  std::optional<Answer> judge_bounce(const mapping::ParsedHeader& header);
  void add_inward_copy(const mapping::Member& member, const std::string& notify);
  void add_outward_copy(const mapping::Member& member, const message::Address& correspondent,
                        const std::string& phantom, const std::string& notify);
  [[nodiscard]] bool add_shares(const mapping::ParsedHeader& header);
  [[nodiscard]] bool share(const mapping::Member& writer, const mapping::ParsedHeader& header);
  [[nodiscard]] std::optional<mapping::ParsedHeader> shared_header(const mapping::Member& writer,
                                                                   const mapping::ParsedHeader& header) const;
  [[nodiscard]] bool add_inside(const mapping::ParsedHeader& header, const ClientEnvelope& envelope);
  /// Address as the writer knows it (canonical) → real one.
  using Meant = std::unordered_map<std::string, message::Address>;
  [[nodiscard]] Meant meant_by(const ClientEnvelope& envelope) const;
  [[nodiscard]] bool is_outsider_to(const mapping::PublicAddress& address) const;
  [[nodiscard]] bool add_outside(const mapping::ParsedHeader& header, const mapping::PublicAddress& address,
                                 const Meant& meant);
  void add_mentioned(const ClientEnvelope& envelope);
  void add_phantoms(const mapping::ParsedHeader& header, const ClientEnvelope& envelope);
  [[nodiscard]] std::optional<mapping::Sighting> sighting(const mapping::ParsedHeader& header,
                                                          const mapping::Member& member) const;
  void choose_ids(const mapping::ParsedHeader& header);
  void add_tags();
  [[nodiscard]] const mapping::ParsedHeader& header_for(const PlannedCopy& copy,
                                                        const mapping::ParsedHeader& header) const;
  /// A member's phantoms in this message: local part → real address.
  using Resolved = std::unordered_map<std::string, message::Address>;
  [[nodiscard]] const Resolved& resolved_of(const mapping::Member& member) const;
  [[nodiscard]] std::string new_id(bool inward, const mapping::Member& member) const;

  mapping::Routes routes_;
  Face face_ = Face::inbound;
  std::vector<PlannedCopy> copies_;
  std::unordered_set<std::string> seen_;  // copies by direction, member and recipient
  mapping::BeginRequest request_;
  const mapping::Member* writer_ = nullptr;     // the member who writes; null for a stranger's message
  const mapping::Member* discarded_ = nullptr;  // a bounce that nobody gets
  bool has_public_ = false;
  bool remembered_ = true;
  std::vector<const mapping::PublicAddress*> public_;  // a stranger's message came to these
  /// What other members see of a writer's message: as the correspondents see it, with all of them named.
  std::unordered_map<mapping::MemberId, mapping::ParsedHeader> shared_;
  const mapping::Member* bounced_to_ = nullptr;
  std::optional<mapping::ParsedHeader> bounce_header_;  // in place of a report's own
  std::optional<mapping::ParsedHeader> inside_;         // to our own: the author is the writer's mailbox
  /// To our own of other organisations: the author is the writer's public address.
  std::unordered_map<const mapping::PublicAddress*, mapping::ParsedHeader> outside_;
  std::unordered_map<mapping::MemberId, mapping::PhantomMap> phantoms_;  // inward: what each member sees
  std::unordered_map<mapping::MemberId, Resolved> resolved_;
  /// Correspondents of the writer whom the lists name, and who get the message by another transaction.
  std::vector<message::Address> mentioned_;
  std::size_t named_ = 0;           // phantoms in the lists that are no recipients, whosever they are
  std::vector<std::string> shown_;  // canonical real addresses of the envelope
  std::size_t correspondents_ = 0;
  std::vector<mapping::AnonymityRule> anonymity_;
  std::string id_seed_;  // not empty: the message has no Message-ID
  std::int64_t now_ = 0;
};

}  // namespace kage::submission
