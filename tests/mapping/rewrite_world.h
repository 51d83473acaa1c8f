// A small world for rewriting tests: routes with fixed keys, so that every phantom and id is the same in
// every run.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "mapping/rewrite/rewrite.h"

namespace kage::mapping::test {

message::Address address(std::string_view text);

/// Builds routes with fixed keys: the member with number n (from 1) has the id n and a key made from n.
class World {
 public:
  /// Adds a public address; its domain's phantom domain is "p." before it.
  World& add(std::string_view public_address, std::string_view display_name,
             std::vector<std::string> mailboxes, NamePolicy names = NamePolicy::keep,
             RecipientPolicy recipients = RecipientPolicy::private_);
  /// The display name towards correspondents of the member added last.
  World& named(std::string_view name);
  /// A policy of the public address added last, as a routes file has it.
  World& policy(std::string_view key, std::string_view value);
  /// Builds the table; call once after all add().
  World& build();

  [[nodiscard]] const RouteTable& routes() const { return *routes_; }
  [[nodiscard]] const Member& member(MemberId number) const;
  [[nodiscard]] std::string phantom(MemberId number, std::string_view real) const;  ///< whole address
  [[nodiscard]] std::string sealed(MemberId number, std::string_view id) const;     ///< at the phantom domain
  [[nodiscard]] std::string sent(MemberId number, std::string_view id) const;       ///< at the public domain

 private:
  struct Behind {
    std::string public_address;
    MemberSpec spec;
  };

  std::vector<DomainSpec> domains_;
  std::vector<AddressSpec> addresses_;
  std::vector<Behind> members_;  // in the order of their numbers
  Routes routes_;
};

/// Members 1 and 2 behind pta@ (private), 3 behind open@ (open), 4 behind other@ with the mailbox of 1.
World small_world();

/// Text with LF line ends as a header block, and back.
std::string with_crlf(std::string_view text);
std::string with_lf(std::string_view text);

/// Parses a block (LF or CRLF) that has to parse.
ParsedHeader parsed(std::string_view block);

/// The value of the first field with this name, unfolded; "(none)" when there is none.
std::string value(std::string_view block, std::string_view name);
/// How many fields have this name.
std::size_t count(std::string_view block, std::string_view name);

inline const std::string kFrom = "From: Alice <alice@corp.example>\n";

/// An inward copy with derived phantoms and no Received field.
std::string inward(const World& world, MemberId member, std::string_view block,
                   std::string_view envelope_from = {}, std::string_view message_id = {});

/// What a member's message was sent to.
struct Sent {
  std::vector<std::string> phantoms;  ///< real addresses that were addressed by phantom
  std::vector<std::string> direct;    ///< real addresses
};
/// The outward copy for `correspondent`, which has to be one of `sent`.
std::string outward(const World& world, MemberId member, std::string_view block,
                    std::string_view correspondent, const Sent& sent, std::string_view message_id = {});

/// All lines end with CRLF, none is empty or above 998 octets, no NUL, CR or LF elsewhere, every field has a
/// name. Nothing when that is so, else what is wrong.
std::string malformed(std::string_view block);

}  // namespace kage::mapping::test
