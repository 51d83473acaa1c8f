// msg-ids in In-Reply-To, References and their kin, as they are really written.
#include <catch2/catch.hpp>

#include "message/address.h"
#include "message/msg_id.h"

namespace kage::message {
namespace {

using Ids = std::vector<std::string_view>;

TEST_CASE("find_msg_ids") {
  struct Case {
    std::string_view body;
    Ids ids;
  };
  const std::vector<Case> cases = {
      {" <a@b>", {"a@b"}},
      {" <a@b> <c@d>\r\n\t<e@f>", {"a@b", "c@d", "e@f"}},
      {"<a@b><c@d>", {"a@b", "c@d"}},
      {"<a@b>,<c@d>", {"a@b", "c@d"}},
      {"a@b c@d", {"a@b", "c@d"}},
      {"<\"quoted space\"@[192.0.2.1]>", {"\"quoted space\"@[192.0.2.1]"}},
      {"< a@b >", {"a@b"}},
      {"<no-at-sign>", {"no-at-sign"}},
      {"<>", {}},
      {"", {}},
      {"(comment <x@y>) <a@b> (more (nested) \\) <z@w>)", {"a@b"}},
      {"(open <a@b>", {"a@b"}},
      {"<a@b", {"a@b"}},
      {"Your message of \"Fri\" <a@b>", {"a@b"}},
      {"<a(b)c@d>", {"a(b)c@d"}},
      {"<<a@b>>", {"<a@b"}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.body);
    CHECK(find_msg_ids(c.body) == c.ids);
  }
}

TEST_CASE("find_msg_ids: hostile sizes") {
  for (char c : {'(', '<', '>', '@', '\\', ')'}) {
    const std::string text(1U << 20U, c);
    CHECK(find_msg_ids(text).size() <= 1);
  }
}

}  // namespace
}  // namespace kage::message
