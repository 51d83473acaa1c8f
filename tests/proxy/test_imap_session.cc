// What the IMAP session decides without a connection: capabilities and arguments.
#include <catch2/catch.hpp>

#include "provider/imap_text.h"
#include "proxy/imap/capability.h"
#include "proxy/imap/core.h"
#include "proxy/imap/session_arguments.h"

using namespace kage::proxy;

namespace {

const std::string kAll = kage::provider::normal_capabilities(
    "IMAP4rev1 LITERAL+ ENABLE CONDSTORE QRESYNC MOVE UIDPLUS UNSELECT SEARCHRES LIST-EXTENDED LIST-STATUS "
    "SPECIAL-USE CREATE-SPECIAL-USE STATUS=SIZE OBJECTID QUOTA NAMESPACE X-GM-EXT-1 NOTIFY IMAP4rev2");
const std::string kFew = kage::provider::normal_capabilities("IMAP4rev1");

}  // namespace

TEST_CASE("capabilities before login") {
  CHECK(greeting_capabilities(true, false) == "IMAP4rev1 LITERAL+ SASL-IR ID ENABLE STARTTLS LOGINDISABLED");
  CHECK(greeting_capabilities(false, true) ==
        "IMAP4rev1 LITERAL+ SASL-IR ID ENABLE AUTH=PLAIN AUTH=LOGIN AUTH=XOAUTH2 AUTH=OAUTHBEARER");
}

TEST_CASE("capabilities after login") {
  CHECK(session_capabilities(kFew, false, false) == "IMAP4rev1 LITERAL+ SASL-IR ID ENABLE COMPRESS=DEFLATE");
  CHECK(session_capabilities(kFew, false, true) == "IMAP4rev1 LITERAL+ SASL-IR ID ENABLE");
  const std::string all = session_capabilities(kAll, false, false);
  CHECK(all.find("QRESYNC") != std::string::npos);
  for (const auto word : {"NOTIFY", "IMAP4REV2", "X-GM-EXT-1"}) CHECK(all.find(word) == std::string::npos);
  CHECK(session_capabilities(kAll, true, false).find("X-GM-EXT-1") != std::string::npos);
  CHECK(kage::provider::normal_capabilities("a  b\tc") == " A B C ");
  CHECK(kage::provider::normal_capabilities("") == " ");
  CHECK(passes("MOVE", kAll, false));
  CHECK_FALSE(passes("MOVE", kFew, false));
  CHECK_FALSE(passes("NOTIFY", kAll, false));
}

TEST_CASE("a server's words are passed where they name nobody and no host") {
  CHECK(pass_status_text("[INUSE] Mailbox is in use.") == "[INUSE] Mailbox is in use.");
  const std::string withheld = pass_status_text("taro@real.example");
  for (const std::string_view text :
       {"=?utf-8?q?taro=40real?=", "=?utf-8?b?dGFyb0ByZWFs?=", "=?utf-8?b?bWFpbC5yZWFsLmV4YW1wbGU=?=",
        "taro%40real", "see imap.real.example", "192.0.2.9 is gone", "2001:db8::1 is gone", "\x1b[2J", ""}) {
    CAPTURE(text);
    CHECK(pass_status_text(text) == withheld);
  }
}

TEST_CASE("arguments that pass") {
  const auto fits = [](std::string_view name, std::string_view arguments) {
    return arguments_fit(name, arguments, kAll, true);
  };
  CHECK(fits("NOOP", ""));
  CHECK(fits("SELECT", "INBOX"));
  CHECK(fits("SELECT", "\"a b\" (CONDSTORE)"));
  CHECK(fits("SELECT", "{5+}\r\na\r\nb) (QRESYNC (67890007 20050715194045000 41,43:211,214:541))"));
  CHECK(fits("EXAMINE", "x (QRESYNC (1 2 1:5 (1,2 3,4)))"));
  CHECK(fits("EXAMINE", "x (QRESYNC (1 2 (1,2 3,4)) CONDSTORE)"));
  CHECK(fits("CREATE", "x (USE (\\Drafts \\Sent))"));
  CHECK(fits("RENAME", "a b"));
  CHECK(fits("STATUS", "\"\" (MESSAGES size mailboxid)"));
  CHECK(fits("LIST", "\"\" \"*\""));
  CHECK(fits("LIST", "() \"\" %"));
  CHECK(fits("LIST",
             "(SUBSCRIBED RECURSIVEMATCH) \"\" (a% \"b*\") RETURN (CHILDREN STATUS (UNSEEN) SPECIAL-USE)"));
  CHECK(fits("LIST", "\"\" % RETURN ()"));
  CHECK(fits("STORE", "1:* +FLAGS.SILENT (\\Seen $x)"));
  CHECK(fits("STORE", "$ FLAGS ()"));
  CHECK(fits("UID STORE", "1 (UNCHANGEDSINCE 12) -flags \\Deleted x"));
  CHECK(fits("UID STORE", "1 +X-GM-LABELS (a \"b c\")"));
  CHECK(fits("UID MOVE", "1,2 \"x\""));
  CHECK(fits("UID EXPUNGE", "1:3"));
  CHECK(fits("GETQUOTAROOT", "INBOX"));
}

TEST_CASE("arguments that do not pass") {
  const auto fits = [](std::string_view name, std::string_view arguments) {
    return arguments_fit(name, arguments, kAll, false);
  };
  for (const auto& [name, arguments] : std::initializer_list<std::pair<std::string_view, std::string_view>>{
           {"NOOP", "x"},
           {"NOTIFY", "NONE"},
           {"SELECT", ""},
           {"SELECT", "a b"},
           {"SELECT", "a (ANNOTATE)"},
           {"SELECT", "a (QRESYNC (1))"},
           {"SELECT", "a (QRESYNC (1 2 x))"},
           {"SELECT", "a (QRESYNC (1 2)"},
           {"CREATE", "a (USE \\Sent)"},
           {"RENAME", "a"},
           {"STATUS", "a (DELETED-STORAGE)"},
           {"STATUS", "a ()"},
           {"STATUS", "a MESSAGES"},
           {"LIST", "\"\""},
           {"LIST", "(REMOTE \"\" *"},
           {"LIST", "\"\" * RETURN (MYRIGHTS)"},
           {"LIST", "\"\" * RETURN (STATUS (X))"},
           {"STORE", "0 FLAGS x"},
           {"STORE", "1 FLAGS"},
           {"STORE", "1 FLAGS (\\Seen"},
           {"STORE", "1 FLAGS \\*"},
           {"STORE", "1 ANNOTATION (x)"},
           {"STORE", "1 X-GM-LABELS (x)"},
           {"COPY", "1"},
           {"COPY", "1 a b"},
           {"UID EXPUNGE", ""}}) {
    INFO(name << " " << arguments);
    CHECK_FALSE(fits(name, arguments));
  }
  for (const auto& [name, arguments] : std::initializer_list<std::pair<std::string_view, std::string_view>>{
           {"SELECT", "a (CONDSTORE)"},
           {"CREATE", "a (USE (\\Sent))"},
           {"STATUS", "a (HIGHESTMODSEQ)"},
           {"LIST", "(SUBSCRIBED) \"\" *"},
           {"LIST", "\"\" (a b)"},
           {"STORE", "$ FLAGS x"},
           {"STORE", "1 (UNCHANGEDSINCE 1) FLAGS x"},
           {"MOVE", "1 x"},
           {"UID EXPUNGE", "1"},
           {"UNSELECT", ""},
           {"NAMESPACE", ""},
           {"GETQUOTA", "x"}}) {
    INFO("without its capability: " << name << " " << arguments);
    CHECK_FALSE(arguments_fit(name, arguments, kFew, false));
  }
}

TEST_CASE("arguments cut at every octet are refused or are shorter commands") {
  const std::string whole = "(SUBSCRIBED) \"\" (a% \"b*\") RETURN (CHILDREN STATUS (UNSEEN))";
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const bool complete = whole.substr(0, size) == "(SUBSCRIBED) \"\" (a% \"b*\")";
    CHECK(arguments_fit("LIST", whole.substr(0, size), kAll, false) == complete);
  }
}

TEST_CASE("ENABLE asks for what is passed") {
  CHECK(enable_names("condstore X-NONE QRESYNC", kAll, false) == "CONDSTORE QRESYNC");
  CHECK(enable_names("IMAP4rev2", kAll, false) == "");
  CHECK_FALSE(enable_names("", kAll, false));
  CHECK_FALSE(enable_names("A  B", kAll, false));
  CHECK_FALSE(enable_names("(A)", kAll, false));
  CHECK(enable_names("CONDSTORE", kFew, false) == "");  // an upstream without ENABLE is not asked
}
