// What Content-Type and Content-Transfer-Encoding say, in the spellings that occur.
#include <catch2/catch.hpp>
#include <string>

#include "mapping/visible/message.h"

using namespace kage::mapping;

TEST_CASE("what a header says about its content") {
  using Kind = ContentKind::Kind;
  const auto boundary = [](std::string_view parameters) {
    const ContentKind kind = content_kind("X: y\r\ncontent-TYPE : Multipart/Mixed" + std::string(parameters));
    return (kind.kind == Kind::multipart ? "=" : "-") + kind.boundary;
  };
  CHECK(boundary("; boundary=a") == "=a");
  CHECK(boundary(" (comment); charset=x;\r\n\tBOUNDARY = \"a b\\\"c  \" ; x=y\r\n\r\n") == "=a b\"c");
  CHECK(boundary("; boundary=\"a;b:c=d\"") == "=a;b:c=d");
  CHECK(boundary("; boundary==_a=") == "==_a=");
  CHECK(boundary("; boundary=\"=?utf-8?Q?a?=\"") == "==?utf-8?Q?a?=");
  CHECK(boundary("; boundary*0=a; boundary*1=b") == "=ab");
  CHECK(boundary("; boundary*=us-ascii''a%20b") == "=a b");
  CHECK(boundary("; boundary=a; boundary=b") == "=a");
  CHECK(boundary("; boundary=edge (comment)") == "=edge");
  CHECK(boundary("; (a) boundary=(b (c) \\) d) edge") == "=edge");
  CHECK(boundary("; (a) boundary (b = c) = (d) \"edge\" (e)") == "=edge");
  CHECK(boundary("; boundary=(open") == "-");
  CHECK(boundary("; boundary=\"a b\" (comment)") == "=a b");
  CHECK(boundary("; boundary=edge charset=utf-8") == "=edge");
  CHECK(boundary("; boundary=edge\r\n charset=utf-8") == "=edge");
  CHECK(boundary("; boundary=\"\"") == "-");
  CHECK(boundary("") == "-");
  CHECK(boundary("; boundary=" + std::string(998, 'x')) == "=" + std::string(998, 'x'));

  std::string many = "Content-Type: multipart/mixed";
  for (int i = 0; i < 200; ++i) many += "; p" + std::to_string(i) + "=x";
  CHECK(content_kind(many + "; boundary=a").kind == Kind::hidden);
  CHECK(content_kind("Content-Type: multipart(;)/mixed" + many.substr(many.find(';'))).kind == Kind::hidden);
  CHECK(content_kind("Content-Type: text/html" + many.substr(many.find(';'))).html);

  const auto kind_of = [](std::string_view block, bool in_digest = false) {
    return content_kind(block, in_digest).kind;
  };
  CHECK(kind_of("") == Kind::leaf);
  CHECK(kind_of("", true) == Kind::message);
  CHECK(kind_of("Content-Transfer-Encoding: base64\r\n", true) == Kind::leaf);
  CHECK(kind_of("Content-Type: text/plain\r\n", true) == Kind::leaf);
  CHECK(kind_of("Content-Type: message/rfc822\r\nContent-Type: text/plain\r\n") == Kind::message);
  CHECK(kind_of("Content-Types: message/rfc822\r\n") == Kind::leaf);
  CHECK(kind_of("X: a\r\n content-type: message/rfc822\r\n") == Kind::leaf);
  CHECK(kind_of("X: a\nCONTENT-TYPE\t: message/\n rfc822") == Kind::message);
  CHECK(kind_of("Content-Type: message / rfc822 name=x") == Kind::message);
  CHECK(kind_of("Content-Type: (a) message (b) / (c) rfc822 (d); x=y") == Kind::message);
  CHECK(kind_of("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: quoted-printable") ==
        Kind::message);
  CHECK(kind_of("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64 (x)") == Kind::leaf);
  for (const char* no : {"base64 x", "base64; x", "\"base64\"", "x base64"}) {
    CAPTURE(no);
    CHECK(kind_of("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: " + std::string(no)) ==
          Kind::message);
  }
  CHECK(kind_of("Content-Type: text/rfc822-headers\nContent-Transfer-Encoding: quoted-printable") ==
        Kind::headers);
  CHECK(kind_of("X: a\nCONTENT-TYPE\t:\n message/rfc822;\n a=b") == Kind::message);
  for (const char* type : {"partial; number=1", "external-body; access-type=x", "news", "global"})
    CHECK(kind_of("Content-Type: message/" + std::string(type) + "\r\n") == Kind::message);
  CHECK(kind_of("Content-Type: message/tracking-status\r\n") == Kind::report);
  CHECK(kind_of("Content-Type: message/x-unknown\r\n") == Kind::hidden);
  CHECK(kind_of("Content-Type: message/disposition-notification\n\n") == Kind::report);
  CHECK(kind_of("Content-Type: text/rfc822-headers; charset=x") == Kind::headers);
  const ContentKind html =
      content_kind("Content-Type: TEXT/HTML; charset=x\r\nContent-Transfer-Encoding: Base64 \r\n\r\n");
  CHECK(html.html);
  CHECK(html.encoding == ContentKind::Encoding::base64);
  const ContentKind mixed =
      content_kind("Content-Type: multipart/digest; boundary=b\r\nContent-Transfer-Encoding: base64\r\n");
  CHECK(mixed.kind == Kind::multipart);
  CHECK(mixed.digest);
}
