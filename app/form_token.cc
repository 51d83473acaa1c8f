// Eight octets of time, eight of randomness, sixteen of HMAC-SHA-256; base64url.
#include "app/form_token.h"

#include "base/random.h"
#include "base/text.h"

namespace kage::app {
namespace {

constexpr std::size_t kTime = 8;
constexpr std::size_t kRandom = 8;
constexpr std::size_t kSignature = 16;

std::string sign(const mapping::MasterKeys& master, std::string_view address, std::string_view what) {
  std::string text("form token\0", 11);
  text.append(what).append(address);
  return std::string(mapping::hmac_sha256(master.index_key(), text).first(kSignature));
}

}  // namespace

std::string make_form_token(const mapping::MasterKeys& master, std::string_view address, std::int64_t now) {
  std::string text;
  for (std::size_t i = 0; i < kTime; ++i) {
    text.push_back(static_cast<char>(static_cast<std::uint64_t>(now) >> (8 * (kTime - 1 - i))));
  }
  text += random_bytes(kRandom);
  return base64url(text + sign(master, address, text));
}

std::optional<std::int64_t> open_form_token(const mapping::MasterKeys& master, std::string_view address,
                                            std::string_view token) {
  const auto octets = base64url_decode(token);
  if (!octets || octets->size() != kTime + kRandom + kSignature) return std::nullopt;
  const std::string_view signed_part = std::string_view(*octets).substr(0, kTime + kRandom);
  if (!equals_secret(std::string_view(*octets).substr(kTime + kRandom), sign(master, address, signed_part))) {
    return std::nullopt;
  }
  std::uint64_t time = 0;
  for (const char c : signed_part.substr(0, kTime)) time = time << 8 | static_cast<unsigned char>(c);
  return static_cast<std::int64_t>(time);
}

}  // namespace kage::app
