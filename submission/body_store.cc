// Memory first, then an encrypted file without a name.
#include "submission/body_store.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/random.h"
#include "base/secret.h"

namespace kage::submission {
namespace {

constexpr std::size_t kKeySize = 32;
constexpr std::size_t kCipherBlock = 16;

/// A file that has no name from the beginning, or loses it at once where the file system knows no O_TMPFILE.
int open_nameless(const std::string& folder) {
  const int fd = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, S_IRUSR | S_IWUSR);
  if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT)) return fd;
  std::string name = folder + "/body-" + std::string(6, 'X');  // for mkostemp to replace
  const int named = ::mkostemp(name.data(), O_CLOEXEC);
  if (named >= 0) ::unlink(name.c_str());
  return named;
}

}  // namespace

/// The file and its key. Used by one task on the thread pool at a time for writing, by any number for
/// reading.
class BodyStore::File {
 public:
  explicit File(std::string folder) : folder_(std::move(folder)), key_(random_bytes(kKeySize)) {}
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  /// Encrypts `octets` in place and writes them at `offset`, a multiple of the cipher's block.
  bool write(std::uint64_t offset, std::string& octets) {
    if (folder_.empty()) return false;
    if (fd_ < 0) fd_ = open_nameless(folder_);
    if (fd_ < 0 || !crypt(offset, octets)) return false;
    std::string_view left = octets;
    while (!left.empty()) {
      const auto written = ::pwrite(fd_, left.data(), left.size(), static_cast<off_t>(offset));
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return false;
      left.remove_prefix(static_cast<std::size_t>(written));
      offset += static_cast<std::uint64_t>(written);
    }
    return true;
  }

  /// Fills `octets` from `offset`, a multiple of the cipher's block.
  bool read(std::uint64_t offset, std::string& octets) const {
    std::size_t have = 0;
    while (have < octets.size()) {
      const auto got =
          ::pread(fd_, octets.data() + have, octets.size() - have, static_cast<off_t>(offset + have));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return false;
      have += static_cast<std::size_t>(got);
    }
    return crypt(offset, octets);
  }

 private:
  /// CTR: the counter is the block's number in the file, so that reading may start at any block. The key is
  /// used for this file only, and every place of it is written once.
  bool crypt(std::uint64_t offset, std::string& octets) const {
    std::array<unsigned char, kCipherBlock> counter{};
    std::uint64_t number = offset / kCipherBlock;
    for (auto place = counter.rbegin(); number > 0; ++place, number >>= 8) {
      *place = static_cast<unsigned char>(number & 0xff);
    }
    const std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> context(EVP_CIPHER_CTX_new(),
                                                                                  &EVP_CIPHER_CTX_free);
    const auto* key = reinterpret_cast<const unsigned char*>(key_.data());
    auto* data = reinterpret_cast<unsigned char*>(octets.data());
    int length = 0;
    return context != nullptr &&
           EVP_EncryptInit_ex(context.get(), EVP_aes_256_ctr(), nullptr, key, counter.data()) == 1 &&
           EVP_EncryptUpdate(context.get(), data, &length, data, static_cast<int>(octets.size())) == 1;
  }

  std::string folder_;
  Secret key_;
  int fd_ = -1;
};

BodyStore::BodyStore(net::Loop& loop, std::string spool_dir)
    : loop_(loop), spool_dir_(std::move(spool_dir)) {}

BodyStore::~BodyStore() = default;

net::Task<Result<>> BodyStore::append(std::string_view octets) {
  size_ += octets.size();
  const std::size_t room = std::min(kInMemory - head_.size(), octets.size());
  head_.append(octets.substr(0, room));
  octets.remove_prefix(room);
  while (!octets.empty()) {
    const std::string_view part = octets.substr(0, kBlock - tail_.size());
    tail_.append(part);
    octets.remove_prefix(part.size());
    if (tail_.size() < kBlock) break;
    if (auto written = co_await write_block(); !written) co_return written;
  }
  co_return Result<>();
}

net::Task<Result<>> BodyStore::seal() {
  Result<> written;
  if (!tail_.empty()) written = co_await write_block();
  std::string().swap(tail_);
  co_return written;
}

net::Task<Result<>> BodyStore::write_block() {
  if (!file_) file_ = std::make_shared<File>(spool_dir_);
  bool done = false;
  co_await loop_.offload(
      [file = file_, offset = in_file_, &done, this] { done = file->write(offset, tail_); });
  if (!done) co_return fail(Errc::io, "spool folder");
  in_file_ += tail_.size();
  tail_.clear();
  co_return Result<>();
}

net::Task<Result<std::string_view>> BodyStore::read(std::uint64_t offset, std::string& buffer) {
  if (offset >= size_) co_return std::string_view();
  if (offset < head_.size()) co_return std::string_view(head_).substr(static_cast<std::size_t>(offset));
  const std::uint64_t place = offset - kInMemory;
  const std::uint64_t begin = place - place % kCipherBlock;
  buffer.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kBlock, in_file_ - begin)));
  bool done = false;
  co_await loop_.offload([file = file_, begin, &buffer, &done] { done = file->read(begin, buffer); });
  if (!done) co_return fail(Errc::io, "spool folder");
  co_return std::string_view(buffer).substr(static_cast<std::size_t>(place - begin));
}

}  // namespace kage::submission
