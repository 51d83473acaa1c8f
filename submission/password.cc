// Password hashes of the gateway's own: scrypt (RFC 7914) in the PHC string format.
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <array>
#include <optional>
#include <vector>

#include "base/random.h"
#include "base/text.h"
#include "submission/auth.h"

namespace kage::submission {
namespace {

constexpr std::uint64_t kMemoryBound = 256ULL << 20;
constexpr std::size_t kSaltSize = 16;
constexpr std::size_t kHashSize = 32;
constexpr std::uint64_t kDefaultLogN = 15;

struct ScryptHash {
  std::uint64_t log_n = kDefaultLogN;
  std::uint64_t r = 8;
  std::uint64_t p = 1;
  std::string salt;
  std::string hash;
};

/// Standard base64 without padding, as the PHC format has it.
std::optional<std::string> unpadded_decode(std::string_view text) {
  if (text.find('=') != std::string_view::npos) return std::nullopt;
  std::string padded(text);
  padded.append((4 - padded.size() % 4) % 4, '=');
  return base64_decode(padded);
}

std::string unpadded(std::string_view bytes) {
  std::string out = base64(bytes);
  while (out.ends_with('=')) out.pop_back();
  return out;
}

/// The next piece up to `separator`, taken off `text`.
std::string_view next_piece(std::string_view& text, char separator) {
  const std::size_t end = text.find(separator);
  const std::string_view piece = text.substr(0, end);
  text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  return piece;
}

std::optional<std::uint64_t> read_cost(std::string_view text, std::string_view name, std::uint64_t least,
                                       std::uint64_t most) {
  if (!text.starts_with(name) || text.size() <= name.size() || text.size() > name.size() + 3)
    return std::nullopt;
  const auto value = parse_number(text.substr(name.size()), most);
  if (!value || *value < least) return std::nullopt;
  return value;
}

Result<ScryptHash> parse_hash(std::string_view text) {
  if (!text.starts_with("$scrypt$") || text.size() > 300) return fail(Errc::invalid, "not a $scrypt$ hash");
  text.remove_prefix(8);
  std::string_view costs = next_piece(text, '$');
  const auto log_n = read_cost(next_piece(costs, ','), "ln=", 10, 20);
  const auto r = read_cost(next_piece(costs, ','), "r=", 1, 32);
  const auto p = read_cost(next_piece(costs, ','), "p=", 1, 16);
  if (!log_n || !r || !p || !costs.empty()) return fail(Errc::invalid, "scrypt costs out of bounds");
  if (128 * *r * (1ULL << *log_n) > kMemoryBound) return fail(Errc::invalid, "scrypt memory above 256 MiB");
  auto salt = unpadded_decode(next_piece(text, '$'));
  auto hash = unpadded_decode(text);
  if (!salt || salt->size() < 8 || salt->size() > 64 || !hash || hash->size() < 16 || hash->size() > 64) {
    return fail(Errc::invalid, "scrypt salt or hash malformed");
  }
  return ScryptHash{*log_n, *r, *p, std::move(*salt), std::move(*hash)};
}

/// False when OpenSSL refuses (no memory).
bool derive(std::string_view password, const ScryptHash& with, std::string& out) {
  // Some room above 128·N·r + 128·r·p for what OpenSSL counts besides.
  constexpr std::uint64_t kRoom = 2ULL << 20;
  return EVP_PBE_scrypt(password.data(), password.size(),
                        reinterpret_cast<const unsigned char*>(with.salt.data()), with.salt.size(),
                        1ULL << with.log_n, with.r, with.p, kMemoryBound + kRoom,
                        reinterpret_cast<unsigned char*>(out.data()), out.size()) == 1;
}

}  // namespace

std::string hash_password(std::string_view password) {
  ScryptHash made;
  made.salt = random_bytes(kSaltSize);
  made.hash.resize(kHashSize);
  if (!derive(password, made, made.hash)) return {};
  std::string out = "$scrypt$ln=" + std::to_string(made.log_n) + ",r=" + std::to_string(made.r) +
                    ",p=" + std::to_string(made.p) + "$";
  out.append(unpadded(made.salt)).append("$").append(unpadded(made.hash));
  return out;
}

Result<bool> verify_password(std::string_view password, std::string_view hash) {
  const auto wanted = parse_hash(hash);
  if (!wanted) return std::unexpected(wanted.error());
  std::string found(wanted->hash.size(), '\0');
  if (!derive(password, *wanted, found)) return fail(Errc::unavailable, "scrypt failed");
  const bool equal = equals_secret(found, wanted->hash);
  OPENSSL_cleanse(found.data(), found.size());
  return equal;
}

Result<> check_password_hash(std::string_view hash) {
  if (auto parsed = parse_hash(hash); !parsed) return std::unexpected(parsed.error());
  return {};
}

}  // namespace kage::submission
