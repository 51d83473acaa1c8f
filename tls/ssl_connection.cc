// OpenSSL's calls, with views instead of sockets.
#include "tls/ssl_connection.h"

#include <openssl/err.h>

#include <algorithm>
#include <utility>

namespace kage::tls {
namespace {

constexpr std::size_t kRecord = 16UL * 1024;    // RFC 8446 §5.1
constexpr std::size_t kRecordOverhead = 256UL;  // of the largest ciphers and then some
constexpr std::size_t kMaxHeldBack = 256UL * 1024;

}  // namespace

void RecordCounter::add(std::string_view stream) {
  constexpr unsigned char kApplicationData = 23;
  while (!stream.empty()) {
    if (left_ == 0) {
      header_[header_size_++] = static_cast<unsigned char>(stream.front());
      stream.remove_prefix(1);
      if (header_size_ < kHeader) continue;
      header_size_ = 0;
      left_ = static_cast<std::size_t>(header_[3]) << 8U | header_[4];
      if (header_[0] == kApplicationData) ++count_;
    }
    const std::size_t count = std::min(left_, stream.size());
    left_ -= count;
    stream.remove_prefix(count);
  }
}

SslConnection::SslConnection(SSL* ssl, std::shared_ptr<const void> keep, CipherText& text)
    : keep_(std::move(keep)), ssl_(ssl) {
  if (ssl == nullptr || !attach(ssl, text) || !keep_secrets(ssl, secrets_)) {
    fail_with("cannot begin a handshake");
    return;
  }
  SSL_set_msg_callback(ssl, watch);
  SSL_set_msg_callback_arg(ssl, this);
}

void SslConnection::watch(int /*write*/, int /*version*/, int type, const void* message, std::size_t size,
                          SSL* /*ssl*/, void* self) {
  const auto* const octets = static_cast<const unsigned char*>(message);
  if (type == SSL3_RT_HANDSHAKE && size > 0 && octets[0] == SSL3_MT_KEY_UPDATE)
    static_cast<SslConnection*>(self)->secrets_ = {};
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
  const bool had_secret = !secrets_.server.empty();
  const Step step = step_of(SSL_do_handshake(ssl_.get()));
  // A server has its traffic secret with its Finished, which ends what it says in that step; what it says
  // behind that (its tickets) is under the secret (RFC 8446 §4.4.4). A client's last word is its Finished,
  // which is not.
  if (had_secret && is_server()) sent_.add(std::string_view(text.output).substr(before));
  shaken_ = step == Step::full;
  return step;
}

std::string SslConnection::handshake_reason() const {
  if (!ssl_ || is_server()) return reason();
  const long verified = SSL_get_verify_result(ssl_.get());
  return verified == X509_V_OK ? reason() : X509_verify_cert_error_string(verified);
}

/// A few small clients ask for small records (RFC 6066 §4), and end a connection that has larger ones.
/// OpenSSL 3.0 does not agree to the other way to ask for them (RFC 8449).
bool SslConnection::wants_small_records() const {
  const auto asked = SSL_SESSION_get_max_fragment_length(SSL_get_session(ssl_.get()));
  return asked >= TLSEXT_max_fragment_length_512 && asked <= TLSEXT_max_fragment_length_4096;
}

std::unique_ptr<Protection> SslConnection::hand_over(std::uint64_t records_a_key) {
  if (failed() || !shaken_ || !speaks_tls_1_3() || SSL_get_shutdown(ssl_.get()) != 0) return nullptr;
  if (is_amid_message() || holds_data() || !received_.is_whole()) return nullptr;
  if (!(is_server() || has_data_) || wants_small_records()) return nullptr;
  const Suite* const suite = find_suite(SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(ssl_.get())));
  if (suite == nullptr || secrets_.client.empty() || secrets_.server.empty()) return nullptr;
  return std::make_unique<RecordLayer>(
      *suite, secrets_, is_server() ? RecordLayer::Role::server : RecordLayer::Role::client,
      RecordLayer::Progress{sent_.count(), received_.count()}, records_a_key);
}

Protection::Step SslConnection::open(CipherText& text, std::span<char> room, std::size_t& size) {
  size = 0;
  Step step = failed() ? Step::failed : Step::full;
  const std::string_view before = text.input;
  const std::size_t sent = text.output.size();
  while (step == Step::full && size < room.size()) {
    std::size_t count = 0;
    ERR_clear_error();
    step = step_of(SSL_read_ex(ssl_.get(), room.data() + size, room.size() - size, &count));
    size += count;
  }
  has_data_ = has_data_ || size > 0;
  received_.add(before.substr(0, before.size() - text.input.size()));
  sent_.add(std::string_view(text.output).substr(sent));
  const bool releases = !held_back_.empty() && !failed() && !is_amid_message();
  return releases && !seal(text, std::exchange(held_back_, {})) ? Step::failed : step;
}

bool SslConnection::seal(CipherText& text, std::string_view data) {
  if (failed()) return false;
  if (is_amid_message()) {
    if (data.size() > kMaxHeldBack - held_back_.size()) {
      fail_with("a handshake message does not come to its end");
      return false;
    }
    held_back_ += data;
    return true;
  }
  const std::size_t before = text.output.size();
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
  sent_.add(std::string_view(text.output).substr(before));
  return true;
}

void SslConnection::end(CipherText& /*text*/) {
  if (failed()) return;
  ERR_clear_error();
  SSL_shutdown(ssl_.get());
}

}  // namespace kage::tls
