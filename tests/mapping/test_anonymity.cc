// 184 and 186 before the subject, and the table of policies.
#include <catch2/catch.hpp>

#include "mapping/routes/address_policy.h"
#include "mapping/routes/anonymity.h"

using namespace kage::mapping;

namespace {

AddressSpec spec(AnonymizePolicy policy, bool allow_186 = false, bool keep_marker = false) {
  AddressSpec address;
  address.anonymize = policy;
  address.allow_186 = allow_186;
  address.keep_marker = keep_marker;
  return address;
}

/// "shown" or "hidden", and the subject that members see.
std::string seen(const AddressSpec& address, std::string_view subject) {
  const Anonymity anonymity = judge_anonymity(address, subject);
  return (anonymity.shows_author ? "shown: " : "hidden: ") + without_marker(anonymity, subject);
}

}  // namespace

TEST_CASE("184 hides under prefix, in any width and behind answers") {
  const AddressSpec prefix = spec(AnonymizePolicy::prefix);
  CHECK(seen(prefix, "Hello") == "shown: Hello");
  CHECK(seen(prefix, "") == "shown: ");
  CHECK(seen(prefix, "184 Hello") == "hidden: Hello");
  CHECK(seen(prefix, "184Hello") == "hidden: Hello");
  CHECK(seen(prefix, "184") == "hidden: ");
  CHECK(seen(prefix, " \t184  Hello") == "hidden: Hello");
  CHECK(seen(prefix, "１８４　質問") == "hidden: 質問");
  CHECK(seen(prefix, "　1８4質問") == "hidden: 質問");
  CHECK(seen(prefix, "184: Hello") == "hidden: : Hello");
  CHECK(seen(prefix, "Re: 184 Hello") == "hidden: Re: Hello");
  CHECK(seen(prefix, "RE:Re[2]: ＲＥ：184 Hello") == "hidden: RE:Re[2]: ＲＥ：Hello");
  CHECK(seen(prefix, "返信：１８４質問") == "hidden: 返信：質問");
  CHECK(seen(prefix, "Ｒｅ：ｒＥ :184 Hello") == "hidden: Ｒｅ：ｒＥ :Hello");
  CHECK(seen(prefix, "\u200b\ufeff\u2003184 Hello") == "hidden: Hello");
  CHECK(seen(prefix, "1840 yen") == "hidden: 1840 yen");
  CHECK(seen(prefix, "１８４０円") == "hidden: １８４０円");
  CHECK(seen(prefix, "184taro@corp.example") == "hidden: 184taro@corp.example");
  CHECK(seen(prefix, "Re: １８４taro@corp.example") == "hidden: Re: １８４taro@corp.example");
  CHECK(seen(prefix, "184 taro@corp.example") == "hidden: taro@corp.example");
  CHECK(seen(prefix, "184 taro@corp.example 184bob@corp.example") ==
        "hidden: taro@corp.example 184bob@corp.example");
  CHECK(seen(prefix, "Hello 184") == "shown: Hello 184");
  CHECK(seen(prefix, "186 Hello") == "shown: 186 Hello");
  CHECK(seen(prefix, "18") == "shown: 18");
}

TEST_CASE("186 shows under always, where the address allows it, at the very beginning only") {
  CHECK(seen(spec(AnonymizePolicy::always), "186 Hello") == "hidden: 186 Hello");
  const AddressSpec lifted = spec(AnonymizePolicy::always, true);
  CHECK(seen(lifted, "Hello") == "hidden: Hello");
  CHECK(seen(lifted, "186 Hello") == "shown: Hello");
  CHECK(seen(lifted, "１８６Hello") == "shown: Hello");
  CHECK(seen(lifted, "1860 yen") == "hidden: 1860 yen");
  CHECK(seen(lifted, "186taro@corp.example") == "hidden: 186taro@corp.example");
  CHECK(seen(lifted, "186 taro@corp.example") == "shown: taro@corp.example");
  CHECK(seen(lifted, "Re: 186 Hello") == "hidden: Re: 186 Hello");
  CHECK(seen(lifted, "184 Hello") == "hidden: 184 Hello");
}

TEST_CASE("a subject that nobody can read hides under prefix") {
  const AddressSpec prefix = spec(AnonymizePolicy::prefix);
  for (const std::string_view subject : {"=?utf-8?X?MTg0?= Hello", "Re: \uFFFD\uFFFD Hello", "\x1b$B#1"}) {
    CHECK(judge_anonymity(prefix, subject).rule == AnonymityRule::unreadable);
    CHECK(seen(prefix, subject) == "hidden: " + std::string(subject));
  }
  CHECK(seen(prefix, "Hello \uFFFD") == "shown: Hello \uFFFD");
}

TEST_CASE("markers may stay, and never asks nobody") {
  CHECK(seen(spec(AnonymizePolicy::prefix, false, true), "184 Hello") == "hidden: 184 Hello");
  CHECK(seen(spec(AnonymizePolicy::always, true, true), "186 Hello") == "shown: 186 Hello");
  CHECK(seen(spec(AnonymizePolicy::never), "184 Hello") == "shown: 184 Hello");
}

TEST_CASE("the marker is found whatever the subject's octets are") {
  const AddressSpec prefix = spec(AnonymizePolicy::prefix);
  const std::string subject = "Re: １８４　\xEF\xBC";
  for (std::size_t size = 0; size <= subject.size(); ++size) {
    const std::string cut = subject.substr(0, size);
    const Anonymity anonymity = judge_anonymity(prefix, cut);
    CHECK(anonymity.marker_begin + anonymity.marker_size <= cut.size());
    CHECK(anonymity.shows_author == (size < 13));
  }
}

TEST_CASE("policies are written and read back") {
  for (const AddressPolicy& policy : address_policies()) {
    const auto choices = policy_choices(policy);
    CHECK(policy_value(policy, AddressSpec{}) == choices.front());
    for (unsigned number = 0; number < choices.size(); ++number) {
      AddressSpec address;
      policy.set(address, number);
      CHECK(policy.get(address) == number);
      CHECK(policy_number(policy, choices[number]) == number);
      AddressSpec back;
      REQUIRE(read_policies(write_policies(address), back));
      for (const AddressPolicy& each : address_policies()) CHECK(each.get(back) == each.get(address));
    }
  }
  AddressSpec address;
  CHECK(write_policies(address).empty());
  CHECK_FALSE(read_policies("anonymize=sometimes", address));
  CHECK_FALSE(read_policies("colour=red", address));
  CHECK_FALSE(read_policies("anonymize", address));
}
