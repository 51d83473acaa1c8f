// The parser of Authentication-Results field bodies (RFC 8601 §2.2): pure, bounded, no recursion.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kage::submission {

struct AuthProperty {
  std::string name;   ///< "ptype.property" in lower case; "reason" for the reason
  std::string value;  ///< without quotes
};

struct AuthResult {
  std::string method;  ///< lower case, without version
  std::string result;  ///< lower case
  std::vector<AuthProperty> properties;

  /// The value of the first property of that name, or nothing.
  [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const;
};

struct AuthResults {
  std::string authserv_id;
  std::vector<AuthResult> results;  ///< empty for "none"
};

/// Nothing when the body as a whole is not of the form, or passes a bound (16 KiB, 64 results, 32 properties
/// each).
std::optional<AuthResults> parse_auth_results(std::string_view body);

}  // namespace kage::submission
