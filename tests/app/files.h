// Files of this folder as tests see them.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace kage::app::testing {

inline std::filesystem::path folder(const std::string& name) {
  return std::filesystem::path(KAGEMUSHA_SOURCE_DIR) / "tests" / "app" / name;
}

inline std::string content_of(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace kage::app::testing
