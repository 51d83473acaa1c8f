// What nobody sees in an address, and what is folded to what was meant.
#include "message/invisible.h"

#include <catch2/catch.hpp>

namespace kage::message {
namespace {

TEST_CASE("what is not seen") {
  for (const std::int32_t point :
       {0x00,   0x1B,   0x7F,   0x9B,   0xAD,   0x34F,  0x61C,  0x115F, 0x180E,  0x200B,
        0x200D, 0x202E, 0x2028, 0x2060, 0x3164, 0xFE0F, 0xFEFF, 0xFFA0, 0xE0041, 0xE0100}) {
    INFO(point);
    CHECK(is_invisible(point));
  }
  for (const std::int32_t point : {0x20, 0x09, 0x0A, 0x85, 0xA0, 0x2003, 0x202F, 0x205F, 0x3000}) {
    INFO(point);
    CHECK_FALSE(is_invisible(point));
    CHECK(is_white(point));
  }
  for (const std::int32_t point : {0x21, 0x41, 0xE9, 0x3042, 0x5C71, 0x1F4E7, 0xFF21, -1}) {
    INFO(point);
    CHECK_FALSE(is_invisible(point));
    CHECK_FALSE(is_white(point));
  }
}

TEST_CASE("texts with what is not seen") {
  CHECK(find_unseen("anna@gmail.com \t") == -1);
  CHECK(find_unseen("anna\u200b@gmail\u00a0") == 0x200B);
  CHECK(find_unseen("a\u3000") == 0x3000);
  CHECK(find_unseen("\xff") == -1);
  CHECK(without_unseen("\ufeffan\u00adna@gmail.com\u00a0 \xff") == "anna@gmail.com \xff");
  CHECK(trim_white(" \u3000\t a\u3000b \u00a0\r\n") == "a\u3000b");
  CHECK(trim_white("\u200ba") == "\u200ba");
  CHECK(trim_white(" \u3000").empty());
  CHECK(trim_white("").empty());
  CHECK(is_blank(""));
  CHECK(is_blank(" \r\n\u3000\u200b"));
  CHECK_FALSE(is_blank("\u3000。"));
  CHECK(half_width("ａｂ＠ｃ．ｄ～！あ\u3000ｱ") == "ab@c.d~!あ\u3000ｱ");
}

}  // namespace
}  // namespace kage::message
