// What TOML and CSV routes have in common: rows with line numbers become a checked RouteSpec. Internal to
// the two readers.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "app/problems.h"
#include "app/routes_file.h"
#include "mapping/routes/address_policy.h"
#include "mapping/routes/table.h"

namespace kage::app {

/// A value as written and where it stands (in CSV the row); line 0: it is not there.
struct RouteText {
  std::string value;
  std::size_t line = 0;
  [[nodiscard]] bool given() const { return line != 0; }
};

struct RawDomain {
  std::size_t line = 1;
  RouteText name, phantom_domain;
};

struct RawAddress {
  std::size_t line = 1;
  RouteText address, display_name;
  std::vector<RouteText> policies{
      mapping::address_policies().size()};  ///< beside mapping::address_policies()
};

struct RawMember {
  std::size_t line = 1;
  RouteText mailbox, name, login, password_hash, provider;
};

class RoutesBuilder {
 public:
  /// Key names differ: "address.member.mailbox" in TOML, "mailbox" in CSV. `prefix` is put before member
  /// keys.
  struct Names {
    std::string domain, address, member;  ///< prefixes with their final '.', or empty
    std::string name_policy;              ///< "name" in TOML, "name_policy" in CSV
  };
  RoutesBuilder(Names names, const std::vector<std::string>& providers, Problems& problems);

  void add_domain(const RawDomain& raw);
  /// Handles a member of an address that was returned by add_address(); npos is ignored.
  void add_member(std::size_t address, const RawMember& raw);
  /// The address's index; npos when it is wrong. With `again_allowed` (CSV) the same address may come again
  /// if it does not contradict itself.
  std::size_t add_address(const RawAddress& raw, bool again_allowed);
  static constexpr std::size_t npos = static_cast<std::size_t>(-1);
  /// CSV has the phantom domain on every row of an address.
  void set_phantom_domain(std::size_t address, const RouteText& text);

  /// Checks what needs all rows. Nothing when there was any problem.
  std::optional<mapping::RouteSpec> finish();

 private:
  struct KnownAddress {
    std::size_t line;
    std::string canonical;
    RouteText display_name;
    std::vector<RouteText> policies{mapping::address_policies().size()};
    std::unordered_map<std::string, std::size_t> mailboxes;  // canonical → line
    bool has_rows = false;                                   // of members, right or wrong
  };
  struct KnownMailbox {
    std::string canonical, domain;
    std::string shown;
    std::size_t line;
  };

  std::optional<message::Address> read_address(const std::string& where, const RouteText& text,
                                               std::string_view allowed);
  std::string display_name(const std::string& where, const RouteText& text);
  void merge(KnownAddress& known, mapping::AddressSpec& spec, const RawAddress& raw);
  void set_policy(mapping::AddressSpec& spec, const mapping::AddressPolicy& policy, const RouteText& text);
  [[nodiscard]] std::string policy_key(const mapping::AddressPolicy& policy) const;
  void check_login(const mapping::MemberSpec& member, const RawMember& raw);
  void finish_domains();
  void finish_mailboxes();

  Names names_;
  const std::vector<std::string>& providers_;
  Problems& problems_;
  mapping::RouteSpec spec_;
  std::vector<KnownAddress> known_;                          // beside spec_.addresses
  std::unordered_map<std::string, std::size_t> by_address_;  // canonical → index
  std::map<std::string, RawDomain> domains_;                 // canonical name → as given
  std::vector<KnownMailbox> mailboxes_;
  std::unordered_map<std::string, std::pair<std::string, std::size_t>> hashes_;  // login → hash, line
};

/// The other reader; TOML's is in routes_file.cc.
LeftOut read_csv_routes(std::string_view text, RoutesEncoding encoding, RoutesBuilder& builder,
                        Problems& problems);

}  // namespace kage::app
