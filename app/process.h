// What the whole process does to itself before it serves, and what it can say about itself.
#pragma once

#include <string>

#include "base/result.h"

namespace kage::app {

/// No core dumps and no debugger of the same user: memory holds keys and addresses (contract R3.6). Nothing
/// of it is done in a sanitizer build, whose leak check needs to look into the process.
void protect_memory();

/// As many open files as the system lets us have.
void raise_file_limit();

/// A closed connection is an error value, not a signal.
void ignore_broken_pipes();

/// "mimalloc 2.0.9" when malloc really is mimalloc's, else "system".
std::string allocator_name();

/// Makes a folder (and what is above it) with mode 0700 and narrows one that is wider. The error names the
/// path, and whose it is where it is not ours. Root gets nobody else's folder: what it left there would be
/// out of reach for its owner.
Result<> make_private_folder(const std::string& path);
/// Whether it is there; where it is not, it could be made. Makes nothing. Errors as above.
Result<bool> find_private_folder(const std::string& path);
/// What lies in a folder is ours; the error names what is not.
Result<> own_content(const std::string& folder);

/// Errc::denied when every user of the system may read a file, or write it; the detail says what to do. A
/// file that is not there is nobody's to read.
Result<> closed_to_others(const std::string& path);

/// Replaces a file in one step; once this has returned the new content survives a loss of power. After a
/// failure nothing is left beside the file. The error names the path.
Result<> write_file_durably(const std::string& path, const std::string& content);

/// An exclusive lock on a file, held until destroyed or the process ends (flock(2)).
class FileLock {
 public:
  FileLock() = default;
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&& other) noexcept;
  ~FileLock();

  /// Takes the lock without waiting, and writes `holder` into the file. Errc::conflict: somebody else has it;
  /// the detail is what they wrote. Errc::io names the path.
  static Result<FileLock> take(const std::string& path, const std::string& holder);

  /// For a child that shall hold the lock too, until it ends.
  [[nodiscard]] int descriptor() const { return fd_; }

 private:
  int fd_ = -1;
};

}  // namespace kage::app
