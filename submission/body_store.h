// The octets of one message, kept for the copies that could not be sent while the client was sending.
//
// The first 64 KiB stay in memory; the rest goes to an unlinked file, encrypted with AES-256-CTR under a
// random key that is in this process's memory only. Nothing outlives the object, and nothing readable reaches
// a disk. All file work is done on the loop's thread pool.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/loop.h"
#include "net/task.h"

namespace kage::submission {

class BodyStore {
 public:
  static constexpr std::size_t kInMemory = 64UL * 1024;
  static constexpr std::size_t kBlock = 64UL * 1024;  ///< what is read or written of the file at once

  /// `spool_dir`: an existing folder that we may write to. It is not touched before it is needed.
  BodyStore(net::Loop& loop, std::string spool_dir);
  ~BodyStore();
  BodyStore(const BodyStore&) = delete;
  BodyStore& operator=(const BodyStore&) = delete;

  /// Adds octets; they must stay valid until it returns. Errc::io: no room or no folder. After an error the
  /// store is of no more use.
  net::Task<Result<>> append(std::string_view octets);
  /// Ends adding. Reading begins after it.
  net::Task<Result<>> seal();

  [[nodiscard]] std::uint64_t size() const { return size_; }

  /// Octets at `offset`, at most kBlock, at least one; empty at the end. They lie in the store or in
  /// `buffer`, which belongs to the reader and must outlive the task. Any number of readers at any offsets; a
  /// reader that starts at 0 and goes on by what it got reads each block once.
  net::Task<Result<std::string_view>> read(std::uint64_t offset, std::string& buffer);

 private:
  class File;
  net::Task<Result<>> write_block();

  net::Loop& loop_;
  std::string spool_dir_;
  std::string head_;            // octets 0 to kInMemory
  std::string tail_;            // those not yet written to the file
  std::shared_ptr<File> file_;  // shared with work on the thread pool
  std::uint64_t in_file_ = 0;
  std::uint64_t size_ = 0;
};

}  // namespace kage::submission
