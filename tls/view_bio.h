// A BIO that reads ciphertext where it lies and collects what is to be sent. Internal to tls.
#pragma once

#include <openssl/ssl.h>

#include <string>
#include <string_view>

namespace kage::tls {

struct CipherText {
  std::string_view input;  ///< what came from the peer and was not read yet
  std::string output;      ///< what has to go to the peer
};

/// Makes `ssl` read from and write to `text`, which must outlive it. False when OpenSSL has no memory.
bool attach(SSL* ssl, CipherText& text);

}  // namespace kage::tls
