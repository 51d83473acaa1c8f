// Defaults of every context, and loading of certificates.
#include "tls/openssl.h"

#include <openssl/err.h>

namespace kage::tls {
namespace {

// TLS 1.2; TLS 1.3 has good defaults. RFC 9325 §4.2.
constexpr const char* kCiphers = "ECDHE+AESGCM:ECDHE+CHACHA20";

/// A key with a passphrase was met.
thread_local bool passphrase_asked = false;

/// It is refused instead of asking at a terminal that is not there.
int no_passphrase(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*data*/) {
  passphrase_asked = true;
  return -1;
}

/// OpenSSL says "PEM lib" of all that a PEM file can have wrong.
std::string reason_of_file(std::string_view what) {
  const bool pem = ERR_GET_REASON(ERR_peek_last_error()) == ERR_R_PEM_LIB;
  std::string reason = take_reason();
  if (passphrase_asked) return "it has a passphrase";
  return pem ? "not a PEM " + std::string(what) : reason;
}

std::unexpected<Error> refuse(std::string_view what, const std::string& file) {
  return fail(Errc::invalid, std::string(what) + " " + file + ": " + reason_of_file(what));
}

}  // namespace

std::string take_reason() {
  // What the system said stands below what OpenSSL made of it ("system lib").
  unsigned long code = 0;
  for (unsigned long next = ERR_get_error(); next != 0; next = ERR_get_error()) {
    if (!ERR_SYSTEM_ERROR(code)) code = next;
  }
  if (code == 0) return "no reason given";
  if (ERR_SYSTEM_ERROR(code)) {
    char text[128];
    return strerror_r(static_cast<int>(ERR_GET_REASON(code)), text, sizeof text);
  }
  const char* reason = ERR_reason_error_string(code);
  return reason == nullptr ? "no reason given" : reason;
}

SslCtxPtr make_context(const SSL_METHOD* method) {
  SslCtxPtr context(SSL_CTX_new(method));
  if (!context) return nullptr;
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_cipher_list(context.get(), kCiphers);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                         SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_default_passwd_cb(context.get(), no_passphrase);
  return context;
}

Result<> use_certificate(SSL_CTX* context, const std::string& chain_file, const std::string& key_file) {
  ERR_clear_error();
  passphrase_asked = false;
  if (SSL_CTX_use_certificate_chain_file(context, chain_file.c_str()) != 1) {
    return refuse("certificate", chain_file);
  }
  if (SSL_CTX_use_PrivateKey_file(context, key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
    return refuse("key", key_file);
  }
  if (SSL_CTX_check_private_key(context) != 1) return refuse("key", key_file);
  return {};
}

}  // namespace kage::tls
