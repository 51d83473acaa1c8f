// One mail transaction: who it is from, whom it is for, and the plan of the copies that it needs (contract
// chapters 2 and 6). Everything here is pure: deciding is kept apart from Redis and sockets, so that each
// rule can be tested.
#pragma once

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
#include "net/stream.h"
#include "submission/answer.h"
#include "submission/delivery.h"
#include "submission/returned.h"
#include "submission/session.h"

namespace kage::submission {

struct Recipient {
  enum class Kind : std::uint8_t {
    public_address,  ///< every member behind it gets an inward copy
    phantom,         ///< its member writes to its correspondent
    bounce,          ///< what we emitted came back; for one member, or to be dropped
    direct,          ///< a real address, on the submission faces
  };
  Kind kind = Kind::direct;
  message::Address address;      ///< as the client wrote it
  std::string key;               ///< canonical address; of a phantom its local part in lower case
  std::string notify;            ///< NOTIFY (RFC 3461)
  mapping::MemberId member = 0;  ///< bounce; phantom when it is resolved
  bool discard = false;          ///< bounce of an inward copy: nobody may be told (contract R3.2)
  std::optional<message::Address> correspondent;  ///< phantom when it is resolved
};

/// What was said before the data.
struct ClientEnvelope {
  mapping::Routes routes;                  ///< newest snapshot that this transaction has seen
  bool verified = false;                   ///< `routes` was compared with Redis in this transaction
  std::optional<message::Address> sender;  ///< nothing: <>
  std::uint64_t size = 0;
  bool body_8bit = false;
  bool smtputf8 = false;
  std::string ret;
  std::vector<Recipient> recipients;
};

/// Who hands us the message, and how.
struct Origin {
  Face face = Face::inbound;
  net::PeerAddress peer;
  std::string login;  ///< submission faces: as it logged in
  bool extended = false;
  bool tls = false;
  std::string_view how{};  ///< where it did not come by SMTP: the word for it, in static storage
};

/// Sorts a recipient by the routes alone. `now`: seconds, for the age of bounce addresses. A phantom comes
/// back unresolved.
std::expected<Recipient, Answer> classify(const mapping::RouteTable& routes, Face face,
                                          const std::optional<message::Address>& sender,
                                          const message::Address& address, std::int64_t now);

/// Whether the login's members include this one.
bool owns(const mapping::RouteTable& routes, std::string_view login, mapping::MemberId member);

/// Whether any of the login's members may write to real addresses (contract R7.4). Which of them writes is
/// known with the header only.
bool may_write_directly(const mapping::RouteTable& routes, std::string_view login);

/// One copy that the message needs.
struct PlannedCopy {
  bool inward = false;                      ///< towards a member; else towards a correspondent
  const mapping::Member* member = nullptr;  ///< whom it is for, or who writes
  const mapping::Member* writer =
      nullptr;                 ///< inward: whose message is shared with the member (contract R7.3)
  bool hides_author = false;   ///< inward, a bounce: no policy shows where it comes from
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
  /// The member whom the message is a mail system's report for (returned.h); then it has that copy only, and
  /// a body of our own. Null otherwise.
  [[nodiscard]] const mapping::Member* returned_to() const { return returned_to_; }
  /// Before that copy is written: what the report was read to be. False: its header cannot be made.
  [[nodiscard]] bool tell_return(const mapping::ParsedHeader& header, Returned::News news);
  /// Which rule decided whether the author is shown (contract R7.1): one for each public address that the
  /// message came to.
  [[nodiscard]] const std::vector<mapping::AnonymityRule>& anonymity() const { return anonymity_; }
  /// The member whom the log names: the writer, or the first that gets a copy. Null when there is none.
  [[nodiscard]] const mapping::Member* subject() const;

  /// Copy `index` as it goes out; `header` is the one that the plan was made with. `received`: the body of
  /// our own Received field.
  [[nodiscard]] Copy write(std::size_t index, const mapping::ParsedHeader& header,
                           const ClientEnvelope& envelope, std::string_view received) const;

 private:
  Plan() = default;
  std::optional<Answer> add_recipients(const ClientEnvelope& envelope);
  std::optional<Answer> add_recipient(const Recipient& recipient);
  static std::string copy_name(bool inward, mapping::MemberId member, const std::string& key);
  void leave_out_doubles();
  std::optional<Answer> judge_return(const mapping::ParsedHeader& header);
  void add_inward_copy(const mapping::Member& member, const std::string& notify);
  void add_outward_copy(const mapping::Member& member, const message::Address& correspondent,
                        const std::string& phantom, const std::string& notify);
  [[nodiscard]] bool add_shares(const mapping::ParsedHeader& header);
  [[nodiscard]] bool share(const mapping::Member& writer, const mapping::ParsedHeader& header);
  [[nodiscard]] std::optional<mapping::ParsedHeader> shared_header(const mapping::Member& writer,
                                                                   const mapping::ParsedHeader& header) const;
  [[nodiscard]] bool add_inside(const mapping::ParsedHeader& header, const ClientEnvelope& envelope);
  void add_phantoms(const mapping::ParsedHeader& header, const ClientEnvelope& envelope);
  [[nodiscard]] std::optional<mapping::Sighting> sighting(const mapping::ParsedHeader& header,
                                                          const mapping::Member& member) const;
  void choose_ids(const mapping::ParsedHeader& header);
  void add_tags();
  [[nodiscard]] const mapping::ParsedHeader& header_for(const PlannedCopy& copy,
                                                        const mapping::ParsedHeader& header) const;
  [[nodiscard]] std::string new_id(bool inward, const mapping::Member& member) const;

  mapping::Routes routes_;
  Face face_ = Face::inbound;
  std::vector<PlannedCopy> copies_;
  std::unordered_set<std::string> seen_;  // copies by direction, member and recipient
  mapping::BeginRequest request_;
  const mapping::Member* writer_ = nullptr;     // the member who writes; null for a stranger's message
  const mapping::Member* discarded_ = nullptr;  // a bounce that nobody gets
  bool has_public_ = false;
  std::vector<const mapping::PublicAddress*> public_;  // a stranger's message came to these
  /// What other members see of a writer's message: as the correspondents see it, with all of them named.
  std::unordered_map<mapping::MemberId, mapping::ParsedHeader> shared_;
  const mapping::Member* returned_to_ = nullptr;
  std::optional<mapping::ParsedHeader> returned_;  // in place of a report's own
  std::optional<mapping::ParsedHeader> inside_;    // to our own: the author is the writer's mailbox
  std::unordered_map<mapping::MemberId, mapping::PhantomMap> phantoms_;  // inward: what each member sees
  std::unordered_map<mapping::MemberId, std::unordered_map<std::string, message::Address>> resolved_;
  std::vector<std::string> shown_;  // canonical real addresses of the envelope
  std::size_t correspondents_ = 0;
  std::vector<mapping::AnonymityRule> anonymity_;
  std::string id_seed_;  // not empty: the message has no Message-ID
  std::int64_t now_ = 0;
};

/// Whether every phantom among the recipients belongs to a member whose mailbox is the author (contract
/// R3.3).
bool author_owns_phantoms(const mapping::RouteTable& routes, const ClientEnvelope& envelope,
                          const message::Address& author);

/// "by host with ESMTPS id …; date": names no client (contract R5.3).
std::string received_body(std::string_view hostname, const Origin& origin, bool smtputf8, std::int64_t now);

}  // namespace kage::submission
