// What is kept of fields: packed and read again.
#include "mapping/visible/forms.h"

#include <catch2/catch.hpp>
#include <utility>
#include <vector>

namespace kage::mapping::test {

TEST_CASE("a form is read as it was written") {
  using Phantoms = std::vector<std::pair<std::string, std::string>>;
  const std::string odd("\0\xff", 2);
  for (const bool stays : {false, true}) {
    for (const std::string& made :
         {std::string(), std::string("To: a@b\r\n"), odd + std::string(3000, 'x')}) {
      for (const Phantoms& phantoms :
           {Phantoms(), Phantoms{{"local", "spelling"}}, Phantoms{{"", ""}, {odd, "b"}}}) {
        FormWriter writer(stays, made, 7);
        for (const auto& [local, spelling] : phantoms) writer.add(local, spelling);
        const std::string kept = writer.packed();
        FieldForm form(kept);
        CHECK(form.stays() == stays);
        CHECK(form.made() == made);
        CHECK(form.lines() == 7);
        Phantoms read;
        for (std::string_view local, spelling; form.next(local, spelling);)
          read.emplace_back(local, spelling);
        CHECK(read == phantoms);
      }
    }
  }
}

}  // namespace kage::mapping::test
