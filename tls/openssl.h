// OpenSSL's objects as owned values, and its errors as short texts. Internal to tls.
#pragma once

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kage::tls {

struct Free {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
};

using SslPtr = std::unique_ptr<SSL, Free>;
using SslCtxPtr = std::unique_ptr<SSL_CTX, Free>;
using SslSessionPtr = std::unique_ptr<SSL_SESSION, Free>;

/// The reason of the latest error in OpenSSL's queue, which is emptied. Fixed texts of OpenSSL only: nothing
/// that a peer or a file said.
std::string take_reason();

/// What servers and clients have in common: TLS 1.2 and later, AEAD ciphers with forward secrecy, no
/// compression, no renegotiation, buffers given back when idle. Null when OpenSSL has no memory.
SslCtxPtr make_context(const SSL_METHOD* method);

/// Reads a PEM chain and its key into the context. Errc::invalid, naming the file.
Result<> use_certificate(SSL_CTX* context, const std::string& chain_file, const std::string& key_file);

}  // namespace kage::tls
