// What is derived from keys (RFC 5869), and the master key file.
#include "mapping/keys/keys.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <optional>
#include <utility>

#include "base/owner.h"
#include "base/random.h"
#include "base/text.h"
#include "mapping/keys/openssl_support.h"

namespace kage::mapping {
namespace {

constexpr std::size_t kHashSize = 32;
constexpr std::size_t kMasterKeySize = 32;

struct FileDescriptor {
  int fd;
  ~FileDescriptor() {
    if (fd >= 0) ::close(fd);
  }
};

Error file_error(Errc code, const std::string& path, std::string_view reason) {
  return Error{code, "master key file " + path + ": " + std::string(reason)};
}

/// Nothing when a character is no digit.
std::optional<Secret> hex_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const auto octet = hex_octet(text.substr(i));
    if (!octet) {
      wipe(out);
      return std::nullopt;
    }
    out.push_back(static_cast<char>(*octet));
  }
  return Secret(std::move(out));
}

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(fd, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

/// So that the new name itself survives a power cut.
void sync_folder(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
  const FileDescriptor handle{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (handle.fd >= 0) ::fsync(handle.fd);
}

}  // namespace

Secret hkdf_sha256(std::string_view key, std::string_view info, std::size_t length) {
  Mac extracted = hmac_sha256({}, key);  // RFC 5869 §2.2, no salt
  Mac block{};
  std::string out;
  out.reserve(length);
  for (char counter = 1; out.size() < length; ++counter) {
    require(counter != 0, "HKDF length");
    const std::string_view before = out.empty() ? std::string_view() : std::string_view(block);
    block = hmac_sha256(extracted, {before, info, {&counter, 1}});
    out.append(block.first(std::min(kMacSize, length - out.size())));
  }
  OPENSSL_cleanse(extracted.octets.data(), kMacSize);
  OPENSSL_cleanse(block.octets.data(), kMacSize);
  return Secret(std::move(out));
}

std::string sha256(std::string_view data) {
  std::string out(kHashSize, '\0');
  unsigned written = 0;
  require(EVP_Digest(data.data(), data.size(), octets(out), &written, EVP_sha256(), nullptr) == 1, "SHA-256");
  return out;
}

MemberKeys::MemberKeys(std::string_view member_key)
    : phantom_key_(hkdf_sha256(member_key, "kagemusha phantom v1", kHashSize)),
      seal_(hkdf_sha256(member_key, "kagemusha seal v1", kSivKeySize)) {}

MasterKeys::MasterKeys(std::string_view master_key)
    : record_(hkdf_sha256(master_key, "kagemusha record v1", kSivKeySize)),
      tag_(hkdf_sha256(master_key, "kagemusha tag v1", BlockCipher::kKeySize)),
      bounce_(hkdf_sha256(master_key, "kagemusha bounce v1", BlockCipher::kKeySize)),
      index_key_(hkdf_sha256(master_key, "kagemusha index v1", kHashSize)) {}

std::string MasterKeys::log_tag(std::string_view canonical_address) const {
  constexpr std::string_view kLabel("log\0", 4);
  return base32(hmac_sha256(index_key_, {kLabel, canonical_address}).first(5));
}

std::string MasterKeys::uidl_tag(std::string_view unique_id) const {
  constexpr std::string_view kLabel("uidl\0", 5);
  return base32(hmac_sha256(index_key_, {kLabel, unique_id}).first(20));
}

Result<Secret> read_master_key(const std::string& path) {
  // O_NONBLOCK: a FIFO in the file's place must not stop the caller.
  const FileDescriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.fd < 0) {
    if (errno == ENOENT) return std::unexpected(file_error(Errc::not_found, path, "does not exist"));
    const Errc code = errno == EACCES ? Errc::denied : Errc::io;
    return std::unexpected(
        file_error(code, path, "cannot be opened" + (code == Errc::denied ? owner_hint(path) : "")));
  }
  struct stat about{};
  if (::fstat(file.fd, &about) != 0) return std::unexpected(file_error(Errc::io, path, "cannot be read"));
  if (!S_ISREG(about.st_mode))
    return std::unexpected(file_error(Errc::invalid, path, "is not a regular file"));
  if (about.st_uid != ::geteuid() && about.st_uid != 0) {
    return std::unexpected(file_error(Errc::denied, path, "belongs to another user" + owner_hint(path)));
  }
  if ((about.st_mode & 077U) != 0) {
    return std::unexpected(file_error(Errc::denied, path, "is open to others; its mode must be 0600"));
  }
  std::string text(256, '\0');
  const ssize_t count = ::read(file.fd, text.data(), text.size());
  if (count < 0) return std::unexpected(file_error(Errc::io, path, "cannot be read"));
  const std::string_view digits = trim(std::string_view(text).substr(0, static_cast<std::size_t>(count)));
  std::optional<Secret> key;
  if (digits.size() == 2 * kMasterKeySize) key = hex_decode(digits);
  wipe(text);
  if (!key) return std::unexpected(file_error(Errc::invalid, path, "does not hold 64 hexadecimal digits"));
  return std::move(*key);
}

Result<Secret> create_master_key(const std::string& path) {
  const FileDescriptor file{
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR)};
  if (file.fd < 0) {
    if (errno == EEXIST) return std::unexpected(file_error(Errc::conflict, path, "exists already"));
    const bool denied = errno == EACCES;
    return std::unexpected(
        file_error(Errc::io, path, "cannot be created" + (denied ? owner_hint(path) : "")));
  }
  Secret key(random_bytes(kMasterKeySize));
  const Secret digits(hex(key));
  const bool good = write_all(file.fd, digits) && write_all(file.fd, "\n") && ::fsync(file.fd) == 0;
  if (!good) {
    ::unlink(path.c_str());
    return std::unexpected(file_error(Errc::io, path, "cannot be written"));
  }
  sync_folder(path);
  return key;
}

}  // namespace kage::mapping
