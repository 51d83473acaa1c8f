// The table of header fields: default-deny, look-up by any spelling, and what docs/header-fields.md says
// about each class.
#include <catch2/catch.hpp>
#include <set>

#include "base/text.h"
#include "mapping/rewrite/field_policy.h"

namespace kage::mapping {

TEST_CASE("what the table does not name is dropped") {
  for (const std::string_view name : {"X-Custom", "Resent-Date", "Content-Location", "Content-MD5", "X", "",
                                      "*", "From-", "Fro", "Subjects", "X-Spa", "Arc", "Newsgroups"}) {
    INFO(name);
    CHECK(find_rule(name).towards_member == FieldClass::drop);
    CHECK(find_rule(name).towards_correspondent == FieldClass::drop);
  }
  CHECK(find_rule(std::string(100'000, 'a')).group == FieldGroup::others);
}

TEST_CASE("rules are found in any case, families by their beginning") {
  CHECK(find_rule("FROM").name == "from");
  CHECK(find_rule("Message-Id").name == "message-id");
  CHECK(find_rule("X-Google-Smtp-Source").name == "x-google-*");
  CHECK(find_rule("x-google-dkim-signature").name == "x-google-dkim-signature");
  CHECK(find_rule("ARC-Seal").name == "arc-*");
  CHECK(find_rule("X-Spam-Status").name == "x-spam*");
  CHECK(find_rule("X-EOPAttributedMessage").name == "x-eop*");
  CHECK(find_rule("X-MS-Exchange-CrossTenant-OriginalArrivalTime").group == FieldGroup::vendor);
}

TEST_CASE("the table is consistent") {
  std::set<std::string_view> names;
  for (const FieldRule& rule : field_rules()) {
    INFO(rule.name);
    CHECK(rule.name == lower(rule.name));
    CHECK(names.insert(rule.name).second);
    CHECK(rule.group != FieldGroup::others);
    CHECK(&find_rule(rule.name) == &rule);
    CHECK(&find_rule(upper(rule.name)) == &rule);
    CHECK((rule.towards_member == FieldClass::drop || !is_surely_dropped(rule.name)));
    CHECK((rule.towards_member == FieldClass::drop || !is_surely_dropped(upper(rule.name))));
    // A field is of one class, or dropped in one direction.
    CHECK((rule.towards_member == rule.towards_correspondent ||
           rule.towards_correspondent == FieldClass::drop));
    CHECK((!rule.name.ends_with('*') || rule.towards_member == FieldClass::drop));
  }
}

TEST_CASE("what names the member does not go out") {
  for (const std::string_view name :
       {"Sender", "Reply-To", "Mail-Followup-To", "Mail-Reply-To", "Resent-From", "Resent-Message-ID"}) {
    CHECK(find_rule(name).towards_correspondent == FieldClass::drop);
  }
  for (const std::string_view name :
       {"Bcc", "Resent-Bcc", "Disposition-Notification-To", "List-Unsubscribe", "List-Id", "Received",
        "DKIM-Signature", "User-Agent", "Return-Receipt-To", "Thread-Index"}) {
    CHECK(find_rule(name).towards_member == FieldClass::drop);
    CHECK(find_rule(name).towards_correspondent == FieldClass::drop);
  }
}

}  // namespace kage::mapping
