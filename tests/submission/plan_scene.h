// What tests of the plan share: routes, a message with its envelope, and the copies in words.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "submission/plan.h"

namespace kage::submission::test {

inline constexpr std::int64_t kNow = 1'795'000'000;

inline message::Address parse(std::string_view text) {
  return message::parse_address(text).value();
}

inline mapping::RouteTable::Row row(mapping::MemberId id, std::string address, std::string_view mailbox) {
  mapping::MemberSpec spec;
  spec.mailbox = parse(mailbox);
  return {id, mapping::MemberKeys(std::string(32, static_cast<char>('a' + id))), std::move(address),
          std::move(spec)};
}

inline mapping::Routes make_routes(bool with_teacher = true, bool collect = false,
                                   mapping::SharePolicy share = mapping::SharePolicy::nobody) {
  std::vector<mapping::DomainSpec> domains{{"school.example", ""}};
  std::vector<mapping::AddressSpec> addresses(2);
  addresses[0].address = parse("pta@school.example");
  addresses[0].collect = collect;
  addresses[0].share_replies = share;
  addresses[1].address = parse("office@school.example");
  std::vector<mapping::RouteTable::Row> rows;
  rows.push_back(row(1, "pta@school.example", "officer@gmail.example"));
  rows.push_back(row(3, "office@school.example", "officer@gmail.example"));
  if (with_teacher) rows.push_back(row(2, "pta@school.example", "Teacher@docomo.example"));
  return mapping::RouteTable::build(std::move(domains), std::move(addresses), std::move(rows),
                                    std::make_shared<const mapping::MasterKeys>(std::string(32, 'm')), 1)
      .value();
}

/// One message to two public addresses: pta@ with an officer and a teacher, office@ with the officer alone.
struct Scene {
  mapping::Routes routes = make_routes();
  ClientEnvelope envelope;
  Origin origin;
  std::optional<mapping::ParsedHeader> header;

  explicit Scene(Face face, std::string block) {
    envelope.routes = routes;
    envelope.sender = parse("stranger@out.example");
    origin.face = face;
    if (face != Face::inbound) origin.login = "officer@gmail.example";
    header.emplace(mapping::ParsedHeader::parse(std::move(block)).value());
  }

  void add(std::string_view address, mapping::MemberId member = 0, std::string_view correspondent = {}) {
    auto recipient = classify(*routes, origin.face, envelope.sender, parse(address), kNow).value();
    if (member != 0) {
      recipient.member = member;
      recipient.correspondent = parse(correspondent);
    }
    envelope.recipients.push_back(std::move(recipient));
  }
  /// A phantom in To or Cc that is no recipient of this transaction, resolved.
  void mention(mapping::MemberId member, std::string_view correspondent) {
    add(phantom(member, correspondent), member, correspondent);
    envelope.mentioned.push_back(std::move(envelope.recipients.back()));
    envelope.recipients.pop_back();
  }
  Plan plan() { return Plan::make(*header, envelope, origin, kNow).value(); }
  std::string phantom(mapping::MemberId member, std::string_view correspondent) const {
    return mapping::phantom_address(*routes->find_member(member), parse(correspondent).canonical());
  }
};

/// "in 1 officer@gmail.example" and "out 2 a@b.example", sorted.
inline std::vector<std::string> summary(const Plan& plan) {
  std::vector<std::string> out;
  for (const auto& copy : plan.copies()) {
    out.push_back((copy.inward ? "in " : "out ") + std::to_string(copy.member->id) + " " +
                  copy.recipient.spelling);
  }
  std::ranges::sort(out);
  return out;
}

using Lines = std::vector<std::string>;

}  // namespace kage::submission::test
