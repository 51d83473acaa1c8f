// Published vectors where there are some; AES-SIV against OpenSSL's own and a second composition of RFC 5297,
// which is itself checked with the RFC's vector.
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "base/random.h"
#include "base/text.h"
#include "mapping/keys/keys.h"
#include "tests/temporary_folder.h"

using namespace kage;
using namespace kage::mapping;

namespace {

std::string unhex(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    out.push_back(static_cast<char>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16)));
  }
  return out;
}

const unsigned char* bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* bytes(std::string& text) {
  return reinterpret_cast<unsigned char*>(text.data());
}

std::string cmac(std::string_view key, std::string_view data) {
  EVP_MAC* mac = EVP_MAC_fetch(nullptr, "CMAC", nullptr);
  EVP_MAC_CTX* context = EVP_MAC_CTX_new(mac);
  std::string cipher = key.size() == 16 ? "AES-128-CBC" : "AES-256-CBC";
  const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_CIPHER, cipher.data(), 0),
                                   OSSL_PARAM_construct_end()};
  std::string out(16, '\0');
  std::size_t written = 0;
  REQUIRE(EVP_MAC_init(context, bytes(key), key.size(), parameters) == 1);
  REQUIRE(EVP_MAC_update(context, bytes(data), data.size()) == 1);
  REQUIRE(EVP_MAC_final(context, bytes(out), &written, out.size()) == 1);
  EVP_MAC_CTX_free(context);
  EVP_MAC_free(mac);
  return out;
}

std::string exclusive_or(std::string a, std::string_view b) {
  for (std::size_t i = 0; i < b.size(); ++i)
    a[i] = static_cast<char>(static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i]));
  return a;
}

std::string doubled(const std::string& block) {
  std::string out(16, '\0');
  unsigned carry = 0;
  for (std::size_t i = 16; i-- > 0;) {
    const unsigned octet = static_cast<unsigned char>(block[i]);
    const unsigned value = octet << 1U | carry;
    out[i] = static_cast<char>(value & 0xffU);
    carry = value >> 8U;
  }
  if (carry != 0) out[15] = static_cast<char>(out[15] ^ 0x87);
  return out;
}

/// RFC 5297 §2.4 and §2.6 for one associated datum.
std::string reference_siv(std::string_view key, std::string_view context, std::string_view plaintext) {
  const std::string_view mac_key = key.substr(0, key.size() / 2);
  const std::string_view ctr_key = key.substr(key.size() / 2);
  std::string d = exclusive_or(doubled(cmac(mac_key, std::string(16, '\0'))), cmac(mac_key, context));
  std::string t;
  if (plaintext.size() >= 16) {
    t = plaintext;
    const std::size_t tail = t.size() - 16;
    t = t.substr(0, tail) + exclusive_or(t.substr(tail), d);
  } else {
    std::string padded(plaintext);
    padded.push_back('\x80');
    padded.resize(16, '\0');
    t = exclusive_or(doubled(d), padded);
  }
  const std::string v = cmac(mac_key, t);
  std::string q = v;
  q[8] = static_cast<char>(q[8] & 0x7f);
  q[12] = static_cast<char>(q[12] & 0x7f);
  EVP_CIPHER_CTX* cipher = EVP_CIPHER_CTX_new();
  std::string out(plaintext.size(), '\0');
  int written = 0;
  REQUIRE(EVP_EncryptInit_ex(cipher, key.size() == 32 ? EVP_aes_128_ctr() : EVP_aes_256_ctr(), nullptr,
                             bytes(ctr_key), bytes(q)) == 1);
  REQUIRE(EVP_EncryptUpdate(cipher, bytes(out), &written, bytes(plaintext),
                            static_cast<int>(plaintext.size())) == 1);
  EVP_CIPHER_CTX_free(cipher);
  return v + out;
}

/// The cipher of OpenSSL that is a whole AES-256-SIV.
std::string openssl_siv(std::string_view key, std::string_view context, std::string_view plaintext) {
  EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "AES-256-SIV", nullptr);
  EVP_CIPHER_CTX* const state = EVP_CIPHER_CTX_new();
  std::string out(16 + plaintext.size(), '\0');
  int written = 0;
  REQUIRE(EVP_EncryptInit_ex2(state, cipher, bytes(key), nullptr, nullptr) == 1);
  REQUIRE(EVP_EncryptUpdate(state, nullptr, &written, bytes(context), static_cast<int>(context.size())) == 1);
  REQUIRE(EVP_EncryptUpdate(state, bytes(out) + 16, &written, bytes(plaintext),
                            static_cast<int>(plaintext.size())) == 1);
  REQUIRE(EVP_EncryptFinal_ex(state, bytes(out) + 16, &written) == 1);
  REQUIRE(EVP_CIPHER_CTX_ctrl(state, EVP_CTRL_AEAD_GET_TAG, 16, out.data()) == 1);
  EVP_CIPHER_CTX_free(state);
  EVP_CIPHER_free(cipher);
  return out;
}

void write_file(const std::string& path, std::string_view text, mode_t mode) {
  std::ofstream(path, std::ios::binary) << text;
  REQUIRE(::chmod(path.c_str(), mode) == 0);
}

}  // namespace

TEST_CASE("HMAC-SHA-256 gives the values of RFC 4231") {
  struct Case {
    std::string key, data, mac;
  };
  const std::string long_key(131, '\xaa');
  const std::vector<Case> cases = {
      {std::string(20, '\x0b'), "Hi There",
       "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
      {"Jefe", "what do ya want for nothing?",
       "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
      {std::string(20, '\xaa'), std::string(50, '\xdd'),
       "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
      {unhex("0102030405060708090a0b0c0d0e0f10111213141516171819"), std::string(50, '\xcd'),
       "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
      {long_key, "Test Using Larger Than Block-Size Key - Hash Key First",
       "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
      {long_key,
       "This is a test using a larger than block-size key and a larger than block-size data. The key needs "
       "to be "
       "hashed before being used by the HMAC algorithm.",
       "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
  };
  for (const auto& [key, data, mac] : cases) CHECK(hex(hmac_sha256(key, data)) == mac);
  // The empty key is a key of zeros, not the key of the call before.
  hmac_sha256("another", "data");
  CHECK(hmac_sha256("", "data") == hmac_sha256(std::string(64, '\0'), "data"));
  CHECK(hmac_sha256("key", {"", "one", " and ", "another"}) == hmac_sha256("key", "one and another"));
  // Equal ends of a key do not make it the key of the call before.
  CHECK(hmac_sha256("key", "data") != hmac_sha256("key2", "data"));
  CHECK(hmac_sha256(long_key, "data") == hmac_sha256(sha256(long_key), "data"));
}

TEST_CASE("HKDF and SHA-256 give published values") {
  // RFC 5869 A.3: no salt, no info.
  CHECK(hex(hkdf_sha256(std::string(22, '\x0b'), "", 42)) ==
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
  // FIPS 180-4 example.
  CHECK(hex(sha256("abc")) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_CASE("AES-SIV is that of RFC 5297") {
  // A.1, which vouches for the reference.
  CHECK(hex(reference_siv(unhex("fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"),
                          unhex("101112131415161718191a1b1c1d1e1f2021222324252627"),
                          unhex("112233445566778899aabbccddee"))) ==
        "85632d07c6e8f37f950acd320a2ecc9340c02b9690c4dc04daef7f6afe5c");
  for (std::size_t size = 1; size < 200; ++size) {
    const std::string key = random_bytes(64);
    const Siv siv(key);
    const std::string plaintext = random_bytes(size);
    const std::string context = random_bytes(1 + size % 49);
    const std::string sealed = siv.seal(context, plaintext);
    CHECK(sealed == reference_siv(key, context, plaintext));
    CHECK(sealed == openssl_siv(key, context, plaintext));
    // The next one does not depend on what the context was used for before.
    const std::string longer = random_bytes(4096 + size);
    CHECK(siv.seal(plaintext, longer) == openssl_siv(key, plaintext, longer));
    CHECK(siv.open(context, openssl_siv(key, context, plaintext)) == plaintext);
  }
}

TEST_CASE("AES-SIV opens what it sealed and nothing else") {
  const Siv siv(random_bytes(64));
  const Siv other(random_bytes(64));
  for (std::size_t size = 1; size < 70; ++size) {
    const std::string plaintext = random_bytes(size);
    const std::string sealed = siv.seal("context", plaintext);
    REQUIRE(sealed.size() == size + 16);
    CHECK(siv.seal("context", plaintext) == sealed);
    CHECK(siv.open("context", sealed) == plaintext);
    CHECK_FALSE(siv.open("context2", sealed));
    CHECK_FALSE(siv.open("", sealed));
    CHECK_FALSE(other.open("context", sealed));
  }
  const std::string sealed = siv.seal("context", "somebody@somewhere.example");
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    CHECK_FALSE(siv.open("context", std::string_view(sealed).substr(0, i)));
    for (unsigned bit = 0; bit < 8; ++bit) {
      std::string changed = sealed;
      changed[i] = static_cast<char>(static_cast<unsigned char>(changed[i]) ^ (1U << bit));
      CHECK_FALSE(siv.open("context", changed));
    }
  }
  CHECK_FALSE(siv.open("context", sealed + "x"));
}

TEST_CASE("one Siv serves many threads") {
  const Siv siv(random_bytes(64));
  const std::string expected = siv.seal("context", "plaintext");
  std::vector<int> wrong(4, 0);
  std::vector<std::thread> threads;
  const Siv fresh(random_bytes(64));  // first used by all of them at once
  for (std::size_t n = 0; n < wrong.size(); ++n) {
    threads.emplace_back([&, n] {
      for (int i = 0; i < 2000; ++i) {
        const std::string text = "text " + std::to_string(n) + " " + std::to_string(i);
        if (siv.seal("context", "plaintext") != expected) ++wrong[n];
        if (fresh.open("context", fresh.seal("context", text)) != text) ++wrong[n];
        if (hmac_sha256(text, text) != hmac_sha256(text, std::string(text))) ++wrong[n];
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(wrong == std::vector<int>(4, 0));
}

TEST_CASE("single blocks are AES-256") {
  // FIPS 197, appendix C.3.
  const BlockCipher cipher(unhex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"));
  const std::string plain = unhex("00112233445566778899aabbccddeeff");
  const std::string hidden = unhex("8ea2b7ca516745bfeafc49904b496089");
  for (int i = 0; i < 2; ++i) {
    const BlockCipher::Block encrypted = cipher.encrypt(plain);
    CHECK(std::string(encrypted.begin(), encrypted.end()) == hidden);
    const BlockCipher::Block decrypted = cipher.decrypt(hidden);
    CHECK(std::string(decrypted.begin(), decrypted.end()) == plain);
  }
}

TEST_CASE("every derived key is another one") {
  const std::string key(32, 'k');
  const MasterKeys master(key);
  const MemberKeys member(key);
  const std::set<std::string_view> keys{master.index_key(), member.phantom_key(), key};
  CHECK(keys.size() == 3);
  for (const std::string_view one : keys) CHECK(one.size() == 32);
  const std::string block(16, 'b');
  const std::set<BlockCipher::Block> blocks{master.tag().encrypt(block), master.bounce().encrypt(block),
                                            BlockCipher(key).encrypt(block)};
  CHECK(blocks.size() == 3);
  CHECK_FALSE(master.record().open("c", member.seal().seal("c", "text")));
  CHECK(MemberKeys(key).phantom_key() == member.phantom_key());
  CHECK(MemberKeys(std::string(32, 'l')).phantom_key() != member.phantom_key());
}

TEST_CASE("a log tag follows an address without showing it") {
  const MasterKeys master(std::string(32, 'k'));
  const std::string tag = master.log_tag("hanako@docomo.example");
  CHECK(tag.size() == 8);
  CHECK(tag == master.log_tag("hanako@docomo.example"));
  CHECK(tag != master.log_tag("hanako@docomo.example."));
  CHECK(tag != MasterKeys(std::string(32, 'l')).log_tag("hanako@docomo.example"));
}

TEST_CASE("a tag for a unique-id is as long as no two may be the same") {
  const MasterKeys master(std::string(32, 'm'));
  const std::string tag = master.uidl_tag("1@mail.correspondent.example");
  CHECK(base32_decode(tag).value_or("").size() == 20);
  CHECK(tag == master.uidl_tag("1@mail.correspondent.example"));
  CHECK(tag != master.uidl_tag("2@mail.correspondent.example"));
  CHECK_FALSE(tag.starts_with(master.log_tag("1@mail.correspondent.example")));
}

TEST_CASE("the master key file has to be private and whole") {
  const kage::test::TemporaryFolder folder;
  const std::string path = folder / "master.key";
  const std::string digits = hex(std::string(31, 'k')) + "fF";
  const std::string key = std::string(31, 'k') + '\xff';

  const auto missing = read_master_key(path);
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == Errc::not_found);
  CHECK(missing.error().detail == "master key file " + path + ": does not exist");

  for (const std::string_view end : {"\n", "\r\n", ""}) {
    write_file(path, digits + std::string(end), 0600);
    CHECK(read_master_key(path) == key);
  }
  write_file(path, digits + "\n", 0400);
  CHECK(read_master_key(path) == key);
  std::filesystem::create_symlink(path, folder / "link");
  CHECK(read_master_key(folder / "link") == key);
  for (const mode_t mode : {0640U, 0604U, 0660U, 0610U, 0601U, 0644U, 0777U}) {
    REQUIRE(::chmod(path.c_str(), mode) == 0);
    const auto open = read_master_key(path);
    REQUIRE_FALSE(open);
    CHECK(open.error().code == Errc::denied);
  }
  for (const std::string& bad :
       {std::string(), std::string("\n"), digits.substr(1), digits + "0", digits + digits,
        "g" + digits.substr(1), digits.substr(0, 32) + "\n" + digits.substr(32), std::string(100'000, '0'),
        std::string(64, '\0')}) {
    std::filesystem::remove(path);
    write_file(path, bad, 0600);
    const auto wrong = read_master_key(path);
    REQUIRE_FALSE(wrong);
    CHECK(wrong.error().code == Errc::invalid);
    CHECK(wrong.error().detail.find(digits.substr(0, 16)) == std::string::npos);
  }
  CHECK(read_master_key(folder / "").error().code == Errc::invalid);
  REQUIRE(::mkfifo((folder / "fifo").c_str(), 0600) == 0);
  CHECK(read_master_key(folder / "fifo").error().code == Errc::invalid);
}

TEST_CASE("a new master key file is private and never replaces one") {
  const kage::test::TemporaryFolder folder;
  const std::string path = folder / "master.key";
  const auto made = create_master_key(path);
  REQUIRE(made);
  CHECK(made->size() == 32);
  struct stat about{};
  REQUIRE(::stat(path.c_str(), &about) == 0);
  CHECK((about.st_mode & 07777U) == 0600U);
  CHECK(read_master_key(path) == *made);

  const auto again = create_master_key(path);
  REQUIRE_FALSE(again);
  CHECK(again.error().code == Errc::conflict);
  CHECK(read_master_key(path) == *made);
  CHECK(create_master_key(folder / "other.key") != *made);
  CHECK(create_master_key(folder / "no/such/folder").error().code == Errc::io);
}
