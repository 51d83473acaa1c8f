// Certificates by libcrypto, with P-256 keys: quick to make.
#include "tests/tls/test_certificates.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <stdexcept>

namespace kage::tls::testing {
namespace {

struct Free {
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using CertificatePtr = std::unique_ptr<X509, Free>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Free>;

void must(bool ok) {
  if (!ok) throw std::runtime_error("cannot make a test certificate");
}

std::unique_ptr<std::FILE, Free> open_file(const std::string& path) {
  std::unique_ptr<std::FILE, Free> file(std::fopen(path.c_str(), "w"));
  must(file != nullptr);
  return file;
}

void add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  must(extension != nullptr && X509_add_ext(certificate, extension, -1) == 1);
  X509_EXTENSION_free(extension);
}

CertificatePtr make(EVP_PKEY* key, const std::string& name, long from_seconds, long to_seconds) {
  static long serial = 1;
  CertificatePtr certificate(X509_new());
  X509_set_version(certificate.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), serial++);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), from_seconds);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), to_seconds);
  X509_set_pubkey(certificate.get(), key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  return certificate;
}

constexpr long kDay = 24L * 60 * 60;

}  // namespace

struct TestAuthority::Keys {
  KeyPtr key;
  CertificatePtr certificate;
};

TestAuthority::TestAuthority() : keys_(std::make_unique<Keys>()) {
  keys_->key.reset(EVP_EC_gen("P-256"));
  must(keys_->key != nullptr);
  keys_->certificate = make(keys_->key.get(), "Test authority of " + folder(), -kDay, kDay);
  X509* self = keys_->certificate.get();
  X509_set_issuer_name(self, X509_get_subject_name(self));
  add_extension(self, self, NID_basic_constraints, "critical,CA:TRUE");
  must(X509_sign(self, keys_->key.get(), EVP_sha256()) > 0);
  must(PEM_write_X509(open_file(ca_file()).get(), self) == 1);
}

TestAuthority::~TestAuthority() = default;

CertificateFiles TestAuthority::issue(const std::string& file, const std::string& names, bool expired) const {
  const CertificateFiles files{folder() + "/" + file + ".pem", folder() + "/" + file + ".key"};
  const KeyPtr key(EVP_EC_gen("P-256"));
  must(key != nullptr);
  const CertificatePtr leaf = make(key.get(), file, -2 * kDay, expired ? -kDay : kDay);
  X509_set_issuer_name(leaf.get(), X509_get_subject_name(keys_->certificate.get()));
  if (!names.empty()) add_extension(leaf.get(), keys_->certificate.get(), NID_subject_alt_name, names);
  must(X509_sign(leaf.get(), keys_->key.get(), EVP_sha256()) > 0);
  must(PEM_write_X509(open_file(files.chain).get(), leaf.get()) == 1);
  must(PEM_write_PrivateKey(open_file(files.key).get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) ==
       1);
  return files;
}

}  // namespace kage::tls::testing
