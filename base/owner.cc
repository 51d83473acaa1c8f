// Asks the system's user database, Linux.
#include "base/owner.h"

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vector>

namespace kage {
namespace {

/// The nearest folder above `path` that can be seen.
std::string folder_above(std::string path, struct stat& about) {
  while (path.size() > 1) {
    const std::size_t slash = path.rfind('/');
    path = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
    if (::stat(path.c_str(), &about) == 0) return path;
    if (path == ".") break;
  }
  return {};
}

}  // namespace

std::string user_name(unsigned id) {
  std::vector<char> room(4096);
  passwd entry{};
  passwd* found = nullptr;
  ::getpwuid_r(id, &entry, room.data(), room.size(), &found);
  return found != nullptr ? std::string(entry.pw_name) : "the user " + std::to_string(id);
}

std::string owner_hint(const std::string& path) {
  struct stat about{};
  const unsigned us = ::geteuid();
  const bool seen = ::stat(path.c_str(), &about) == 0;
  const std::string above = seen ? "" : folder_above(path, about);
  if ((!seen && above.empty()) || about.st_uid == us) return {};
  const std::string owner = user_name(about.st_uid);
  if (seen) return "; it belongs to " + owner + " and has to belong to " + user_name(us) + ", who runs this";
  return "; it has to belong to " + user_name(us) + ", who runs this, and " + above + " belongs to " + owner;
}

}  // namespace kage
