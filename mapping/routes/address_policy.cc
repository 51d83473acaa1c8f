// The table, and the row in Redis that is written from it.
#include "mapping/routes/address_policy.h"

#include <algorithm>
#include <array>

namespace kage::mapping {
namespace {

template <auto Field>
unsigned get(const AddressSpec& address) {
  return static_cast<unsigned>(address.*Field);
}
template <auto Field, class Type>
void set(AddressSpec& address, unsigned number) {
  address.*Field = static_cast<Type>(number);
}
// The order of a boolean's choices is the other way round where `true` is the default.
unsigned get_direct(const AddressSpec& address) {
  return address.direct ? 0 : 1;
}
void set_direct(AddressSpec& address, unsigned number) {
  address.direct = number == 0;
}

constexpr std::array kPolicies = {
    AddressPolicy{"name", "keep|hide", "whether members see correspondents' display names",
                  get<&AddressSpec::name>, set<&AddressSpec::name, NamePolicy>},
    AddressPolicy{"recipients", "private|open", "whether correspondents of one message see each other",
                  get<&AddressSpec::recipients>, set<&AddressSpec::recipients, RecipientPolicy>},
    AddressPolicy{"anonymize", "always|never|prefix",
                  "whose address members do not see. With `\"prefix\"`: that of who writes 184 before the "
                  "subject, in any width",
                  get<&AddressSpec::anonymize>, set<&AddressSpec::anonymize, AnonymizePolicy>},
    AddressPolicy{"allow_186", "false|true",
                  "under `\"always\"`: whether a sender may show the address with 186 before the subject",
                  get<&AddressSpec::allow_186>, set<&AddressSpec::allow_186, bool>},
    AddressPolicy{"keep_marker", "false|true", "whether 184 and 186 stay in the subject that members see",
                  get<&AddressSpec::keep_marker>, set<&AddressSpec::keep_marker, bool>},
    AddressPolicy{
        "share_replies", "false|true|self",
        "whether what a member answers also reaches the other members, and with `\"self\"` the sender",
        get<&AddressSpec::share_replies>, set<&AddressSpec::share_replies, SharePolicy>},
    AddressPolicy{"direct", "true|false", "whether members may write to real addresses, or to phantoms only",
                  get_direct, set_direct},
    AddressPolicy{
        "collect", "false|true",
        "whether it is kept who wrote, when, and under which display name, for `kagemusha phantoms`",
        get<&AddressSpec::collect>, set<&AddressSpec::collect, bool>},
    AddressPolicy{"form", "false|true", "whether a [web form](web-form.md) writes to it",
                  get<&AddressSpec::form>, set<&AddressSpec::form, bool>},
    AddressPolicy{"form_code", "false|true",
                  "whether its visitors first prove their address with [a code that is sent "
                  "there](web-form.md#a-code-before-the-message-is-sent)",
                  get<&AddressSpec::form_code>, set<&AddressSpec::form_code, bool>},
};

}  // namespace

std::span<const AddressPolicy> address_policies() {
  return kPolicies;
}

std::vector<std::string_view> policy_choices(const AddressPolicy& policy) {
  std::vector<std::string_view> choices;
  std::string_view left = policy.choices;
  for (;;) {
    const std::size_t bar = left.find('|');
    choices.push_back(left.substr(0, bar));
    if (bar == std::string_view::npos) return choices;
    left.remove_prefix(bar + 1);
  }
}

std::string_view policy_value(const AddressPolicy& policy, const AddressSpec& address) {
  return policy_choices(policy).at(policy.get(address));
}

std::optional<unsigned> policy_number(const AddressPolicy& policy, std::string_view value) {
  const auto choices = policy_choices(policy);
  const auto at = std::ranges::find(choices, value);
  if (at == choices.end()) return std::nullopt;
  return static_cast<unsigned>(at - choices.begin());
}

std::string write_policies(const AddressSpec& address) {
  std::string out;
  for (const AddressPolicy& policy : kPolicies) {
    if (policy.get(address) == 0) continue;
    if (!out.empty()) out += ';';
    out.append(policy.key).append("=").append(policy_value(policy, address));
  }
  return out;
}

bool read_policies(std::string_view text, AddressSpec& address) {
  while (!text.empty()) {
    const std::size_t end = text.find(';');
    const std::string_view piece = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    const std::size_t equals = piece.find('=');
    if (equals == std::string_view::npos) return false;
    bool known = false;
    for (const AddressPolicy& policy : kPolicies) {
      if (policy.key != piece.substr(0, equals)) continue;
      const auto number = policy_number(policy, piece.substr(equals + 1));
      if (!number) return false;
      policy.set(address, *number);
      known = true;
    }
    if (!known) return false;
  }
  return true;
}

}  // namespace kage::mapping
