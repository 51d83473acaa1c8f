// The report of refused copies, and the rate of a next hop: both pure.
#include <catch2/catch.hpp>

#include "base/text.h"
#include "message/encoded_word.h"
#include "submission/enhanced_status.h"
#include "submission/hop_rate.h"
#include "submission/report.h"

using namespace kage;
using namespace kage::submission;

namespace {

mapping::Routes make_routes(bool with_postmaster) {
  const auto row = [](mapping::MemberId id, std::string address, std::string_view mailbox) {
    mapping::MemberSpec spec;
    spec.mailbox = message::parse_address(mailbox).value();
    return mapping::RouteTable::Row{id, mapping::MemberKeys(std::string(32, 'k')), std::move(address),
                                    std::move(spec)};
  };
  std::vector<mapping::DomainSpec> domains{{"school.example", ""}};
  std::vector<mapping::AddressSpec> addresses(with_postmaster ? 2 : 1);
  addresses[0].address = message::parse_address("pta@school.example").value();
  std::vector<mapping::RouteTable::Row> rows;
  rows.push_back(row(1, "pta@school.example", "officer@gmail.example"));
  if (with_postmaster) {
    addresses[1].address = message::parse_address("postmaster@school.example").value();
    rows.push_back(row(2, "postmaster@school.example", "admin@gmail.example"));
  }
  return mapping::RouteTable::build(std::move(domains), std::move(addresses), std::move(rows),
                                    std::make_shared<const mapping::MasterKeys>(std::string(32, 'm')), 1)
      .value();
}

const std::vector<RefusedCopy> kRefused = {{"0123456789abcdef@p.school.example", 18, "5.1.1"},
                                           {"fedcba9876543210@p.school.example", 20, "5.7.26"}};

ReportMail report(std::string_view subject, bool with_postmaster = false, std::string_view seed = "seed",
                  std::vector<RefusedCopy> refused = kRefused) {
  const mapping::Routes routes = make_routes(with_postmaster);
  Report about{*routes->find_member(1),
               *routes,
               "mx.school.example",
               seed,
               subject,
               " Thu, 01 Jan 2026 10:51:00 +0900",
               "1@gmail.example",
               500,
               1'795'000'000,
               std::move(refused)};
  return write_report(about);
}

/// The text for people, decoded.
std::string text_of(const ReportMail& mail) {
  const std::string_view body = mail.body;
  const std::size_t begin = body.find("\r\n\r\n") + 4;
  std::string encoded;
  for (const char c : body.substr(begin, body.find("\r\n--", begin) - begin)) {
    if (c != '\r' && c != '\n') encoded.push_back(c);
  }
  return base64_decode(encoded).value();
}

bool has(std::string_view text, std::string_view what) {
  return text.find(what) != std::string_view::npos;
}

}  // namespace

TEST_CASE("an enhanced status code is three numbers of at most three digits") {
  for (const std::string_view code : {"5.1.1", "5.7.509", "5.0.0"}) {
    CHECK(is_enhanced_status(code, '5'));
    CHECK_FALSE(is_enhanced_status(code, '4'));
    CHECK(enhanced_status(std::string(code) + " no such user", '5') == code);
  }
  for (const std::string_view code :
       {"", "5", "5.1", "5.1.", "5..1", "5.1.1.1", "5.01.1", "5.1.1234", "5.1.1x", "x.1.1", " 5.1.1"}) {
    INFO(code);
    CHECK_FALSE(is_enhanced_status(code, '5'));
    CHECK(enhanced_status(code, '5').empty());
  }
  CHECK_FALSE(is_enhanced_status("5.1.1 ", '5'));
}

TEST_CASE("a report tells people and programs who was refused") {
  const ReportMail mail = report(" =?UTF-8?B?6YGL5YuV5Lya?=\r\n");
  CHECK(all_ascii(mail.header));
  CHECK(all_ascii(mail.body));
  CHECK(has(mail.header, "From: Mail Delivery System <pta@school.example>\r\n"));
  CHECK(has(mail.header, "To: <officer@gmail.example>\r\n"));
  CHECK(has(mail.header, "In-Reply-To: <1@gmail.example>\r\n"));
  CHECK(has(mail.body, "Reporting-MTA: dns; mx.school.example\r\n"));
  CHECK(has(mail.body,
            "\r\n\r\nFinal-Recipient: rfc822; 0123456789abcdef@p.school.example\r\nAction: failed\r\nStatus: "
            "5.1.1\r\n"));
  const std::string text = text_of(mail);
  CHECK(has(text, "運動会"));
  CHECK(has(text, "to 2 of its 500 recipients"));
  CHECK(
      has(text, "0123456789abcdef@p.school.example  (recipient 18)\r\n    5.1.1 There is no such mailbox."));
  CHECK(has(text, "does not allow the message"));
}

TEST_CASE(
    "a report comes from the postmaster where there is one, and is the same mail when it is tried again") {
  CHECK(has(report("", true).header, "From: Mail Delivery System <postmaster@school.example>\r\n"));
  CHECK(report("").header == report("").header);
  CHECK(report("").header != report("", false, "other").header);
}

TEST_CASE("who did not get a copy behind a public address is no recipient, and is not named") {
  const RefusedCopy colleague{"pta@school.example", 0, "5.1.1"};
  const auto only = report("", false, "seed", {colleague, colleague});
  CHECK(has(message::decode_words(only.header), "Not delivered to 2 behind a public address"));
  CHECK(has(text_of(only), "to 2 of those behind a public address"));
  CHECK(
      has(text_of(only), "  pta@school.example  (one of those behind it / 担当者の一人)\r\n    5.1.1 There"));
  CHECK_FALSE(has(text_of(only), "recipient "));
  const auto both = report("", false, "seed", {kRefused[0], colleague});
  CHECK(has(message::decode_words(both.header), "Not delivered to 1 of 500 recipients"));
  CHECK(has(text_of(both), "to 1 of its 500 recipients"));
  CHECK(has(text_of(both), "Nor was it delivered to 1 of those behind"));
}

TEST_CASE("nothing in a subject gets out of its line") {
  const std::string evil = " =?UTF-8?Q?a=0D=0AFinal-Recipient:_x?= " + std::string(400, 'a') + "\xe5\xad\r\n";
  const ReportMail mail = report(evil);
  CHECK_FALSE(has(text_of(mail), "\nFinal-Recipient"));
  CHECK_FALSE(has(mail.header, "Final-Recipient"));
  CHECK(text_of(mail).size() < text_of(report("")).size() + 230);
}

TEST_CASE("every status has words") {
  CHECK(reason_of("5.2.2").english == "The mailbox is full.");
  CHECK(reason_of("5.2.9").english == "The mailbox cannot take the message.");
  CHECK(reason_of("5.1.10").english == "The domain takes no mail.");
  CHECK(reason_of("5.0.0").english == reason_of("").english);
  CHECK_FALSE(reason_of("5.9.9").japanese.empty());
}

TEST_CASE("a rate gives turns in order, at its pace, with a tenth of a second's burst") {
  using Clock = HopRate::Clock;
  HopRate rate(100);
  const Clock::time_point start{std::chrono::hours(1)};
  const Clock::time_point never = start + std::chrono::hours(1);
  std::vector<Clock::time_point> turns;
  for (int i = 0; i < 50; ++i) turns.push_back(rate.reserve(start, never).value());
  for (std::size_t i = 0; i < turns.size(); ++i) {
    const auto expected = start + std::chrono::milliseconds(i < 10 ? 0 : 10 * (static_cast<int>(i) - 9));
    CHECK(turns[i] == expected);
  }
  // Too late, and nothing taken: the next one asked for is the same.
  CHECK_FALSE(rate.reserve(start, start + std::chrono::milliseconds(400)));
  CHECK(rate.reserve(start, never) == start + std::chrono::milliseconds(410));
  // What was not used a while ago is not saved up.
  const auto later = start + std::chrono::minutes(1);
  for (int i = 0; i < 10; ++i) CHECK(rate.reserve(later, later) == later);
  CHECK_FALSE(rate.reserve(later, later));
  HopRate slow(1);
  CHECK(slow.reserve(start, never) == start);
  CHECK(slow.reserve(start, never) == start + std::chrono::seconds(1));
}
