// Prints docs/header-fields.md from the table of header fields.
#include <algorithm>
#include <vector>

#include "base/text.h"
#include "mapping/rewrite/field_policy.h"

namespace kage::mapping {
namespace {

constexpr std::string_view kIntroduction = R"(# Header fields: what crosses

This page is printed from the table in `mapping/rewrite/field_policy.cc` by `scripts/generate-docs`; edit it there.

The rule is default-deny: a field that is not named here, and a line that is no field, does not cross in either
direction. What has to be changed is written anew as UTF-8, folded at 78 octets; what needs no change leaves byte for byte
(contract R5.5).

| class | what happens |
|---|---|
| addresses | Towards a member each outside address becomes that member's phantom; public addresses of this gateway and the member's own mailbox stay (in From the public address stands for it). Towards a correspondent From is the public address with the configured name, To and Cc follow the `recipients` policy. Display names, comments and group names stay while nothing in them reads as an address. |
| ids | Sealed at one of our domains, opened when they come back to somebody who knows them (R4.6). The first two and the last ones of a long list are kept, in at most 8 kB. |
| text | Addresses in it are replaced: towards a member by phantoms, towards a correspondent by that correspondent's own address or the public address. |
| parameters | File names (`name`, `filename`) are treated as text; another parameter that holds an address goes, comments too. `boundary` of Content-Type stays, since the body's octets stay. |
| pass | Crosses unless it holds an address or a host name; then without its comments, as a bare keyword, or not at all. |
| drop | Does not cross. |

*One*: at most one field of that name crosses, the first; of To and Cc all are joined into one.

Our own `Received` field stands first. A message without a readable From gets one: the phantom of the envelope sender, or
`postmaster@` the public domain. A message without Message-ID gets one of ours.
)";

constexpr std::string_view kFetched = R"(
## Mail that is fetched

A member who reads a mailbox through the proxy sees its messages by the column "towards a member", with these differences:

- A header keeps its octets and its lines (contract R8.1). What is left is taken by one field at its end, `%`, which means
  nothing and may be ignored.
- Every field stays in its place, of two with one name both; nothing is invented, neither From nor Message-ID.
- The member's own mailbox stays, in From too, and so do addresses and ids at our phantom domains: they came through here.
- Content-ID keeps its length: letters and digits behind its '@' are others. The `cid:` URLs that name it follow.
- The header of a part shows the fields of class pass and those that begin with "Content-".

Where there is no room, this gives way, one after the other; `kagemusha_size_fallbacks_total` counts it by step:

| step | what gives way |
|---|---|
| references | References but for the first and the nearest; fields that ENVELOPE does not show |
| names | display names and comments beside addresses that were replaced |
| ids | In-Reply-To and References; Message-ID becomes a short one |
| text | what stands for an address in Subject and in file names |
| recipients | recipients that do not fit |
| fields | every field that cannot stay as it came, but for what the structure of the body needs |
| all | everything |
)";

std::string_view name_of(FieldClass what) {
  switch (what) {
    case FieldClass::addresses:
      return "addresses";
    case FieldClass::ids:
      return "ids";
    case FieldClass::text:
      return "text";
    case FieldClass::parameters:
      return "parameters";
    case FieldClass::pass:
      return "pass";
    case FieldClass::drop:
      return "drop";
  }
  return "drop";
}

std::string_view heading_of(FieldGroup group) {
  switch (group) {
    case FieldGroup::addresses:
      return "addresses";
    case FieldGroup::ids:
      return "message ids";
    case FieldGroup::lists:
      return "receipts and mailing lists";
    case FieldGroup::text:
      return "free text";
    case FieldGroup::properties:
      return "properties of the message";
    case FieldGroup::trace:
      return "trace";
    case FieldGroup::authentication:
      return "authentication";
    case FieldGroup::origin:
      return "origin";
    case FieldGroup::vendor:
      return "vendor";
    case FieldGroup::identity:
      return "identity";
    case FieldGroup::tools:
      return "receipts and senders' tools";
    case FieldGroup::others:
      return "everything else";
  }
  return "everything else";
}

/// "message-id" as people write it: "Message-ID".
std::string spelled(std::string_view name) {
  std::string out;
  for (std::size_t at = 0; at < name.size();) {
    const std::size_t end = std::min(name.find('-', at), name.size());
    std::string word(name.substr(at, end - at));
    constexpr std::string_view kCapitals = " id ip spf dkim arc bimi mime php ms me cfbl sg ses x ";
    if (kCapitals.find(" " + word + " ") != std::string_view::npos) {
      for (char& c : word) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
    } else if (!word.empty() && is_alpha(word[0])) {
      word[0] = static_cast<char>(to_lower(word[0]) - 32);
    }
    out += word;
    if (end < name.size()) out.push_back('-');
    at = end + 1;
  }
  return out;
}

bool is_dropped(const FieldRule& rule) {
  return rule.towards_member == FieldClass::drop && rule.towards_correspondent == FieldClass::drop;
}

}  // namespace

std::string field_rules_markdown() {
  std::string out(kIntroduction);
  out +=
      "\n## Fields that cross\n\n| field | towards a member | towards a correspondent | "
      "|\n|---|---|---|---|\n";
  for (const FieldRule& rule : field_rules()) {
    if (is_dropped(rule)) continue;
    out += "| " + spelled(rule.name) + " | " + std::string(name_of(rule.towards_member)) + " | " +
           std::string(name_of(rule.towards_correspondent)) + " | " + (rule.single ? "one" : "") + " |\n";
  }
  out +=
      "\n## Fields that are dropped\n\nNamed for tests and for this page; `*` stands for any ending.\n\n| "
      "group | fields |\n|---|---|\n";
  std::vector<FieldGroup> groups;
  for (const FieldRule& rule : field_rules()) {
    if (is_dropped(rule) && (groups.empty() || groups.back() != rule.group)) groups.push_back(rule.group);
  }
  for (const FieldGroup group : groups) {
    std::string names;
    for (const FieldRule& rule : field_rules()) {
      if (!is_dropped(rule) || rule.group != group) continue;
      names += (names.empty() ? "" : ", ") + spelled(rule.name);
    }
    out += "| " + std::string(heading_of(group)) + " | " + names + " |\n";
  }
  std::string fetched(kFetched);
  fetched.replace(fetched.find('%'), 1, kFillerField);
  return out + fetched;
}

}  // namespace kage::mapping
