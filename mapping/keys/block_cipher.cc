// AES-256 of one block at a time.
#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "mapping/keys/aes.h"
#include "mapping/keys/keys.h"

namespace kage::mapping {

struct BlockCipher::State {
  Secret key;
  Spare<KeyedAes> encrypter;

  [[nodiscard]] std::unique_ptr<KeyedAes> make(KeyedAes::Way way) const {
    return std::make_unique<KeyedAes>(aes_ecb(), octets(key), way);
  }
};

namespace {

BlockCipher::Block run(KeyedAes& aes, std::string_view block) {
  require(block.size() == kAesBlock, "AES block");
  BlockCipher::Block out{};
  std::ranges::copy(block, out.begin());
  aes.run({octets(out), out.size()});
  return out;
}

}  // namespace

BlockCipher::BlockCipher(std::string_view key) : state_(std::make_unique<State>()) {
  require(key.size() == kKeySize, "AES key size");
  state_->key = Secret(std::string(key));
}
BlockCipher::~BlockCipher() = default;

BlockCipher::Block BlockCipher::encrypt(std::string_view block) const {
  auto aes = state_->encrypter.take([this] { return state_->make(KeyedAes::Way::encrypt); });
  const Block out = run(*aes, block);
  state_->encrypter.put_back(std::move(aes));
  return out;
}

BlockCipher::Block BlockCipher::decrypt(std::string_view block) const {
  return run(*state_->make(KeyedAes::Way::decrypt), block);
}

}  // namespace kage::mapping
