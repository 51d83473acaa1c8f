// The BIO method table. An empty input means "come again": the stream knows about the end of input, not the
// BIO.
#include "tls/view_bio.h"

#include <openssl/bio.h>

#include <algorithm>
#include <cstring>

namespace kage::tls {
namespace {

CipherText& text_of(BIO* bio) {
  return *static_cast<CipherText*>(BIO_get_data(bio));
}

int read_input(BIO* bio, char* out, std::size_t size, std::size_t* taken) {
  BIO_clear_retry_flags(bio);
  std::string_view& input = text_of(bio).input;
  *taken = std::min(size, input.size());
  if (*taken == 0) {
    BIO_set_retry_read(bio);
    return 0;
  }
  std::memcpy(out, input.data(), *taken);
  input.remove_prefix(*taken);
  return 1;
}

int write_output(BIO* bio, const char* bytes, std::size_t size, std::size_t* written) {
  BIO_clear_retry_flags(bio);
  text_of(bio).output.append(bytes, size);
  *written = size;
  return 1;
}

long control(BIO* /*bio*/, int command, long /*number*/, void* /*pointer*/) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

const BIO_METHOD* method() {
  static const BIO_METHOD* made = [] {
    BIO_METHOD* table = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "view");
    if (table == nullptr) return table;
    BIO_meth_set_read_ex(table, read_input);
    BIO_meth_set_write_ex(table, write_output);
    BIO_meth_set_ctrl(table, control);
    return table;
  }();
  return made;
}

}  // namespace

bool attach(SSL* ssl, CipherText& text) {
  if (method() == nullptr) return false;
  BIO* bio = BIO_new(method());
  if (bio == nullptr) return false;
  BIO_set_data(bio, &text);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl, bio, bio);
  return true;
}

}  // namespace kage::tls
