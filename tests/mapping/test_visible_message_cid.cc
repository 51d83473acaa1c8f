// `cid:` URLs in HTML follow the Content-ID, whatever encodes them. The stand-in makes 'z' of every octet of
// an id.
#include <catch2/catch.hpp>

#include "base/text.h"
#include "mapping/visible/cid.h"
#include "visible_message_seam.h"

using namespace kage::mapping;
using namespace kage::mapping::test;
using Encoding = ContentKind::Encoding;

namespace {

ContentKind html(Encoding encoding) {
  ContentKind kind;
  kind.html = true;
  kind.encoding = encoding;
  return kind;
}

void check_html(Encoding encoding, std::string_view text, std::string_view expected) {
  CHECK(text.size() == expected.size());
  check_cuts(content_of(html(encoding)), text, expected);
}

std::string wrapped(const std::string& text, std::size_t width) {
  std::string out;
  for (std::size_t at = 0; at < text.size(); at += width) out += text.substr(at, width) + "\r\n";
  return out;
}

}  // namespace

TEST_CASE("ids of URLs in plain HTML") {
  const auto check = [](std::string_view a, std::string_view b) { check_html(Encoding::identity, a, b); };
  check("<img src=\"cid:a.b@c.d\"><img src='CID:e'>", "<img src=\"cid:zzzzzzz\"><img src='CID:z'>");
  check("url(cid:a%40b%4)cid:c&quot;cid:d;", "url(cid:z%7Azzz)cid:z&quot;cid:z;");
  check("<a href=cid:x>cid: y, acid:x 1cid:x cid", "<a href=cid:z>cid: y, acid:x 1cid:x cid");
  check("ccid:a cicid:b -cid:cid:c cid:", "ccid:a cicid:b -cid:zzzzz cid:");
  check("cid:a\r\n@b", "cid:z\r\n@b");
  check("cid:last", "cid:zzzz");
}

TEST_CASE("ids of URLs in quoted-printable HTML") {
  const auto check = [](std::string_view a, std::string_view b) {
    check_html(Encoding::quoted_printable, a, b);
  };
  check("<img src=3D\"cid:a=2Eb=40c.d\">", "<img src=3D\"cid:z=7Az=7Azzz\">");
}

TEST_CASE("soft line breaks inside of a URL") {
  const auto check = [](std::string_view a, std::string_view b) {
    check_html(Encoding::quoted_printable, a, b);
  };
  check("<img src=3D\"ci=\r\nd:ab=\r\n-c= \r\n=64=\n\">", "<img src=3D\"ci=\r\nd:zz=\r\nzz= \r\n=7A=\n\">");
  check("=63=49d=3Ax=253=\r\n1y\"", "=63=49d=3Az=257=\r\nAz\"");
  check("cid:a\r\nb cid:a=Gb cid:a=4", "cid:z\r\nb cid:z=Gb cid:z=4");
}

TEST_CASE("ids of URLs in base64 HTML") {
  const std::string image = "<img src=\"cid:part1.abc@corp.example\">";
  const std::string shown = "<img src=\"cid:zzzzzzzzzzzzzzzzzzzzzz\">";
  for (std::size_t shift = 0; shift < 3; ++shift) {
    for (const std::size_t width : {76U, 7U, 1U}) {
      const std::string text = std::string(shift, ' ') + image + "\r\n" + image + "cid:x";
      const std::string expected = std::string(shift, ' ') + shown + "\r\n" + shown + "cid:z";
      check_html(Encoding::base64, wrapped(kage::base64(text), width),
                 wrapped(kage::base64(expected), width));
    }
  }
  check_html(Encoding::base64, kage::base64("cid:a") + kage::base64("b cid:%41b."),
             kage::base64("cid:z") + kage::base64("b cid:%7Azz"));
}

TEST_CASE("an id that is too long is none") {
  const std::string url = "cid:" + std::string(1500, 'a');
  CHECK(run(content_of(html(Encoding::identity)), url + "\"", 100) == "cid:" + std::string(1500, 'z') + "\"");
  const std::string longer = "cid:" + std::string(1600, 'a') + "\" cid:b";
  CHECK(run(content_of(html(Encoding::identity)), longer, 100) ==
        "cid:" + std::string(1600, 'a') + "\" cid:z");
}

TEST_CASE("a URL ends where its part ends") {
  const std::string head = "Content-Type: multipart/related; boundary=b\r\n\r\n";
  for (const std::string& encoding : {std::string("quoted-printable"), std::string("base64")}) {
    const std::string part = "Content-Type: text/html\r\nContent-Transfer-Encoding: " + encoding + "\r\n\r\n";
    const std::string url = encoding == "base64" ? kage::base64("cid:a@c") : "cid:a@c=";
    const std::string shown = encoding == "base64" ? kage::base64("cid:zzz") : "cid:zzz=";
    const auto message = [&](std::string_view p, std::string_view u) {
      return stand_in(BlockKind::message, head) + "--b\r\n" + std::string(p) + std::string(u) +
             "\r\n--b\r\n" + stand_in(BlockKind::part, "Content-ID: <a@c>\r\n\r\n") + "cid:x\r\n--b--";
    };
    const std::string input =
        head + "--b\r\n" + part + url + "\r\n--b\r\nContent-ID: <a@c>\r\n\r\ncid:x\r\n--b--";
    check_cuts(kWhole, input, message(stand_in(BlockKind::part, part), shown));
  }
  // A boundary that is a URL itself is no HTML; nothing beside it is then taken for a URL.
  const std::string odd = "Content-Type: multipart/related; boundary=\"cid:x\"\r\n\r\n";
  const std::string part = "Content-Type: text/html\r\n\r\n";
  const std::string input = odd + "--cid:x\r\n" + part + "cid:y --\r\n--cid:x--\r\n";
  check_cuts(kWhole, input,
             stand_in(BlockKind::message, odd) + "--cid:x\r\n" + stand_in(BlockKind::part, part) +
                 "cid:y --\r\n--cid:x--\r\n");
}

TEST_CASE("plain text has no URLs to follow") {
  ContentKind plain;
  CHECK(run(content_of(plain), "cid:a@b.c", 3) == "cid:a@b.c");
}
