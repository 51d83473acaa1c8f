// System calls of the process as a whole, Linux.
#include "app/process.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>

// Weak: a sanitizer build has its own allocator and does not link mimalloc.
extern "C" {
[[gnu::weak]] int mi_version();
[[gnu::weak]] bool mi_is_in_heap_region(const void* p);
}

namespace kage::app {
namespace {

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif
#else
constexpr bool kSanitized = false;
#endif

Error system_error(const std::string& path) {
  return Error{Errc::io, path + ": " + std::strerror(errno)};
}

}  // namespace

void protect_memory() {
  if (kSanitized) return;
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

void raise_file_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

void ignore_broken_pipes() {
  std::signal(SIGPIPE, SIG_IGN);
}

std::string allocator_name() {
  if (mi_version == nullptr || mi_is_in_heap_region == nullptr) return "system";
  void* volatile probe = std::malloc(64);
  const bool ours = mi_is_in_heap_region(probe);
  std::free(probe);
  if (!ours) return "system";
  const int version = mi_version();
  // MI_MALLOC_VERSION: major, then two digits of minor and patch.
  return "mimalloc " + std::to_string(version / 100) + "." + std::to_string(version / 10 % 10) + "." +
         std::to_string(version % 10);
}

Result<> make_private_folder(const std::string& path) {
  std::error_code error;
  const auto parent = std::filesystem::path(path).parent_path();
  if (!parent.empty()) std::filesystem::create_directories(parent, error);
  if (::mkdir(path.c_str(), 0700) == 0) return {};
  if (errno != EEXIST) return std::unexpected(system_error(path));
  struct stat now{};
  if (::stat(path.c_str(), &now) != 0) return std::unexpected(system_error(path));
  if (!S_ISDIR(now.st_mode)) return fail(Errc::io, path + ": not a folder");
  if ((now.st_mode & 0077) != 0 && ::chmod(path.c_str(), 0700) != 0)
    return std::unexpected(system_error(path));
  if (::access(path.c_str(), W_OK | X_OK) != 0) return std::unexpected(system_error(path));
  return {};
}

Result<> write_file_atomically(const std::string& path, const std::string& content) {
  const std::string temporary = path + ".new";
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return std::unexpected(system_error(temporary));
  const ssize_t written = ::write(fd, content.data(), content.size());
  const bool whole = written >= 0 && static_cast<std::size_t>(written) == content.size();
  if (::close(fd) != 0 || !whole || ::rename(temporary.c_str(), path.c_str()) != 0) {
    return std::unexpected(system_error(path));
  }
  return {};
}

FileLock::FileLock(FileLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

FileLock& FileLock::operator=(FileLock&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

FileLock::~FileLock() {
  if (fd_ >= 0) ::close(fd_);
}

Result<FileLock> FileLock::take(const std::string& path, const std::string& holder) {
  FileLock lock;
  lock.fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock.fd_ < 0) return std::unexpected(system_error(path));
  if (::flock(lock.fd_, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return std::unexpected(system_error(path));
    char said[100];
    const ssize_t size = ::pread(lock.fd_, said, sizeof said, 0);
    return fail(Errc::conflict, std::string(said, size > 0 ? static_cast<std::size_t>(size) : 0));
  }
  const bool written = ::ftruncate(lock.fd_, 0) == 0 && ::pwrite(lock.fd_, holder.data(), holder.size(), 0) ==
                                                            static_cast<ssize_t>(holder.size());
  if (!written) return std::unexpected(system_error(path));
  return lock;
}

}  // namespace kage::app
