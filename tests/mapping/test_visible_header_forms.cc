// The memory of what fields looked like: whose it is, what gives way, what is not kept.
#include <catch2/catch.hpp>
#include <string>

#include "mapping/visible_header_forms.h"

namespace kage::mapping {
namespace {

ViewKey view_of(MemberId member, std::uint64_t generation) {
  ViewKey view;
  view.member = member;
  view.generation = generation;
  return view;
}

FieldForm form_of(std::string_view field, std::string_view made) {
  FieldForm form;
  form.kind = FieldForm::Kind::made;
  form.texts.add(field);
  form.texts.add(made);
  return form;
}

std::string made_in(const FieldForm* form) {
  if (form == nullptr) return "not found";
  std::string_view texts = form->texts.octets();
  PackedTexts::take(texts);
  return std::string(PackedTexts::take(texts));
}

}  // namespace

TEST_CASE("texts that are packed come out again") {
  const std::vector<std::string> all{"", "a", std::string(70'000, 'x'), std::string("\0\n", 2), ""};
  PackedTexts packed;
  for (const std::string& text : all) packed.add(text);
  std::string_view left = packed.octets();
  for (const std::string& text : all) CHECK(PackedTexts::take(left) == text);
  CHECK(left.empty());
}

TEST_CASE("a field is found again by the same viewer") {
  FormCache cache(64);
  const std::string field = "To: somebody@there.example\r\n";
  const RecentKey key(view_of(1, 5), field);
  CHECK(cache.find(key) == nullptr);
  CHECK(made_in(&cache.put(key, form_of(field, "To: x\r\n"))) == "To: x\r\n");
  CHECK(made_in(cache.find(key)) == "To: x\r\n");
  CHECK(cache.find({view_of(2, 5), field}) == nullptr);
  CHECK(cache.find({view_of(1, 6), field}) == nullptr);
  CHECK(cache.find({view_of(1, 5), "To: somebody@there.exampl"}) == nullptr);
  cache.clear();
  CHECK(cache.find(key) == nullptr);
}

TEST_CASE("the memory is bounded: the oldest gives way, and long fields are not kept") {
  FormCache cache(1);
  const auto field = [](int number) { return "Cc: " + std::to_string(number); };
  for (int i = 0; i < 13; ++i) {
    const std::string text = field(i);
    cache.put({view_of(1, 1), text}, form_of(text, text + "!"));
  }
  for (int i = 0; i < 13; ++i) {
    const std::string text = field(i);
    CHECK(made_in(cache.find({view_of(1, 1), text})) == (i < 5 ? "not found" : text + "!"));
  }
  const std::string longer(513, 'a');
  const RecentKey key(view_of(1, 1), longer);
  CHECK(made_in(&cache.put(key, form_of(longer, "made"))) == "made");
  CHECK(cache.find(key) == nullptr);
  const RecentKey much(view_of(1, 1), "Cc: much");
  CHECK(made_in(&cache.put(much, form_of("Cc: much", std::string(2048, 'b')))).size() == 2048);
  CHECK(cache.find(much) == nullptr);
}

}  // namespace kage::mapping
