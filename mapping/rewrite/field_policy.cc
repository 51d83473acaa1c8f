// The table of header fields and the look-up in it. docs/header-fields.md is written from this table; what it
// does not name is dropped.
#include "mapping/rewrite/field_policy.h"

#include <algorithm>
#include <array>
#include <string>

#include "base/text.h"

namespace kage::mapping {
namespace {

using enum FieldClass;

constexpr bool kSingle = true;
constexpr bool kMany = false;

constexpr FieldGroup kAddresses = FieldGroup::addresses;
constexpr FieldGroup kIds = FieldGroup::ids;
constexpr FieldGroup kLists = FieldGroup::lists;
constexpr FieldGroup kText = FieldGroup::text;
constexpr FieldGroup kPass = FieldGroup::properties;
constexpr FieldGroup kTrace = FieldGroup::trace;
constexpr FieldGroup kAuthentication = FieldGroup::authentication;
constexpr FieldGroup kOrigin = FieldGroup::origin;
constexpr FieldGroup kVendor = FieldGroup::vendor;
constexpr FieldGroup kIdentity = FieldGroup::identity;
constexpr FieldGroup kTools = FieldGroup::tools;

constexpr FieldRule dropped(std::string_view name, FieldGroup group) {
  return {name, drop, drop, kMany, group};
}

// Towards a correspondent From and To are made anew (contract R5.3, R6.1); Sender, Reply-To and their kin
// could only name the member. A receipt (Disposition-Notification-To) would show the member's mailbox to the
// correspondent, and list URLs hold hosts and recipients: neither crosses.
constexpr auto kRules = std::to_array<FieldRule>({
    {"from", addresses, addresses, kSingle, kAddresses},
    {"sender", addresses, drop, kSingle, kAddresses},
    {"reply-to", addresses, drop, kSingle, kAddresses},
    {"to", addresses, addresses, kSingle, kAddresses},
    {"cc", addresses, addresses, kSingle, kAddresses},
    dropped("bcc", kAddresses),
    {"mail-followup-to", addresses, drop, kSingle, kAddresses},
    {"mail-reply-to", addresses, drop, kSingle, kAddresses},
    {"resent-from", addresses, drop, kMany, kAddresses},
    {"resent-to", addresses, drop, kMany, kAddresses},
    {"resent-cc", addresses, drop, kMany, kAddresses},
    dropped("resent-bcc", kAddresses),
    {"resent-sender", addresses, drop, kMany, kAddresses},
    {"resent-reply-to", addresses, drop, kMany, kAddresses},

    {"message-id", ids, ids, kSingle, kIds},
    {"in-reply-to", ids, ids, kSingle, kIds},
    {"references", ids, ids, kSingle, kIds},
    {"resent-message-id", ids, drop, kMany, kIds},
    {"supersedes", ids, ids, kSingle, kIds},
    {"content-id", ids, ids, kSingle, kIds},

    dropped("disposition-notification-to", kLists),
    dropped("list-unsubscribe", kLists),
    dropped("list-unsubscribe-post", kLists),
    dropped("list-post", kLists),
    dropped("list-help", kLists),
    dropped("list-owner", kLists),
    dropped("list-subscribe", kLists),
    dropped("list-archive", kLists),
    dropped("list-id", kLists),

    {"subject", text, text, kSingle, kText},
    {"thread-topic", text, text, kSingle, kText},
    {"comments", text, text, kMany, kText},
    {"keywords", text, text, kMany, kText},
    {"content-description", text, text, kSingle, kText},
    {"content-type", parameters, parameters, kSingle, kText},
    {"content-disposition", parameters, parameters, kSingle, kText},

    {"date", pass, pass, kSingle, kPass},
    {"mime-version", pass, pass, kSingle, kPass},
    {"content-transfer-encoding", pass, pass, kSingle, kPass},
    {"content-language", pass, pass, kSingle, kPass},
    {"importance", pass, pass, kMany, kPass},
    {"priority", pass, pass, kMany, kPass},
    {"x-priority", pass, pass, kMany, kPass},
    {"sensitivity", pass, pass, kMany, kPass},
    {"auto-submitted", pass, pass, kMany, kPass},
    {"precedence", pass, pass, kMany, kPass},
    {"x-auto-response-suppress", pass, pass, kMany, kPass},

    dropped("return-path", kTrace),
    dropped("received", kTrace),
    dropped("x-received", kTrace),
    dropped("received-spf", kTrace),
    dropped("delivered-to", kTrace),
    dropped("x-delivered-to", kTrace),
    dropped("x-original-to", kTrace),
    dropped("envelope-to", kTrace),
    dropped("envelope-from", kTrace),
    dropped("x-envelope-to", kTrace),
    dropped("x-envelope-from", kTrace),
    dropped("apparently-to", kTrace),
    dropped("x-apparently-to", kTrace),
    dropped("x-resolved-to", kTrace),
    dropped("x-rcpt-to", kTrace),
    dropped("x-forwarded-*", kTrace),
    dropped("x-loop", kTrace),
    dropped("x-beenthere", kTrace),
    dropped("errors-to", kTrace),

    dropped("dkim-signature", kAuthentication),
    dropped("domainkey-signature", kAuthentication),
    dropped("x-google-dkim-signature", kAuthentication),
    dropped("arc-*", kAuthentication),
    dropped("authentication-results", kAuthentication),
    dropped("authentication-results-original", kAuthentication),
    dropped("x-authentication-results", kAuthentication),
    dropped("x-authentication-results-original", kAuthentication),
    dropped("bimi-*", kAuthentication),

    dropped("x-originating-ip", kOrigin),
    dropped("x-originating-email", kOrigin),
    dropped("x-sender", kOrigin),
    dropped("x-x-sender", kOrigin),
    dropped("x-authenticated-sender", kOrigin),
    dropped("x-authentication-warning", kOrigin),
    dropped("x-antiabuse", kOrigin),
    dropped("x-get-message-sender-via", kOrigin),
    dropped("x-php-*", kOrigin),

    dropped("x-google-*", kVendor),
    dropped("x-gm-*", kVendor),
    dropped("x-ms-*", kVendor),
    dropped("x-originatororg", kVendor),
    dropped("x-forefront-*", kVendor),
    dropped("x-microsoft-*", kVendor),
    dropped("x-eop*", kVendor),
    dropped("thread-index", kVendor),
    dropped("x-yahoo-*", kVendor),
    dropped("x-ymail-*", kVendor),
    dropped("x-rocket-*", kVendor),
    dropped("x-me-*", kVendor),
    dropped("x-pm-*", kVendor),
    dropped("x-apple-*", kVendor),
    dropped("x-mozilla-*", kVendor),
    dropped("x-forwarded-message-id", kVendor),  // Thunderbird's, in drafts as well
    dropped("x-identity-key", kVendor),
    dropped("fcc", kVendor),

    dropped("autocrypt", kIdentity),
    dropped("autocrypt-gossip", kIdentity),
    dropped("openpgp", kIdentity),
    dropped("face", kIdentity),
    dropped("x-face", kIdentity),
    dropped("organization", kIdentity),
    dropped("user-agent", kIdentity),
    dropped("x-mailer", kIdentity),

    dropped("return-receipt-to", kTools),
    dropped("x-confirm-reading-to", kTools),
    dropped("feedback-id", kTools),
    dropped("cfbl-*", kTools),
    dropped("x-report-abuse", kTools),
    dropped("x-sg-*", kTools),
    dropped("x-mailgun-*", kTools),
    dropped("x-ses-*", kTools),
    dropped("x-spam*", kTools),
    dropped("x-rspamd*", kTools),
});

constexpr FieldRule kDefault = dropped("*", FieldGroup::others);

constexpr std::size_t kMostShown = 32;  ///< bits of an entry of Index::shown
constexpr std::size_t kSlots = 512;     ///< a power of two, well above the number of rules

constexpr bool is_family(const FieldRule& rule) {
  return rule.name.ends_with('*');
}

/// The name, or what the names of a family begin with.
constexpr std::string_view key_of(const FieldRule& rule) {
  return rule.name.substr(0, rule.name.size() - (is_family(rule) ? 1 : 0));
}

/// Many names begin with "X-": the third letter tells more than the first.
constexpr unsigned char third_of(std::string_view name) {
  return static_cast<unsigned char>(to_lower(name[std::min<std::size_t>(2, name.size() - 1)]));
}

/// Where to look for a name first: by its length and three of its letters.
constexpr std::size_t slot_of(std::string_view name) {
  const auto letter = [&](std::size_t at) {
    return std::uint32_t{static_cast<unsigned char>(to_lower(name[at]))};
  };
  const std::uint32_t key = static_cast<std::uint32_t>(name.size()) ^ std::uint32_t{third_of(name)} << 8U ^
                            letter(name.size() / 2) << 16U ^ letter(name.size() - 1) << 24U;
  return (key * 0x9E3779B1U >> 16U) % kSlots;
}

/// `lowered` is in lower case.
constexpr bool begins_with(std::string_view name, std::string_view lowered) {
  if (name.size() < lowered.size()) return false;
  for (std::size_t i = 0; i < lowered.size(); ++i) {
    if (to_lower(name[i]) != lowered[i]) return false;
  }
  return true;
}

/// All rules by their names, made by the compiler; a rule is its number, from 1. Most look-ups compare one
/// name or none.
struct Index {
  std::array<std::uint8_t, kSlots> slots{};
  std::array<std::uint8_t, 256> families{};               ///< by the third letter: the first one
  std::array<std::uint8_t, kRules.size() + 1> another{};  ///< with the same third letter
  std::array<std::uint32_t, 256> shown{};  ///< by the third letter: bits for the lengths of names that cross

  constexpr Index() {
    static_assert(kRules.size() < 255 && kRules.size() < kSlots / 2);
    for (std::size_t i = 0; i < kRules.size(); ++i) {
      const std::string_view key = key_of(kRules[i]);
      const auto number = static_cast<std::uint8_t>(i + 1);
      if (is_family(kRules[i])) {
        std::uint8_t& first = families[third_of(key)];
        another[number] = first;
        first = number;
        continue;
      }
      if (kRules[i].towards_member != drop && key.size() < kMostShown) {
        shown[third_of(key)] |= 1U << key.size();
      }
      std::size_t slot = slot_of(key);
      while (slots[slot] != 0) slot = (slot + 1) % kSlots;
      slots[slot] = number;
    }
  }
};

constexpr Index kIndex;

constexpr bool has_short_family() {
  return std::ranges::any_of(
      kRules, [](const FieldRule& rule) { return is_family(rule) && key_of(rule).size() < 3; });
}
static_assert(!has_short_family(), "a family is found by its third letter");

constexpr bool has_shown_family() {
  return std::ranges::any_of(
      kRules, [](const FieldRule& rule) { return is_family(rule) && rule.towards_member != drop; });
}
static_assert(!has_shown_family(), "Index::shown knows whole names only: a family may not cross to a member");

constexpr bool has_long_name() {
  return std::ranges::any_of(kRules, [](const FieldRule& rule) {
    return rule.towards_member != drop && rule.name.size() >= kMostShown;
  });
}
static_assert(!has_long_name(),
              "Index::shown has a bit for each length below 32: a longer name may not cross");

/// What every delivering system writes.
constexpr bool is_delivery_traced() {
  return std::ranges::all_of(
      std::to_array<std::string_view>({"received", "return-path", "delivered-to", "authentication-results"}),
      [](std::string_view name) {
        const auto* const rule = std::ranges::find(kRules, name, &FieldRule::name);
        return rule != kRules.end() && rule->is_trace();
      });
}
static_assert(is_delivery_traced(),
              "a delivered message would be taken for the member's own and shown as it is");

}  // namespace

void FieldSet::add(std::string_view name) {
  static_assert(kRules.size() < kMaxRules);
  const FieldRule& rule = find_rule(name);
  if (rule.towards_member != drop) rules_.set(static_cast<std::size_t>(&rule - kRules.data()));
}

bool FieldSet::has(const FieldRule& rule) const {
  return rule.towards_member != drop && rules_.test(static_cast<std::size_t>(&rule - kRules.data()));
}

std::span<const FieldRule> field_rules() {
  return kRules;
}

bool is_surely_dropped(std::string_view name) {
  return name.empty() || name.size() >= kMostShown || (kIndex.shown[third_of(name)] >> name.size() & 1U) == 0;
}

const FieldRule& find_rule(std::string_view name) {
  if (name.empty()) return kDefault;
  for (std::size_t slot = slot_of(name); kIndex.slots[slot] != 0; slot = (slot + 1) % kSlots) {
    const FieldRule& rule = kRules[kIndex.slots[slot] - 1U];
    if (rule.name.size() == name.size() && begins_with(name, rule.name)) return rule;
  }
  for (std::size_t each = kIndex.families[third_of(name)]; each != 0; each = kIndex.another[each]) {
    const FieldRule& rule = kRules[each - 1U];
    if (begins_with(name, key_of(rule))) return rule;
  }
  return kDefault;
}

}  // namespace kage::mapping
