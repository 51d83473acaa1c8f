// Rewriting of text in charsets that are not named, odd, or written raw: nothing is lost, no address hides.
#include <catch2/catch.hpp>

#include "base/text.h"
#include "message/encoded_word.h"
#include "rewrite_world.h"

namespace kage::mapping::test {

TEST_CASE("an address hides in no encoded-word of an odd charset", "[R3.1]") {
  const World world = small_world();
  const std::string charset(90, 'x');
  // "eve@leak.example"; behind it "e" 0x81 "@leak.example", in which Shift_JIS has no '@'
  for (const std::string& word :
       {std::string("=??B?ZXZlQGxlYWsuZXhhbXBsZQ==?="), std::string("=??b?ZXZlQGxlYWsuZXhhbXBsZQ==?="),
        std::string("=? ?B?ZXZlQGxlYWsuZXhhbXBsZQ==?="), std::string("=?*en?q?eve=40leak.example?="),
        std::string("=??Q?eve=40leak.example?="), "=?" + charset + "?B?ZXZlQGxlYWsuZXhhbXBsZQ==?=",
        std::string("=?utf-8?x?eve=40leak.example?="), std::string("=?x-unknown?B?ZYFAbGVhay5leGFtcGxl?="),
        std::string("=?us-ascii?B?ZYFAbGVhay5leGFtcGxl?="), std::string("=??B?ZYFAbGVhay5leGFtcGxl?="),
        std::string("=?x-unknown?B?GyRCZXZlQGxlYWsuZXhhbXBsZRsoQg==?=")}) {
    CAPTURE(word);
    const std::string out =
        inward(world, 1, kFrom + "Subject: " + word + "\nTo: " + word + " <pta@school.example>\n");
    CHECK(message::decode_words(value(out, "Subject")).find("leak") == std::string::npos);
    CHECK(value(out, "Subject").find("ZXZl") == std::string::npos);
    CHECK(value(out, "Subject").find("bGVha") == std::string::npos);
    CHECK(value(out, "To").find("ZXZl") == std::string::npos);
    CHECK(value(out, "To").find("bGVha") == std::string::npos);
    CHECK(value(out, "To").find("leak") == std::string::npos);
  }
}

TEST_CASE("an '@' that an encoded-word holds makes up for none that another one loses", "[R3.1]") {
  const World world = small_world();
  // Base64 skips what is not of its alphabet; a reader who does not know the charset shows it as it stands.
  for (const std::string_view lost : {"=?x?B?eve@leak.example?=", "=?x?B?eve＠leak.example?="}) {
    for (const std::string_view held :
         {"=?utf-8?Q?a=40b?= ", "=?utf-8?B?YUBi?= ", "\xe3\x81\x8d@ =?x?Q?x?= \x82\xa0 "}) {
      const std::string text = std::string(held) + std::string(lost);
      CAPTURE(text);
      const std::string out =
          inward(world, 1, kFrom + "Subject: " + text + "\nTo: \"" + text + "\" <pta@school.example>\n");
      CHECK(out.find("leak") == std::string::npos);
      const std::string part = inward(world, 1, kFrom + "Content-Type: a/b; name=\"" + text + "\"\n");
      CHECK(part.find("leak") == std::string::npos);
    }
  }
}

TEST_CASE("halves of raw Shift_JIS are no '@'", "[R5.5]") {
  const World world = small_world();
  // 病院の件, お知らせ　運動会, 機会, 病院.pdf
  for (const std::string_view text :
       {"\x95\x61\x89\x40\x82\xcc\x8c\x8f", "\x82\xa8\x92m\x82\xe7\x82\xb9\x81\x40\x89^\x93\xae\x89\xef",
        "\x8b\x40\x89\xef", "Re: \x95\x61\x89\x40.pdf", "\x95\x61\x89\x40\x83\x65\x83\x58\x83\x67.jp"}) {
    CAPTURE(text);
    const std::string field = "Subject: " + std::string(text) + "\n";
    CHECK(with_lf(inward(world, 1, kFrom + field)).contains(field));
    const Sent sent{.phantoms = {"alice@corp.example"}, .direct = {}};
    const std::string to = "To: " + world.phantom(1, "alice@corp.example") + "\n";
    CHECK(with_lf(outward(world, 1, to + field, "alice@corp.example", sent)).contains(field));
    const std::string list = "To: " + std::string(text) + " <pta@school.example>\n";
    if (!text.starts_with("Re:")) CHECK(with_lf(inward(world, 1, kFrom + list)).contains(list));
  }
  // What has to be changed is written anew, and nothing of it is lost.
  const std::string mixed = inward(world, 1, kFrom + "Subject: \x95\x61\x89\x40 alice@corp.example\n");
  CHECK(message::decode_words(value(mixed, "Subject")) == "病院 " + world.phantom(1, "alice@corp.example"));
  const std::string name = inward(world, 1,
                                  "From: \x95\x61\x89\x40\x81\x40\x91\xbe\x98Y <alice@corp.example>\nTo: "
                                  "\"\x95\x5c\" <bob@corp.example>\n");
  CHECK(message::decode_words(value(name, "From"), true) ==
        "病院　太郎 <" + world.phantom(1, "alice@corp.example") + ">");
  CHECK(message::decode_words(value(name, "To"), true) ==
        "表 <" + world.phantom(1, "bob@corp.example") + ">");
}

TEST_CASE("an '@' that may be a half hides no address", "[R3.1]") {
  const World world = small_world();
  // Every octet that can begin a character of Shift_JIS.
  for (unsigned lead = 0x81; lead <= 0xfc; ++lead) {
    if (lead == 0xa0) lead = 0xe0;
    for (const std::string_view host : {"leak.example", "m\xfcleak.example", "sub.leak.co.jp\x82\xcc\x8c\x8f",
                                        "[192.0.2.1]", "192.0.2.1", "=?utf-8?Q?sub.leak.jp?="}) {
      const std::string address = std::string("eve") + static_cast<char>(lead) + "@" + std::string(host);
      for (const std::string& text :
           {address, "\x95\x61\x89\x40 " + address, "\x95\x61" + address + "\x82\xcc\x8c\x8f"}) {
        CAPTURE(text);
        const std::string out =
            inward(world, 1,
                   kFrom + "Subject: " + text + "\nTo: " + text + " <pta@school.example>\nCc: \"" + text +
                       "\" <a@b.example> (" + text + ")\n");
        for (const std::string_view field : {"Subject", "To", "Cc"}) {
          const std::string left = message::decode_words(value(out, field), true);
          CHECK(left.find("leak") == std::string::npos);
          CHECK(left.find("192.0.2") == std::string::npos);
          CHECK(left.find("eve") == std::string::npos);
        }
      }
    }
  }
}

TEST_CASE("a raw name in a field that is written anew is written as encoded-words", "[R5.5]") {
  const World world = small_world();
  const std::string alice = " <" + world.phantom(1, "alice@corp.example") + ">";
  const auto from = [&](std::string_view name) {
    return value(inward(world, 1, "From: " + std::string(name) + " <alice@corp.example>\n"), "From");
  };
  for (const std::string_view name : {"\x1b$B;3ED\x1b(B", "\x1b$BEDCf@h@8\x1b(B", "\"\x1b$BNkLZ\x1b(B\"",
                                      "\x8e\x52\x93\x63", "\xbb\xb3\xc5\xc4", "Ren\xe9"}) {
    CAPTURE(name);
    CHECK(from(name) == message::encode_phrase(message::decode_words(name, true)) + alice);
    CHECK(all_ascii(from(name)));
  }
  CHECK(from("山田") == "山田" + alice);
  const std::string comments = inward(
      world, 1, "From: alice@corp.example (\x1b$B;3ED\x1b(B) (\x8e\x52\x93\x63) (\x95\x5c \\( x) (x)\n");
  CHECK(value(comments, "From") ==
        world.phantom(1, "alice@corp.example") +
            " (=?UTF-8?B?5bGx55Sw?=) (=?UTF-8?B?5bGx55Sw?=) (=?UTF-8?B?6KGoICggeA==?=) (x)");
  const std::string group = inward(world, 1, kFrom + "To: \x1b$B;3ED\x1b(B: alice@corp.example;\n");
  CHECK(value(group, "To") == "=?UTF-8?B?5bGx55Sw?=: " + world.phantom(1, "alice@corp.example") + ";");
  const std::string same = "To: \x1b$B@h@8\x1b(B <pta@school.example> (\x1b$B;3ED\x1b(B)\n";
  CHECK(with_lf(inward(world, 1, kFrom + same)).contains(same));
}

}  // namespace kage::mapping::test
