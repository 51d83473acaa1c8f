// Which header fields cross, as data (docs/header-fields.md). The rule is default-deny: what the table does
// not name is dropped.
#pragma once

#include <bitset>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace kage::mapping {

enum class FieldClass : std::uint8_t {
  addresses,   ///< an address list whose addresses are rewritten
  ids,         ///< msg-ids that are sealed or opened
  text,        ///< free text in which addresses are replaced
  parameters,  ///< a value with parameters (Content-Type, Content-Disposition)
  pass,        ///< crosses as it is, unless something in it reads as an address
  drop,        ///< named only so that tests and documentation can
};

/// What a field tells of. Whether a mail system handled a message is decided by `trace` and `authentication`.
enum class FieldGroup : std::uint8_t {
  addresses,
  ids,
  lists,  ///< receipts and mailing lists
  text,
  properties,
  trace,
  authentication,
  origin,
  vendor,
  identity,
  tools,  ///< receipts and senders' tools
  others,
};

struct FieldRule {
  std::string_view name;  ///< lower-case; may end with '*' (a family of vendor fields)
  FieldClass towards_member;
  FieldClass towards_correspondent;
  bool single;  ///< at most one may cross; the first counts (RFC 5322 §3.6)
  FieldGroup group;

  /// A field by which a mail system shows that it handled the message.
  [[nodiscard]] constexpr bool is_trace() const {
    return group == FieldGroup::trace || group == FieldGroup::authentication;
  }
  /// Others of its kind may have several (RFC 5322 §3.6.4).
  [[nodiscard]] constexpr bool has_one_id() const { return name == "message-id"; }
};

std::span<const FieldRule> field_rules();
/// The rule for a name, any case; the default rule (drop) for an unknown one. Constant time in the number of
/// rules.
const FieldRule& find_rule(std::string_view name);

/// Whether a field of this name surely does not cross towards a member: quicker than find_rule(). `true` is
/// always right; `false` may be said of a field that does not cross.
bool is_surely_dropped(std::string_view name);

/// Some of the fields that cross towards a member.
class FieldSet {
 public:
  /// A name of any case. One that does not cross is in no set.
  void add(std::string_view name);
  /// `rule`: what find_rule() gave.
  [[nodiscard]] bool has(const FieldRule& rule) const;

 private:
  static constexpr std::size_t kMaxRules = 255;
  std::bitset<kMaxRules> rules_;
};

/// The field that takes the room which dropped fields leave in fetched mail. Where there is hardly room for
/// its name, "X" stands for it.
inline constexpr std::string_view kFillerField = "X-Filler";

/// docs/header-fields.md, written from the table.
std::string field_rules_markdown();

}  // namespace kage::mapping
