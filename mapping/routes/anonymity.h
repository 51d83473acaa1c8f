// Whether a message's author is shown to the members (contract R7.1, R7.2): the policy of the public address,
// and the dial prefixes 184 (withhold) and 186 (give) before the subject. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "mapping/routes/table.h"

namespace kage::mapping {

/// Why a message shows its author or not: for metrics, which name nobody.
enum class AnonymityRule : std::uint8_t {
  always,      ///< hidden by policy
  never,       ///< shown by policy
  asked_184,   ///< `prefix`: hidden because the subject says so
  plain,       ///< `prefix`: shown because the subject says nothing
  lifted_186,  ///< `always`: shown because the subject says so and the address allows it
  unreadable,  ///< `prefix`: hidden because nobody can say what the subject begins with
};
bool shows_author(AnonymityRule rule);
/// "always", "184", …: for the log.
std::string_view name_of(AnonymityRule rule);

struct Anonymity {
  AnonymityRule rule = AnonymityRule::always;
  bool shows_author = false;
  /// Octets of the decoded subject that are the marker with the white space around it, from `marker_begin`;
  /// 0: none, or it stays (`keep_marker`).
  std::size_t marker_begin = 0;
  std::size_t marker_size = 0;
};

/// `subject`: decoded to UTF-8, U+FFFD for whatever is not certain. "184" counts in any width, after optional
/// white space, and behind "Re:" and its kin as well: an answer to a hidden message must not show who wrote
/// it. "186" counts at the very beginning only. A digit behind makes it a longer number, and some text an
/// address ("184taro@corp.example"). Those stay whole: 184 still hides, 186 does not show.
Anonymity judge_anonymity(const AddressSpec& address, std::string_view subject);

/// Whether there are messages to this address whose author is shown.
bool may_show_authors(const AddressSpec& address);

/// The subject without the marker.
std::string without_marker(const Anonymity& anonymity, std::string_view subject);

/// The display name for an author who is shown: "Name (real@address)", or the address alone without a name.
std::string shown_author_name(std::string_view decoded_name, std::string_view address);

}  // namespace kage::mapping
