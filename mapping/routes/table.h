// The routes in memory: public addresses, their members, the domains. Immutable once built; sessions hold a
// snapshot for as long as one transaction lasts.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "mapping/keys/keys.h"
#include "message/address.h"

namespace kage::mapping {

/// Random, never 0, never reused: a mailbox that is deleted and added again is another member (contract
/// R3.5).
using MemberId = std::uint64_t;

enum class NamePolicy : std::uint8_t { keep, hide };                  ///< contract R5.2
enum class RecipientPolicy : std::uint8_t { private_, open };         ///< contract R6.1
enum class AnonymizePolicy : std::uint8_t { always, never, prefix };  ///< contract R7.1
/// What one member sends to a correspondent also reaches nobody, the other members, or the sender too
/// (contract R7.3).
enum class SharePolicy : std::uint8_t { nobody, others, everybody };

/// What a routes file says about a member.
struct MemberSpec {
  message::Address mailbox;
  std::string name;           ///< display name towards correspondents; empty: the public address's
  std::string login;          ///< for submission; empty: the mailbox
  std::string password_hash;  ///< "$scrypt$…"; empty: the provider is asked
  std::string provider;       ///< name of a [[provider]] of the configuration; empty: see Providers::choose()
  bool operator==(const MemberSpec&) const;
};

/// What a routes file says about a public address.
struct AddressSpec {
  message::Address address;
  std::string display_name;
  NamePolicy name = NamePolicy::keep;
  RecipientPolicy recipients = RecipientPolicy::private_;
  AnonymizePolicy anonymize = AnonymizePolicy::always;
  bool allow_186 = false;    ///< under `always`: whether "186" in the subject lifts it (R7.1)
  bool keep_marker = false;  ///< whether "184" and "186" stay in the subject (R7.1)
  SharePolicy share_replies = SharePolicy::nobody;
  bool direct = true;      ///< whether members may write to real addresses (R7.4)
  bool collect = false;    ///< whether it is kept when, and under which name, correspondents wrote
  bool form = false;       ///< whether a web form may write to it
  bool form_code = false;  ///< whether its visitors prove their address with a code that is sent there
  std::vector<MemberSpec> members;
};

struct DomainSpec {
  std::string name;            ///< public domain, A-label form
  std::string phantom_domain;  ///< default: "p." before it (contract R4.7)
  bool operator==(const DomainSpec&) const = default;
};

/// Makes both names lower-case A-labels and fills in the default. Errc::invalid when one is no domain name.
Result<> normalise(DomainSpec& domain);

/// A whole routes file, checked: addresses unique, every address's domain present.
struct RouteSpec {
  std::vector<DomainSpec> domains;
  std::vector<AddressSpec> addresses;
};

struct PublicAddress;

struct Member {
  MemberId id = 0;
  MemberSpec spec;
  MemberKeys keys;
  const PublicAddress* address = nullptr;  ///< the public address it stands behind; lives in the same table
  std::string mailbox_canonical;
};

struct PublicAddress {
  AddressSpec spec;  ///< its `members` are empty here; see `members`
  std::string canonical;
  const DomainSpec* domain = nullptr;
  std::vector<const Member*> members;
};

/// A login as it is compared: canonical where it is an address (a person may write the mailbox in any case or
/// with needless quotes), else in lower case.
std::string login_name(std::string_view login);

/// Lookups are by canonical form and cost one hash. All pointers live as long as the table.
class RouteTable {
 public:
  struct Row {  ///< one member as it is stored
    MemberId id;
    MemberKeys keys;
    std::string public_address;  ///< canonical
    MemberSpec spec;
  };
  /// Errc::invalid when rows and addresses do not fit together: something twice, an address without its
  /// domain, a member without its address, a mailbox that is itself an address of this gateway. The text
  /// names no address. Domain names are normalised and an empty phantom domain gets its default.
  static Result<std::shared_ptr<const RouteTable>> build(std::vector<DomainSpec> domains,
                                                         std::vector<AddressSpec> addresses,
                                                         std::vector<Row> members,
                                                         std::shared_ptr<const MasterKeys> master,
                                                         std::uint64_t generation);

  [[nodiscard]] const PublicAddress* find_address(std::string_view canonical) const;
  [[nodiscard]] const Member* find_member(MemberId id) const;
  /// All members that log in with this name (compared as an address where it is one, else without case).
  [[nodiscard]] std::span<const Member* const> find_login(std::string_view login) const;
  /// All members with this mailbox, by canonical form.
  [[nodiscard]] std::span<const Member* const> find_mailbox(std::string_view canonical) const;
  /// Whether a member behind this public address has this mailbox (canonical): then nobody may be shown it
  /// as a colleague's, whatever the policies say (contract R3.2, R6.2).
  [[nodiscard]] bool stands_behind(const PublicAddress& address, std::string_view canonical) const;
  [[nodiscard]] const DomainSpec* find_public_domain(std::string_view canonical_domain) const;
  [[nodiscard]] const DomainSpec* find_phantom_domain(std::string_view canonical_domain) const;

  [[nodiscard]] std::span<const std::unique_ptr<PublicAddress>> addresses() const { return addresses_; }
  [[nodiscard]] std::span<const DomainSpec> domains() const { return domains_; }
  [[nodiscard]] std::size_t member_count() const { return members_.size(); }
  [[nodiscard]] const MasterKeys& master() const { return *master_; }
  /// Changes with every apply and forget.
  [[nodiscard]] std::uint64_t generation() const { return generation_; }

 private:
  RouteTable() = default;
  Result<> add_domains(std::vector<DomainSpec> domains);
  Result<> add_addresses(std::vector<AddressSpec> addresses);
  Result<> add_members(std::vector<Row> rows);

  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  /// Looked up by views, without copies.
  template <class Value>
  using ByText = std::unordered_map<std::string, Value, TextHash, std::equal_to<>>;

  std::vector<DomainSpec> domains_;
  std::vector<std::unique_ptr<PublicAddress>> addresses_;
  std::vector<std::unique_ptr<Member>> members_;
  ByText<const PublicAddress*> by_address_;
  std::unordered_map<MemberId, const Member*> by_id_;
  ByText<std::vector<const Member*>> by_login_, by_mailbox_;
  ByText<const DomainSpec*> by_public_domain_, by_phantom_domain_;
  std::shared_ptr<const MasterKeys> master_;
  std::uint64_t generation_ = 0;
};

using Routes = std::shared_ptr<const RouteTable>;

}  // namespace kage::mapping
