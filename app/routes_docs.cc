// Prints docs/routes.md: the keys of a routes file from the table below and that of the policies.
#include <fmt/format.h>

#include <array>

#include "app/routes_file.h"
#include "mapping/routes/address_policy.h"

namespace kage::app {
namespace {

constexpr std::string_view kIntroduction = R"(# Routes file

This page is printed from the tables in `app/routes_docs.cc` and `mapping/routes/address_policy.cc` by
`scripts/generate-docs`; edit it there.

A routes file says which public addresses there are and who stands behind them. `kagemusha apply FILE` makes the gateway
match it and shows first what would change; `kagemusha check --routes FILE` only looks. The file is the whole: a member that
it does not name is [forgotten](operate.md#members-come-and-go). A name that ends in `.csv` is read as CSV, any other as TOML.
All that is wrong in a file is told at once, with line or row, and nothing is applied while anything is wrong.

## TOML

```toml
[[domain]]                                # only where the phantom domain is not p.school.example
name = "school.example"
phantom_domain = "reply.school.example"

[[address]]
address = "pta@school.example"
display_name = "PTA committee"
share_replies = true                      # a policy

[[address.member]]
mailbox = "officer@gmail.com"
name = "PTA, Sato"

[[address.member]]
mailbox = "treasurer@docomo.ne.jp"
login = "treasurer"
password_hash = "$scrypt$ln=15,r=8,p=1$PcTga9v4m5DZLfR6D1S7/Q$9tKwI4PSMuxlzA2mS/Mm8WVfHVmlxGMXpjUfhc7Tqa4"

[[address]]
address = "postmaster@school.example"

[[address.member]]
mailbox = "officer@gmail.com"
provider = "gmail"                        # the name of a [[provider]] of the configuration
```

A key that is not there has its default. All values are texts in quotes; `true` and `false` may stand without.

## CSV

```csv
address,display_name,mailbox,name,login,share_replies,phantom_domain
pta@school.example,PTA committee,officer@gmail.com,"PTA, Sato",,true,reply.school.example
pta@school.example,,treasurer@docomo.ne.jp,,treasurer,,
postmaster@school.example,,officer@gmail.com,,,,
```

Commas between cells (RFC 4180), UTF-8, or Shift_JIS with `--encoding shift_jis`. The first row names the columns, in any order;
`address` and `mailbox` have to be there. Each other row is a member. What belongs to the address (its display name, its policies, the
phantom domain of its domain) stands in one of the address's rows, or the same in several. `TRUE` is `true`.

- **A column that is not there** says nothing: what is known stays as it is, for public addresses, domains and members that are there
  already. What comes new has the default.
- **An empty cell** in a column that is there is the default; for what belongs to the address, where all its rows are empty there.
  Cells that are missing at the end of a row are empty ones: Excel leaves them out.
- **White space** around a value is ignored. Invisible characters in an address (copied from a web page or a chat) and full-width letters
  are refused, with a guess at what was meant; in TOML too.
)";

/// A key that is not a policy.
struct RouteKey {
  std::string_view table;
  std::string_view key;
  std::string_view fallback;  ///< Markdown
  bool column;                ///< of the same name in CSV
  std::string_view help;
};

constexpr std::string_view kAddress = "[[address]]";
constexpr std::string_view kMember = "[[address.member]]";
constexpr std::string_view kDomain = "[[domain]]";

constexpr auto kKeys = std::to_array<RouteKey>({
    {kAddress, "address", "*required*", true,
     "the public address; its domain needs no table of its own, and may be written in Unicode"},
    {kAddress, "display_name", "", true,
     "the name beside the public address in From, where the member has none; at most 200 octets, without an "
     "address in it"},
    {kMember, "mailbox", "*required*", true,
     "where the member's mail goes; once behind each public address, and no public address itself"},
    {kMember, "name", "the address's `display_name`", true,
     "the name that correspondents see when this member writes, at most 200 octets, without an address in "
     "it"},
    {kMember, "login", "the mailbox", true,
     "the user name in a mail client. The provider gets it as it is, where it is asked. Members with the "
     "same login are "
     "one person"},
    {kMember, "password_hash", "the provider is asked", true,
     "a password of its own for sending: what `kagemusha hash-password` prints. Reading always asks the "
     "provider. "
     "One for each login"},
    {kMember, "provider", "by the domain of the login, else of the mailbox", true,
     "the name of the `[[provider]]` of the configuration that knows the login"},
    {kDomain, "name", "*required*", false, "a domain that public addresses are in"},
    {kDomain, "phantom_domain", "`p.` and the domain", true,
     "the domain of its phantoms and bounces, with an MX of its own; another one for each domain. After a "
     "change the "
     "phantoms in the old one find nobody: `apply` counts them and asks"},
});

struct RouteTable {
  std::string_view name;
  std::string_view help;
};

constexpr auto kTables = std::to_array<RouteTable>({
    {kAddress,
     "A public address, with one `[[address.member]]` or more below it. [Policies](#policies) are keys here "
     "too."},
    {kMember, "A mailbox behind the `[[address]]` above it."},
    {kDomain, "Only where a domain's phantom domain is another than the default."},
});

std::string choices_cell(const mapping::AddressPolicy& policy) {
  std::string out;
  for (const std::string_view choice : mapping::policy_choices(policy)) {
    const bool bare = choice == "true" || choice == "false";
    out += fmt::format("{}{}", out.empty() ? "" : ", ",
                       bare ? fmt::format("`{}`", choice) : fmt::format("`\"{}\"`", choice));
  }
  return out;
}

}  // namespace

std::string_view policy_column(const mapping::AddressPolicy& policy) {
  return policy.key == "name" ? "name_policy" : policy.key;
}

std::string routes_markdown() {
  std::string out(kIntroduction);
  for (const RouteTable& table : kTables) {
    out += fmt::format("\n## `{}`\n\n{}\n\n", table.name, table.help);
    out += "| key | default | column in CSV | meaning |\n| --- | --- | --- | --- |\n";
    for (const RouteKey& key : kKeys) {
      if (key.table != table.name) continue;
      const std::string column = key.column ? fmt::format("`{}`", key.key) : "none";
      out += fmt::format("| `{}` | {} | {} | {} |\n", key.key, key.fallback, column, key.help);
    }
  }
  out +=
      "\n## Policies\n\nOf a public address; [operate.md](operate.md#policies-of-a-public-address) tells "
      "more of "
      "what they do.\n\n"
      "| key | values, the default first | column in CSV | what it decides |\n| --- | --- | --- | --- |\n";
  for (const mapping::AddressPolicy& policy : mapping::address_policies()) {
    out += fmt::format("| `{}` | {} | `{}` | {} |\n", policy.key, choices_cell(policy), policy_column(policy),
                       policy.help);
  }
  return out;
}

}  // namespace kage::app
