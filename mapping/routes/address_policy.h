// The policies of a public address as data (contract chapter 7): their names in a routes file, the values
// they may have, and where they are kept. The readers of routes files, the rows in Redis, `apply --dry-run`
// and `show` all go by it.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mapping/routes/table.h"

namespace kage::mapping {

struct AddressPolicy {
  std::string_view key;  ///< in a routes file
  /// "always|never|prefix", in the order of the numbers below; the first is the default.
  std::string_view choices;
  std::string_view help;  ///< in docs/routes.md; Markdown
  unsigned (*get)(const AddressSpec&);
  void (*set)(AddressSpec&, unsigned);
  /// Whether the choices include "true" and "false", which TOML writes without quotes.
  [[nodiscard]] bool takes_boolean() const { return choices.find("true") != std::string_view::npos; }
};

std::span<const AddressPolicy> address_policies();
/// The value as a routes file has it.
std::string_view policy_value(const AddressPolicy& policy, const AddressSpec& address);
std::vector<std::string_view> policy_choices(const AddressPolicy& policy);
/// The number of a value; nothing when it is none of the choices.
std::optional<unsigned> policy_number(const AddressPolicy& policy, std::string_view value);

/// "anonymize=prefix;share_replies=self": those that are not the default. Empty when all are.
std::string write_policies(const AddressSpec& address);
/// False when it holds anything that is not known here: rows of a newer version must not be read with laxer
/// policies.
bool read_policies(std::string_view text, AddressSpec& address);

}  // namespace kage::mapping
