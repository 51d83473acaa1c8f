// OpenSSL's calls, with views instead of sockets.
#include "tls/ssl_connection.h"

#include <openssl/err.h>

#include <algorithm>
#include <utility>

namespace kage::tls {
namespace {

constexpr std::size_t kRecord = 16UL * 1024;    // RFC 8446 §5.1
constexpr std::size_t kRecordOverhead = 256UL;  // of the largest ciphers and then some
constexpr std::size_t kHeader = 5;

/// How many TLS 1.3 records that are encrypted lie in `output`.
std::uint64_t count_records(std::string_view output) {
  constexpr char kApplicationData = 23;
  std::uint64_t count = 0;
  while (output.size() > kHeader) {
    if (output.front() == kApplicationData) ++count;
    const std::size_t body = static_cast<std::size_t>(static_cast<unsigned char>(output[3])) << 8U |
                             static_cast<unsigned char>(output[4]);
    output.remove_prefix(std::min(output.size(), kHeader + body));
  }
  return count;
}

}  // namespace

SslConnection::SslConnection(SSL* ssl, std::shared_ptr<const void> keep, CipherText& text)
    : keep_(std::move(keep)), ssl_(ssl) {
  bool ready = ssl != nullptr && attach(ssl, text);
  if (ready && is_server()) {
    secrets_ = std::make_unique<TrafficSecrets>();
    ready = keep_secrets(ssl, *secrets_);
  }
  if (!ready) fail_with("cannot begin a handshake");
}

/// SSL_free takes a connection that was not shut down for a bad one and spoils its session. Mail clients and
/// we ourselves often just close.
SslConnection::~SslConnection() {
  if (ssl_ && !failed()) SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
}

Protection::Step SslConnection::step_of(int result) {
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_NONE:
      return Step::full;
    case SSL_ERROR_WANT_READ:
      return Step::more;
    case SSL_ERROR_ZERO_RETURN:
      return Step::ended;
    default:
      fail_with(take_reason());
      return Step::failed;
  }
}

Protection::Step SslConnection::shake(CipherText& text) {
  if (failed()) return Step::failed;
  ERR_clear_error();
  const std::size_t before = text.output.size();
  const Step step = step_of(SSL_do_handshake(ssl_.get()));
  // A server ends its handshake with the client's Finished, and all that it says then (its tickets) is under
  // its traffic secret (RFC 8446 §4.6.1).
  if (step == Step::full) sent_ = count_records(std::string_view(text.output).substr(before));
  return step;
}

TlsInfo SslConnection::info() const {
  const SSL* ssl = ssl_.get();
  TlsInfo info;
  info.protocol = SSL_get_version(ssl);
  info.cipher = SSL_get_cipher_name(ssl);
  info.bits = SSL_get_cipher_bits(ssl, nullptr);
  info.resumed = SSL_session_reused(ssl) == 1;
  if (const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name)) info.server_name = name;
  return info;
}

std::string SslConnection::handshake_reason() const {
  if (!ssl_ || is_server()) return reason();
  const long verified = SSL_get_verify_result(ssl_.get());
  return verified == X509_V_OK ? reason() : X509_verify_cert_error_string(verified);
}

std::unique_ptr<Protection> SslConnection::hand_over(std::uint64_t records_a_key) {
  if (failed() || !secrets_ || !speaks_tls_1_3() || holds_data()) return nullptr;
  // A few small clients ask for small records (RFC 6066 §4), and end a connection that has larger ones.
  if (SSL_SESSION_get_max_fragment_length(SSL_get_session(ssl_.get())) != TLSEXT_max_fragment_length_DISABLED)
    return nullptr;
  const Suite* const suite = find_suite(SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(ssl_.get())));
  if (suite == nullptr || secrets_->client.empty() || secrets_->server.empty()) return nullptr;
  return std::make_unique<RecordLayer>(*suite, *secrets_, sent_, records_a_key);
}

Protection::Step SslConnection::open(CipherText& /*text*/, std::span<char> room, std::size_t& size) {
  size = 0;
  Step step = failed() ? Step::failed : Step::full;
  while (step == Step::full && size < room.size()) {
    std::size_t count = 0;
    ERR_clear_error();
    step = step_of(SSL_read_ex(ssl_.get(), room.data() + size, room.size() - size, &count));
    size += count;
  }
  return step;
}

bool SslConnection::seal(CipherText& text, std::string_view data) {
  if (failed()) return false;
  // All records of a write: growing with each would copy the ones before.
  if (data.size() > kRecord) {
    text.output.reserve(text.output.size() + data.size() + (data.size() / kRecord + 1) * kRecordOverhead);
  }
  while (!data.empty()) {
    std::size_t count = 0;
    ERR_clear_error();
    if (SSL_write_ex(ssl_.get(), data.data(), data.size(), &count) != 1) {
      fail_with(take_reason());
      return false;
    }
    data.remove_prefix(count);
  }
  return true;
}

void SslConnection::end(CipherText& /*text*/) {
  if (failed()) return;
  ERR_clear_error();
  SSL_shutdown(ssl_.get());
}

}  // namespace kage::tls
