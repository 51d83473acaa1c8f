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

#include "base/owner.h"

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
  const int code = errno;
  const bool denied = code == EACCES || code == EPERM;
  return Error{denied ? Errc::denied : Errc::io,
               path + ": " + std::strerror(code) + (denied ? owner_hint(path) : "")};
}

bool write_all(int fd, std::string_view content) {
  while (!content.empty()) {
    const ssize_t written = ::write(fd, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written == 0) errno = ENOSPC;
    if (written <= 0) return false;
    content.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

/// So that the file's new name survives a loss of power too.
Result<> sync_folder_of(const std::string& path) {
  const std::string folder = std::filesystem::absolute(path).parent_path().string();
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return std::unexpected(system_error(folder));
  Result<> done;
  // EINVAL: a file system that syncs no folders.
  if (::fsync(fd) != 0 && errno != EINVAL) done = std::unexpected(system_error(folder));
  ::close(fd);
  return done;
}

/// A folder that is there, and ours.
Result<> check_folder(const std::string& path, const struct stat& now) {
  if (!S_ISDIR(now.st_mode)) return fail(Errc::io, path + ": not a folder");
  if (now.st_uid != ::geteuid()) return fail(Errc::denied, path + ": not our folder" + owner_hint(path));
  return {};
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
  if (error) {
    errno = error.value();
    return std::unexpected(system_error(path));
  }
  if (::mkdir(path.c_str(), 0700) == 0) return {};
  if (errno != EEXIST) return std::unexpected(system_error(path));
  struct stat now{};
  if (::stat(path.c_str(), &now) != 0) return std::unexpected(system_error(path));
  if (auto ours = check_folder(path, now); !ours) return ours;
  if ((now.st_mode & 0077) != 0 && ::chmod(path.c_str(), 0700) != 0)
    return std::unexpected(system_error(path));
  if (::access(path.c_str(), W_OK | X_OK) != 0) return std::unexpected(system_error(path));
  return {};
}

Result<bool> find_private_folder(const std::string& path) {
  struct stat now{};
  if (::stat(path.c_str(), &now) == 0) {
    if (auto ours = check_folder(path, now); !ours) return std::unexpected(ours.error());
    if (::access(path.c_str(), W_OK | X_OK) != 0) return std::unexpected(system_error(path));
    return true;
  }
  if (errno != ENOENT) return std::unexpected(system_error(path));
  std::filesystem::path above = std::filesystem::absolute(path).parent_path();
  std::error_code error;
  while (!std::filesystem::exists(above, error) && above.has_relative_path()) above = above.parent_path();
  if (::access(above.c_str(), W_OK | X_OK) != 0) return std::unexpected(system_error(path));
  return false;
}

Result<> own_content(const std::string& folder) {
  std::error_code error;
  const uid_t us = ::geteuid();
  if (us == 0) return {};
  using std::filesystem::recursive_directory_iterator;
  for (recursive_directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    struct stat now{};
    const std::string path = at->path().string();
    if (::lstat(path.c_str(), &now) != 0 || now.st_uid == us) continue;
    if (S_ISREG(now.st_mode) || S_ISDIR(now.st_mode)) {
      return fail(Errc::denied, path + ": not our file" + owner_hint(path));
    }
  }
  return {};
}

Result<> closed_to_others(const std::string& path) {
  std::error_code error;
  const std::filesystem::path real = std::filesystem::canonical(path, error);
  struct stat about{};
  if (error || ::stat(real.c_str(), &about) != 0 || (about.st_mode & (S_IROTH | S_IWOTH)) == 0) return {};
  // A folder that lets nobody through keeps what is in it.
  for (std::filesystem::path above = real; above.has_relative_path();) {
    above = above.parent_path();
    if (::stat(above.c_str(), &about) == 0 && (about.st_mode & S_IXOTH) == 0) return {};
  }
  return fail(Errc::denied, "every user may read it; chmod o= " + real.string());
}

Result<> write_file_durably(const std::string& path, const std::string& content) {
  const std::string temporary = path + ".new";
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return std::unexpected(system_error(temporary));
  Result<> done;
  if (!write_all(fd, content) || ::fsync(fd) != 0) done = std::unexpected(system_error(path));
  ::close(fd);
  if (done && ::rename(temporary.c_str(), path.c_str()) != 0) done = std::unexpected(system_error(path));
  if (done) return sync_folder_of(path);
  ::unlink(temporary.c_str());
  return done;
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
