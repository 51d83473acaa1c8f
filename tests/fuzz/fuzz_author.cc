// Authentication-Results as a stranger may send them: what stands below cannot help, what fails cannot be
// outvoted.
#include <string>
#include <vector>

#include "base/text.h"
#include "submission/auth_results.h"
#include "submission/author.h"
#include "tests/fuzz/fuzz.h"

namespace {

using kage::fuzz::require;
using kage::message::Field;
using namespace kage::submission;

const std::vector<std::string> kIds = {"front.example"};
constexpr std::string_view kDomain = "gmail.com";
constexpr std::string_view kPass =
    "Authentication-Results: front.example; dmarc=pass header.from=gmail.com\r\n";
constexpr std::string_view kFail =
    "Authentication-Results: front.example; dmarc=fail header.from=gmail.com\r\n";
constexpr std::string_view kReceived = "Received: from a by b\r\n";

Field field_of(std::string_view raw) {
  return kage::message::tokenize(raw).value().front();
}

void check_fields(std::string_view block) {
  const auto fields = kage::message::tokenize(block);
  if (!fields) return;
  const bool vouched = results_vouch(*fields, kIds, kDomain);
  if (vouched) {
    const std::string text = kage::lower(block);
    require(text.find("pass") != std::string::npos, "no verdict without a pass");
    require(!results_vouch(*fields, {}, kDomain), "no verdict without an authserv-id of ours");
  }
  std::vector<Field> below = *fields;
  below.push_back(field_of(kReceived));
  below.push_back(field_of(kReceived));
  below.push_back(field_of(kPass));
  require(results_vouch(below, kIds, kDomain) == vouched,
          "what stands below two Received fields says nothing");
  std::vector<Field> failed = {field_of(kFail)};
  failed.insert(failed.end(), fields->begin(), fields->end());
  require(!results_vouch(failed, kIds, kDomain), "a fail is final");
}

void check_body(std::string_view body) {
  const auto parsed = parse_auth_results(body);
  if (!parsed) return;
  require(!parsed->authserv_id.empty() || body.find('"') != std::string_view::npos,
          "there is an authserv-id");
  require(parsed->results.size() <= 64, "results are bounded");
  for (const AuthResult& result : parsed->results) {
    require(!result.method.empty() && !result.result.empty(), "results have a method and a result");
    require(result.properties.size() <= 32, "properties are bounded");
    for (const AuthProperty& property : result.properties) {
      require(!property.name.empty() && property.value.size() <= body.size(), "properties lie in the field");
    }
  }
  // Nested comments between all parts change nothing.
  const auto again = parse_auth_results("(a(b)\\))" + std::string(body) + " (c)");
  require(again && again->results.size() == parsed->results.size(), "comments around a field say nothing");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 16'000) return 0;
  const std::string text(kage::fuzz::text_of(data, size));
  check_body(text);
  check_fields(text);
  check_fields("Authentication-Results: " + text + "\r\n");
  aligned(kage::lower(text), kDomain);
  return 0;
}
