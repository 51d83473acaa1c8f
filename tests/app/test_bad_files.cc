// Every wrong configuration and routes file gives exactly the messages that stand beside it.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <vector>

#include "app/config.h"
#include "app/problems.h"
#include "app/routes_file.h"
#include "app/toml_file.h"
#include "tests/app/files.h"

namespace kage::app {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> files_in(const std::string& name) {
  std::vector<fs::path> out;
  for (const auto& entry : fs::directory_iterator(testing::folder(name))) {
    const auto extension = entry.path().extension();
    if (extension == ".toml" || extension == ".csv") out.push_back(entry.path());
  }
  std::ranges::sort(out);
  return out;
}

/// KAGEMUSHA_WRITE_EXPECTED=1 writes what is found, for a person to read and commit.
void compare(const fs::path& file, std::string found) {
  // Where the files lie is nobody's business here.
  const std::string here = file.parent_path().string() + "/";
  for (auto at = found.find(here); at != std::string::npos; at = found.find(here))
    found.erase(at, here.size());
  fs::path beside = file;
  beside.replace_extension(".expected");
  if (std::getenv("KAGEMUSHA_WRITE_EXPECTED") != nullptr) std::ofstream(beside) << found << '\n';
  INFO(file);
  CHECK(found + "\n" == testing::content_of(beside));
}

}  // namespace

TEST_CASE("wrong configurations are refused with file, line, key, found and allowed") {
  const auto files = files_in("bad-config");
  REQUIRE(files.size() >= 40);
  for (const fs::path& file : files) {
    Problems problems(file.filename().string());
    const auto text = testing::content_of(file);
    CHECK_FALSE(parse_config(text, file.parent_path().string(), ConfigUse::serve, problems));
    CHECK_FALSE(problems.empty());
    compare(file, problems.text());
  }
}

TEST_CASE("wrong routes files are refused with file, line, key, found and allowed") {
  const auto files = files_in("bad-routes");
  REQUIRE(files.size() >= 40);
  for (const fs::path& file : files) {
    Problems problems(file.filename().string());
    const auto format = file.extension() == ".csv" ? RoutesFormat::csv : RoutesFormat::toml;
    CHECK_FALSE(parse_routes(testing::content_of(file), format, {"gmail"}, problems));
    CHECK_FALSE(problems.empty());
    compare(file, problems.text());
  }
}

TEST_CASE("no problem shows a secret") {
  for (const fs::path& file : files_in("bad-config")) {
    Problems problems(file.filename().string());
    const auto ignored =
        parse_config(testing::content_of(file), file.parent_path().string(), ConfigUse::serve, problems);
    CHECK_FALSE(ignored);
    CHECK(problems.text().find("secret\"") == std::string::npos);
    CHECK(problems.text().find("12345") == std::string::npos);
  }
}

TEST_CASE("a broken file cut at every octet is refused or taken, never more") {
  const std::string config = testing::content_of(testing::folder("good") / "full.toml");
  const std::string csv = testing::content_of(testing::folder("good") / "routes.csv");
  REQUIRE(config.size() > 500);
  for (std::size_t i = 0; i < config.size(); ++i) {
    Problems problems("cut.toml");
    const bool taken = parse_config(config.substr(0, i), "", ConfigUse::tool, problems).has_value();
    CHECK(taken == problems.empty());
  }
  for (std::size_t i = 0; i < csv.size(); ++i) {
    Problems problems("cut.csv");
    const bool taken = parse_routes(csv.substr(0, i), RoutesFormat::csv, {"gmail"}, problems).has_value();
    CHECK(taken == problems.empty());
  }
}

TEST_CASE("a file that is not there is a problem, not a crash") {
  Problems problems("no-such-file.toml");
  CHECK_FALSE(load_config("no-such-file.toml", ConfigUse::tool, problems));
  CHECK(problems.text() ==
        "no-such-file.toml:1: file: found No such file or directory; allowed: a file that can be read");
  Problems folder(".");
  CHECK_FALSE(load_config(".", ConfigUse::tool, folder));
  CHECK_FALSE(folder.empty());
}

}  // namespace kage::app
