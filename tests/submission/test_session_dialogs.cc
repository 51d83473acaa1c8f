// Every dialog of dialogs/, in whole writes and one octet at a time.
#include <catch2/catch.hpp>
#include <filesystem>

#include "dialog.h"

using namespace kage::submission::test;

TEST_CASE("dialogs come out as they are written") {
  const auto files = dialog_files();
  REQUIRE(files.size() > 10);
  for (const std::string& file : files) {
    DYNAMIC_SECTION(std::filesystem::path(file).filename().string()) {
      const std::string problem = play(file);
      INFO(problem);
      CHECK(problem.empty());
    }
  }
}

TEST_CASE("dialogs come out the same when octets come one by one") {
  for (const std::string& file : dialog_files()) {
    // What depends on how writes are cut says so in its name.
    if (file.find("-pipelined") != std::string::npos) continue;
    DYNAMIC_SECTION(std::filesystem::path(file).filename().string()) {
      const std::string problem = play_trickling(file);
      INFO(problem);
      CHECK(problem.empty());
    }
  }
}
