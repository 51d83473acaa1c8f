// SEARCH, SORT and THREAD from command to answer, against a mailbox that knows nothing of phantoms.
#include <catch2/catch.hpp>

#include <set>

#include "../mapping/rewrite_world.h"
#include "base/text.h"
#include "fake_mailbox.h"
#include "proxy/imap/session_send.h"
#include "proxy/search/search.h"
#include "proxy/search/text.h"

using namespace kage;
using namespace kage::proxy;
using mapping::test::with_crlf;
using mapping::test::World;
using proxy::test::FakeMailbox;
using proxy::test::StoredMessage;

namespace {

std::string mail(std::string_view from, std::string_view subject, std::string_view body,
                 std::string_view more = {}) {
  std::string text =
      "Received: from mx.hidden.example (mx.hidden.example [192.0.2.1]) by mx.google.example; x\n"
      "Authentication-Results: mx.google.example; dkim=pass header.d=hidden.example\n"
      "X-Mailer: Some Client 1.0 with a long name so that there is room\n";
  text.append("From: ").append(from).append("\nTo: pta@school.example\nSubject: ").append(subject);
  text.append("\nMessage-ID: <").append(subject.substr(0, 3)).append("@hidden.example>\n");
  text.append(more).append("\n").append(body);
  return with_crlf(text);
}

/// A session that has a mailbox open.
struct Rig {
  explicit Rig(std::vector<StoredMessage> messages)
      : redis(loop, {}),
        shared("/nonexistent"),
        directory(loop, redis, shared),
        client(loop, ""),
        client_reader(client),
        out(client, directory),
        mailbox(loop, messages),
        in(mailbox) {
    world.add("pta@school.example", "PTA", {"officer@gmail.example"}).build();
    core.audience = {mapping::Routes(std::shared_ptr<void>(), &world.routes()), {&world.member(1)}};
    core.capabilities = " IMAP4REV1 LITERAL+ ";
    core.selected = true;
    core.exists = static_cast<std::uint32_t>(messages.size());
  }

  net::Task<void> search(std::string name, std::string rest) {
    auto status = co_await run_search(core, {.tag = "c1", .name = std::move(name), .rest = std::move(rest)});
    if (status) {
      result = status->name;
      out.add("c1 " + status->name + " " + status->text + "\r\n");
    } else {
      result = to_string(status.error().code);
    }
    (void)co_await out.flush();
  }
  /// What the client gets but the tagged line, if that is OK; else that line's beginning.
  std::string run(std::string name, std::string rest) {
    client.transcript()->output.clear();
    net::testing::run_on_loop(loop, search(std::move(name), std::move(rest)));
    std::string answer = client.transcript()->output;
    const std::size_t end = answer.rfind("c1 OK");
    return end == answer.npos ? result : answer.substr(0, end);
  }
  std::set<int> found(std::string rest) {
    const std::string answer = run("UID SEARCH", std::move(rest));
    REQUIRE(answer.starts_with("* SEARCH"));
    std::set<int> numbers;
    ImapCursor cursor(std::string_view(answer).substr(8));
    while (cursor.take_space()) numbers.insert(static_cast<int>(parse_number(cursor.atom()).value()));
    return numbers;
  }

  net::Loop loop;
  net::Redis redis;
  mapping::SharedRoutes shared;
  mapping::Directory directory;
  mapping::HeaderView view;
  net::testing::MemoryStream client;
  net::BufferedReader client_reader;
  ClientOut out;
  FakeMailbox mailbox;
  ImapReader in;
  World world;
  ImapCore core{loop, directory, view, &client, client_reader, out, &mailbox, in};
  std::string result;
};

std::vector<StoredMessage> three_messages() {
  return {{11, mail("\"Hana Sato\" <hana.sato@hidden.example>", "Lunch at noon", "rice and fish\n")},
          {15, mail("Bob <bob@other.example>", "Ask carol@third.example today", "see you, Hana\n")},
          {20, mail("\"Zoe\" <aaron@hidden.example>", "Re: Lunch at noon", "no time\n")}};
}

using Uids = std::set<int>;

}  // namespace

TEST_CASE("names, subjects and trees find the mail") {
  Rig rig(three_messages());
  CHECK(rig.found("FROM hana") == Uids{11});
  CHECK(rig.found("NOT FROM hana") == Uids{15, 20});
  CHECK(rig.found("OR FROM bob SUBJECT lunch") == Uids{11, 15, 20});
  CHECK(rig.found("SUBJECT \"today\"") == Uids{15});
  CHECK(rig.found("TEXT hana") == Uids{11, 15});
  CHECK(rig.found("BODY hana") == Uids{15});
  CHECK(rig.found("UID 1:15 SUBJECT lunch") == Uids{11});
  CHECK(rig.found("TO pta@school.example NOT (FROM zoe) ALL") == Uids{11, 15});
  CHECK(rig.found("HEADER subject \"\" TEXT \"\" BODY \"\"") == Uids{11, 15, 20});
  CHECK(rig.found("FROM nobody").empty());
}

TEST_CASE("hidden addresses, hosts and fields find nothing") {
  Rig rig(three_messages());
  for (const char* key : {"FROM hana.sato", "FROM hidden.example", "FROM \"@hidden\"", "TEXT hidden.example",
                          "TEXT \"192.0.2.1\"", "SUBJECT carol@", "SUBJECT third", "HEADER Message-ID hidden",
                          "HEADER X-Mailer \"\"", "HEADER Received mx", "HEADER From other.example",
                          "TEXT dkim=pass", "BODY hidden"}) {
    INFO(key);
    CHECK(rig.found(key).empty());
  }
}

TEST_CASE("the final command holds sets only, and the answer is the upstream's") {
  Rig rig(three_messages());
  CHECK(rig.run("SEARCH", "RETURN (ALL) NOT SUBJECT lunch 1:3") == "* ESEARCH (TAG \"c1\") ALL 2\r\n");
  REQUIRE(rig.mailbox.commands.size() == 3);
  CHECK(rig.mailbox.commands[0] == "SEARCH 1:3 SUBJECT \"lunch\"");
  CHECK(rig.mailbox.commands[1] == "FETCH 1,3 (BODY.PEEK[HEADER])");
  CHECK(rig.mailbox.commands[2] == "SEARCH RETURN (ALL) NOT 1,3 1:3");
  rig.mailbox.commands.clear();
  CHECK(rig.run("UID THREAD", "REFERENCES UTF-8 FROM nobody") == "* THREAD (1)(2 3)\r\n");
  CHECK(rig.mailbox.commands.back() == "UID THREAD REFERENCES UTF-8 UID 4294967295");
  rig.mailbox.rev2 = true;
  CHECK(rig.run("UID SEARCH", "FROM hana") == "* ESEARCH (TAG \"c1\") UID ALL 11\r\n");
}

TEST_CASE("strings beyond ASCII are narrowed in UTF-8, with or without literals that wait") {
  Rig rig({{1, mail("\xe3\x81\x82 <a@x.example>", "abc", "x\n")}});
  CHECK(rig.found("CHARSET UTF-8 FROM {3}\r\n\xe3\x81\x82") == Uids{1});
  CHECK(rig.mailbox.commands[0] == "UID SEARCH CHARSET UTF-8 FROM {3+}\r\n\xe3\x81\x82");
  rig.core.capabilities = " IMAP4REV1 ";
  rig.mailbox.commands.clear();
  CHECK(rig.found("OR FROM {3}\r\n\xe3\x81\x82 SUBJECT {3}\r\n\xe3\x81\x84") == Uids{1});
  CHECK(rig.mailbox.commands[0] == "UID SEARCH CHARSET UTF-8 FROM {3}\r\n\xe3\x81\x82");
}

TEST_CASE("what the upstream says beside reaches the client") {
  Rig rig(three_messages());
  rig.mailbox.beside = "* 4 EXISTS\r\n* 2 FETCH (FLAGS (\\Seen))\r\n";
  CHECK(rig.run("SEARCH", "FROM hana") == "* 4 EXISTS\r\n* 2 FETCH (FLAGS (\\Seen))\r\n* SEARCH 1\r\n");
  CHECK(rig.core.exists == 4);
}

TEST_CASE("an upstream that names more messages than there are has none of them looked at") {
  for (const std::string_view answer :
       {"* ESEARCH (TAG \"x\") ALL 3:4999999\r\n", "* ESEARCH (TAG \"x\") ALL 4294967295:2,7,1\r\n",
        "* SEARCH 4000000000 4 3 2 1 1 1\r\n", "* SORT 7 3 2 1 1 1 1 1\r\n"}) {
    CAPTURE(answer);
    Rig rig(three_messages());
    rig.mailbox.beside = answer;
    CHECK(rig.run("SEARCH", "FROM hana") == "* SEARCH 1\r\n");
    CHECK(rig.mailbox.commands[1].starts_with("FETCH "));
    CHECK(rig.mailbox.commands[1].find_first_not_of("FETCH 123:,") == rig.mailbox.commands[1].find(" (") + 1);
    rig.mailbox.commands.clear();
    rig.mailbox.beside = "* SEARCH 1000 1001 1002 1003 1004\r\n* SEARCH 1:7\r\n";
    (void)rig.run("UID SEARCH", "FROM hana");
    CHECK(rig.mailbox.commands[1].starts_with("UID FETCH 1000:1002 ("));
  }
}

TEST_CASE("a refused search is the client's answer") {
  Rig rig(three_messages());
  CHECK(rig.run("SEARCH", "FUZZY FROM x") == "BAD");
  CHECK(rig.mailbox.commands.empty());
  std::string many = "ALL";
  for (int i = 0; i < 17; ++i) many += " FROM a" + std::to_string(i);
  CHECK(rig.run("SEARCH", many) == "NO");
  CHECK(rig.mailbox.commands.empty());
  rig.core.selected = false;
  CHECK(rig.run("SEARCH", "ALL") == "BAD");
}

TEST_CASE("message numbers in a UID search are fixed before anything else") {
  Rig rig(three_messages());
  CHECK(rig.found("2:3 SUBJECT lunch") == Uids{20});
  CHECK(rig.mailbox.commands[0] == "UID SEARCH 2:3");
  CHECK(rig.mailbox.commands[1] == "UID SEARCH UID 15,20 SUBJECT \"lunch\"");
  CHECK(rig.mailbox.commands.back() == "UID SEARCH UID 15,20 UID 20");
}

TEST_CASE("message sets of a UID search are asked once each, and bounded") {
  Rig rig(three_messages());
  CHECK(rig.found("1:3 2:3 1:3 2:3 1:3 SUBJECT lunch") == Uids{20});
  REQUIRE(rig.mailbox.commands.size() == 5);
  CHECK(rig.mailbox.commands[0] == "UID SEARCH 1:3");
  CHECK(rig.mailbox.commands[1] == "UID SEARCH 2:3");
  rig.mailbox.commands.clear();
  std::string many = "FROM x";
  for (int i = 0; i < 51; ++i) many += " 1:*";
  CHECK(rig.run("UID SEARCH", many) == "NO");
  CHECK(rig.mailbox.commands.empty());
}

TEST_CASE("message sets of a UID search become no more than some megabytes") {
  std::vector<StoredMessage> messages;
  for (std::uint32_t i = 0; i < 16'000; ++i)
    messages.push_back({1'000'000'000 + i * 2, "Subject: x\r\n\r\n"});
  Rig rig(messages);
  std::string many = "FROM x";
  for (int i = 0; i < 50; ++i) many += " 1:*";
  CHECK(rig.run("UID SEARCH", many) == "NO");
  CHECK(rig.mailbox.commands.size() == 1);
  // One that is longer than any command line is not sent upstream again.
  rig.mailbox.commands.clear();
  CHECK(rig.found("FROM x 1:*").empty());
  for (const std::string& command : rig.mailbox.commands) CHECK(command.size() < kMaxCommandLine);
}

TEST_CASE("equal keys are asked once") {
  Rig rig(three_messages());
  CHECK(rig.found("OR FROM hana (NOT FROM hana)") == Uids{11, 15, 20});
  CHECK(rig.mailbox.commands.size() == 3);
}

TEST_CASE("no piece of an address is told, whatever is asked") {
  // Senders that differ in nothing but their hidden address: every answer must be the same for all of them.
  std::vector<StoredMessage> messages;
  std::uint32_t uid = 0;
  for (const char* address : {"q1w2e3r4@hidden.example", "zxcv@z.example", "0123456789abcdef@b32.example",
                              "hjkmnp@gggg.example", "tvwxy@sss.example"}) {
    messages.push_back({++uid, mail("\"Uma\" <" + std::string(address) + ">", "subj", "text\n")});
  }
  Rig rig(messages);
  rig.core.exists = 100'000;  // too many to look at all
  std::vector<std::string> strings;
  for (const char c : std::string_view("0123456789abcdefghijklmnopqrstuvwxyz@.-<>"))
    strings.emplace_back(1, c);
  for (const StoredMessage& message : messages) {
    const std::size_t at = message.octets.find("\"Uma\" <") + 7;
    const std::string address = message.octets.substr(at, message.octets.find('>', at) - at);
    for (std::size_t i = 0; i + 2 <= address.size(); ++i) strings.push_back(address.substr(i, 2));
    const std::string phantom = rig.world.phantom(1, address);
    for (std::size_t i = 0; i + 2 <= phantom.size(); i += 3) strings.push_back(phantom.substr(i, 2));
  }
  for (const std::string key : {"FROM ", "HEADER from ", "HEADER message-id "}) {
    for (const std::string& text : strings) {
      INFO(key << text);
      const Uids uids = rig.found(key + imap_string(text));
      CHECK((uids.empty() || uids.size() == messages.size()));
    }
  }
}

TEST_CASE("in a small mailbox pieces of phantoms are found") {
  Rig rig(three_messages());
  const std::string phantom = rig.world.phantom(1, "hana.sato@hidden.example");
  CHECK(rig.found("FROM \"" + phantom.substr(0, 6) + "\"") == Uids{11});
  CHECK(rig.found("FROM \"" + phantom.substr(10) + "\"") == Uids{11});
  CHECK(rig.found("FROM \"@p.school.example\"") == Uids{11, 15, 20});
  CHECK(rig.found("TEXT \"" + phantom.substr(3, 9) + "\"") == Uids{11});
  CHECK(rig.found("TO \"" + phantom.substr(3, 9) + "\"").empty());
}

TEST_CASE("sealed ids find the message") {
  Rig rig(three_messages());
  CHECK(rig.found("HEADER Message-ID <" + rig.world.sealed(1, "Lun@hidden.example") + ">") == Uids{11});
  CHECK(rig.found("HEADER Message-ID \"Lun@hidden.example\"").empty());
}

TEST_CASE("sets that are too long for a command are put together here") {
  std::vector<StoredMessage> messages;
  for (std::uint32_t i = 0; i < 11400; ++i) {
    const std::string name = i % 2 == 0 ? "Even" : i % 3 == 0 ? "Third" : "Odd";
    messages.push_back({1'000'000'000 + i, mail(name + " <x@y.example>", "abc", "x\n")});
  }
  Rig rig(messages);
  const std::string all = rig.run("UID SEARCH", "RETURN (COUNT MIN MAX) FROM even");
  CHECK(all == "* ESEARCH (TAG \"c1\") UID MIN 1000000000 MAX 1000011398 COUNT 5700\r\n");
  CHECK(rig.run("UID SEARCH", "RETURN (COUNT) NOT (OR FROM even FROM third)") ==
        "* ESEARCH (TAG \"c1\") UID COUNT 3800\r\n");
  CHECK(rig.found("OR (FROM even UID 1000000004:1000000006) NOT (OR FROM even FROM odd) UID 1:1000000009") ==
        Uids{1000000003, 1000000004, 1000000006, 1000000009});
  CHECK(rig.found("UID 1000000004:1000000006,1000000001 1:* FROM odd") == Uids{1000000001, 1000000005});
  for (const std::string& command : rig.mailbox.commands) CHECK(command.size() < kMaxCommandLine);
  CHECK(rig.run("UID SEARCH", "RETURN (SAVE) FROM even") == "NO");
  // What is not answered here is left to the upstream as long as most upstreams take it.
  rig.mailbox.commands.clear();
  CHECK(rig.run("UID SORT", "(DATE) UTF-8 FROM third UID 1000000000:1000006000").starts_with("* SORT "));
  CHECK(rig.mailbox.commands.back().size() > kMaxCommandLine);
}

TEST_CASE("nested messages and parts are searched as they are shown") {
  const std::string parts =
      "--b\nContent-Type: text/plain\n\nfirst words\n--b\nContent-Type: message/rfc822\n\n"
      "Received: from inner.hidden.example by somebody with a long line to make room for it\n"
      "From: Ida <ida@nested.example>\nSubject: inner subject\n\nsecond words\n--b--\n";
  Rig rig({{5, mail("Bob <bob@other.example>", "outer", parts,
                    "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n")}});
  CHECK(rig.found("BODY \"first words\"") == Uids{5});
  CHECK(rig.found("BODY \"second words\"") == Uids{5});
  CHECK(rig.found("TEXT \"inner subject\"") == Uids{5});
  CHECK(rig.found("BODY ida") == Uids{5});
  // A server whose BODY knows no nested headers, as Dovecot's.
  rig.mailbox.body_without_headers = true;
  CHECK(rig.found("TEXT \"inner subject\"") == Uids{5});
  CHECK(rig.found("TEXT hidden.example").empty());
  for (const char* hidden : {"ida@", "nested.example", "inner.hidden", "somebody"}) {
    INFO(hidden);
    CHECK(rig.found("BODY " + std::string(hidden)).empty());
    CHECK(rig.found("TEXT " + std::string(hidden)).empty());
  }
}

TEST_CASE("THREAD leaves out messages whose subjects hold addresses") {
  Rig rig(three_messages());
  CHECK(rig.run("UID THREAD", "REFERENCES UTF-8 ALL") == "* THREAD (1)(2 3)(15)\r\n");
  CHECK(rig.mailbox.commands.back() == "UID THREAD REFERENCES UTF-8 ALL NOT UID 15");
}

TEST_CASE("THREAD with more such messages than any command has room for is refused") {
  std::vector<StoredMessage> messages;
  for (std::uint32_t i = 0; i < 6000; ++i)
    messages.push_back({1'000'000'000 + i * 2, "Subject: ask a@b.example\r\n\r\n"});
  Rig rig(messages);
  CHECK(rig.run("UID THREAD", "REFERENCES UTF-8 UID 1000000000:1000002000") == "* THREAD (1)(2 3)" + [] {
    std::string alone;
    for (std::uint32_t i = 0; i <= 1000; ++i) alone += "(" + std::to_string(1'000'000'000 + i * 2) + ")";
    return alone + "\r\n";
  }());
  rig.mailbox.commands.clear();
  CHECK(rig.run("UID THREAD", "REFERENCES UTF-8 ALL") == "NO");
  CHECK(rig.mailbox.commands.size() == 1);
}

TEST_CASE("SORT goes by what is visible") {
  Rig rig(three_messages());
  // The mailbox gives its own order backwards: 20, 15, 11.
  CHECK(rig.run("UID SORT", "(DATE FROM) UTF-8 ALL") == "* SORT 20 15 11\r\n");
  CHECK(rig.mailbox.commands.back() == "UID SORT (DATE) UTF-8 ALL");
  CHECK(rig.run("UID SORT", "(DISPLAYFROM) UTF-8 ALL") == "* SORT 15 11 20\r\n");
  CHECK(rig.run("UID SORT", "(REVERSE DISPLAYFROM) UTF-8 ALL") == "* SORT 20 11 15\r\n");
  // Equal in what is visible: the next criterion decides.
  CHECK(rig.run("UID SORT", "(TO DATE) UTF-8 ALL") == "* SORT 20 15 11\r\n");
  CHECK(rig.run("UID SORT", "(TO) UTF-8 ALL") == "* SORT 11 15 20\r\n");
  // By the phantoms, not by hana.sato, bob, aaron.
  std::vector<std::pair<std::string, std::string>> phantoms;
  for (const auto& [uid, real] : {std::pair("11", "hana.sato@hidden.example"),
                                  {"15", "bob@other.example"},
                                  {"20", "aaron@hidden.example"}}) {
    phantoms.emplace_back(casemap(rig.world.phantom(1, real)), uid);
  }
  std::ranges::sort(phantoms);
  std::string line = "* SORT";
  for (const auto& [phantom, uid] : phantoms) line += " " + uid;
  CHECK(rig.run("UID SORT", "(FROM) UTF-8 ALL") == line + "\r\n");
}

TEST_CASE("SORT by subject is the upstream's, unless a subject holds an address") {
  Rig rig(three_messages());
  CHECK(rig.run("UID SORT", "(SUBJECT) UTF-8 FROM zoe") == "* SORT 20\r\n");
  CHECK(rig.mailbox.commands.back() == "UID SORT (SUBJECT) UTF-8 UID 20");
  CHECK(rig.run("SORT", "(SUBJECT) UTF-8 ALL") == "* SORT 2 1 3\r\n");
  CHECK(rig.mailbox.commands.back().starts_with("FETCH "));
}
