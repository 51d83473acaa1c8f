// The command parser: tables of lines, and every line cut at every octet.
#include <catch2/catch.hpp>

#include "submission/answer.h"
#include "submission/smtp_command.h"

using namespace kage::submission;

namespace {

std::string_view code(Answer answer) {
  return line(answer).substr(0, 9);
}

struct MailCase {
  std::string_view rest;
  std::string_view sender;  ///< spelling; "<>": null; "501 5.1.7" and the like: refused
};

const MailCase kMail[] = {
    {"FROM:<a@b.example>", "a@b.example"},
    {"from:<a@b.example>", "a@b.example"},
    {"FROM: <a@b.example>", "a@b.example"},
    {"FROM:<>", "<>"},
    {"FROM:<> SIZE=0", "<>"},
    {"FROM:<@x.example,@y.example:a@b.example>", "a@b.example"},
    {"FROM:<\"a b\"@b.example>", "\"a b\"@b.example"},
    {"FROM:<\"a>b\\\"c\"@b.example>", "\"a>b\\\"c\"@b.example"},
    {"FROM:<a..b@docomo.example>", "a..b@docomo.example"},
    {"FROM:<abc.@docomo.example>", "abc.@docomo.example"},
    {"FROM:<a@[192.0.2.1]>", "a@[192.0.2.1]"},
    {"FROM:<a@b.example> SIZE=12 BODY=8BITMIME SMTPUTF8 AUTH=<> RET=full ENVID=x+2By", "a@b.example"},
    {"FROM:<a@b.example> AUTH=e+3Dmc2@example.com BODY=7bit", "a@b.example"},
    {"", "501 5.5.4"},
    {"FROM", "501 5.5.4"},
    {"TO:<a@b.example>", "501 5.5.4"},
    {"FROM:", "501 5.1.7"},
    {"FROM:a@b.example", "501 5.1.7"},
    {"FROM:<a@b.example", "501 5.1.7"},
    {"FROM:<a>", "501 5.1.7"},
    {"FROM:<a@>", "501 5.1.7"},
    {"FROM:<@b.example>", "501 5.1.7"},
    {"FROM:<a b@b.example>", "501 5.1.7"},
    {"FROM:<a(c)@b.example>", "501 5.1.7"},
    {"FROM:<<a@b.example>>", "501 5.1.7"},
    {"FROM:<\"a@b.example>", "501 5.1.7"},
    {"FROM:<a\x01@b.example>", "501 5.1.7"},
    {"FROM:<a@b.example>SIZE=1", "501 5.5.4"},
    {"FROM:<a@b.example> SIZE=", "501 5.5.4"},
    {"FROM:<a@b.example> SIZE", "501 5.5.4"},
    {"FROM:<a@b.example> SIZE=-1", "501 5.5.4"},
    {"FROM:<a@b.example> SIZE=99999999999999999999", "501 5.5.4"},
    {"FROM:<a@b.example> SIZE=1 size=1", "501 5.5.4"},
    {"FROM:<a@b.example> BODY=BINARYMIME", "501 5.5.4"},
    {"FROM:<a@b.example> SMTPUTF8=1", "501 5.5.4"},
    {"FROM:<a@b.example> AUTH=a+zz", "501 5.5.4"},
    {"FROM:<a@b.example> RET=SOME", "501 5.5.4"},
    {"FROM:<a@b.example> ENVID=", "501 5.5.4"},
    {"FROM:<a@b.example> BY=1", "555 5.5.4"},
    {"FROM:<\xc3\xa9@b.example>", "553 5.6.7"},
    {"FROM:<\xc3\xa9@b.example> SMTPUTF8", "\xc3\xa9@b.example"},
};

std::string shown(const Parsed<MailCommand>& mail) {
  if (!mail) return std::string(code(mail.error()));
  return mail->sender ? mail->sender->spelling : "<>";
}

}  // namespace

TEST_CASE("verbs") {
  CHECK(split_command("EHLO a").verb == Verb::ehlo);
  CHECK(split_command("ehlo  a b ").rest == "a b");
  CHECK(split_command(" rset ").verb == Verb::rset);
  CHECK(split_command("STARTTLS").verb == Verb::starttls);
  CHECK(split_command("MAIL\tFROM:<>").verb == Verb::mail);
  CHECK(split_command("MAILFROM:<>").verb == Verb::unknown);
  CHECK(split_command("").verb == Verb::unknown);
  CHECK(split_command("XYZZY").verb == Verb::unknown);
}

TEST_CASE("MAIL") {
  for (const MailCase& each : kMail) {
    INFO(each.rest);
    CHECK(shown(parse_mail(each.rest, true)) == each.sender);
  }
}

TEST_CASE("MAIL parameters are kept") {
  const auto mail = parse_mail("FROM:<a@b.example> SIZE=123 BODY=8bitmime SMTPUTF8 RET=hdrs", true);
  REQUIRE(mail);
  CHECK(mail->size == 123);
  CHECK(mail->body == BodyType::eight_bit);
  CHECK(mail->smtputf8);
  CHECK(mail->ret == "HDRS");
}

TEST_CASE("parameters need EHLO") {
  CHECK(shown(parse_mail("FROM:<a@b.example> SIZE=1", false)) == "555 5.5.4");
  CHECK(shown(parse_mail("FROM:<a@b.example>", false)) == "a@b.example");
}

TEST_CASE("every cut of every MAIL is read without harm") {
  for (const MailCase& each : kMail) {
    for (std::size_t size = 0; size < each.rest.size(); ++size) {
      // A copy of exactly that size: the sanitizer sees a read beyond it.
      const std::string cut(each.rest.substr(0, size));
      const auto mail = parse_mail(cut, true);
      if (mail && mail->sender) CHECK(cut.find('@') != std::string::npos);
    }
  }
}

TEST_CASE("too many parameters") {
  std::string rest = "FROM:<a@b.example>";
  for (int i = 0; i < 400; ++i) rest += " X=1";
  CHECK(shown(parse_mail(rest, true)) == "555 5.5.4");
}

TEST_CASE("RCPT") {
  struct Case {
    std::string_view rest;
    std::string_view result;
  };
  const Case cases[] = {
      {"TO:<a@b.example>", "a@b.example"},
      {"TO: <a@b.example> NOTIFY=NEVER", "a@b.example NEVER"},
      {"TO:<a@b.example> NOTIFY=success,Delay ORCPT=rfc822;a@b.example", "a@b.example SUCCESS,DELAY"},
      {"TO:<postmaster>", "postmaster"},
      {"TO:<PostMaster>", "postmaster"},
      {"TO:<>", "501 5.1.3"},
      {"TO:<a>", "501 5.1.3"},
      {"TO:a@b.example", "501 5.1.3"},
      {"FROM:<a@b.example>", "501 5.5.4"},
      {"TO:<a@b.example> NOTIFY=", "501 5.5.4"},
      {"TO:<a@b.example> NOTIFY=NEVER,SUCCESS", "501 5.5.4"},
      {"TO:<a@b.example> NOTIFY=SUCCESS,SUCCESS", "501 5.5.4"},
      {"TO:<a@b.example> NOTIFY=SUCCESS,", "501 5.5.4"},
      {"TO:<a@b.example> ORCPT=a", "501 5.5.4"},
      {"TO:<a@b.example> ORCPT=;a", "501 5.5.4"},
      {"TO:<a@b.example> RRVS=1", "555 5.5.4"},
      {"TO:<\xc3\xa9@b.example>", "553 5.6.7"},
  };
  for (const Case& each : cases) {
    INFO(each.rest);
    const auto rcpt = parse_rcpt(each.rest, true, false);
    std::string result(rcpt ? rcpt->recipient.spelling : code(rcpt.error()));
    if (rcpt && !rcpt->notify.empty()) result += " " + rcpt->notify;
    CHECK(result == each.result);
  }
  CHECK(parse_rcpt("TO:<\xc3\xa9@b.example>", true, true));
}

TEST_CASE("BDAT") {
  CHECK(parse_bdat("0")->size == 0);
  CHECK_FALSE(parse_bdat("12")->last);
  CHECK(parse_bdat("12  last")->last);
  for (const auto wrong :
       {"", "x", "-1", "1 2", "1 LASTLY", "99999999999999999999", "9223372036854775808", "LAST"}) {
    INFO(wrong);
    CHECK_FALSE(parse_bdat(wrong));
  }
}

TEST_CASE("AUTH") {
  CHECK(parse_auth("plain")->mechanism == "PLAIN");
  CHECK_FALSE(parse_auth("plain")->response);
  CHECK(parse_auth("PLAIN  =")->response == "=");
  for (const auto wrong : {"", "PL.AIN x", "PLAIN a b", "AVERYLONGMECHANISMNAME"}) {
    INFO(wrong);
    CHECK_FALSE(parse_auth(wrong));
  }
}

TEST_CASE("names in EHLO") {
  CHECK(is_helo_name("client.example"));
  CHECK(is_helo_name("[192.0.2.1]"));
  CHECK_FALSE(is_helo_name(""));
  CHECK_FALSE(is_helo_name("a b"));
  CHECK_FALSE(is_helo_name("a\x01"));
  CHECK_FALSE(is_helo_name(std::string(256, 'a')));
}

TEST_CASE("answers with a status of a next hop never carry anything else") {
  CHECK(deferred_line("4.2.2") == "451 4.2.2 Delivery deferred, try again later\r\n");
  CHECK(refused_line("5.1.1") == "554 5.1.1 Delivery refused\r\n");
  for (const auto wrong :
       {"", "4", "5.1.1", "4.1", "4.1.1 user@b", "4.1.\r\n", "4.1000.1", "4..1", "4.1.1000"}) {
    INFO(wrong);
    CHECK(deferred_line(wrong) == "451 4.4.0 Delivery deferred, try again later\r\n");
  }
  CHECK(refused_line("4.1.1") == "554 5.0.0 Delivery refused\r\n");
}
