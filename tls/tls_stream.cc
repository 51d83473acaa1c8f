// The TLS stream: SSL works on views in the loop's shared buffers; only what does not fit is kept.
//
// Coroutines share the Core with the Stream, which may go while they wait. SSL_read can have something to
// send (an alert, a key update): it is collected with the rest and leaves in the order in which it was
// encrypted.
#include "tls/tls_stream.h"

#include <openssl/err.h>

#include <algorithm>

#include "base/log.h"
#include "net/prefixed_stream.h"
#include "tls/openssl.h"
#include "tls/view_bio.h"

namespace kage::tls {
namespace {

using net::Task;

constexpr std::size_t kWriteChunk = 64UL * 1024;
constexpr std::size_t kRecord = 16UL * 1024;    // RFC 8446 §5.1
constexpr std::size_t kRecordOverhead = 256UL;  // of the largest ciphers and then some

struct Core {
  net::StreamPtr lower;
  std::shared_ptr<const void> keep;
  CipherText text;      // outlives ssl
  std::string pending;  // ciphertext that came and was not read
  SslPtr ssl;
  net::Event written;
  bool writing = false;
  bool broken = false;
  std::string reason;  // why it is broken

  Core() = default;
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;
  /// SSL_free takes a connection that was not shut down for a bad one and spoils its session. Mail clients
  /// and we ourselves often just close.
  ~Core() {
    if (ssl && !broken) SSL_set_shutdown(ssl.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  }

  /// What SSL_do_handshake or SSL_read came to.
  enum class Step : std::uint8_t { done, want_read, ended, failed };

  Step step_of(int result) {
    switch (SSL_get_error(ssl.get(), result)) {
      case SSL_ERROR_NONE:
        return Step::done;
      case SSL_ERROR_WANT_READ:
        return Step::want_read;
      case SSL_ERROR_ZERO_RETURN:
        return Step::ended;
      default:
        broken = true;
        reason = take_reason();
        return Step::failed;
    }
  }

  /// Runs `work` on what is pending, and keeps what it left.
  template <class Work>
  auto with_pending(Work work) {
    const std::string source = std::exchange(pending, {});
    if (text.input.empty()) text.input = source;
    auto result = work();
    if (!text.input.empty()) pending.assign(text.input);
    text.input = {};
    return result;
  }

  Step shake() {
    return with_pending([this] {
      ERR_clear_error();
      return step_of(SSL_do_handshake(ssl.get()));
    });
  }

  /// Decrypts all there is into the loop's plain buffer.
  Step decrypt(std::string_view& plain) {
    return with_pending([this, &plain] {
      const auto room = lower->loop().plain_buffer();
      std::size_t size = 0;
      Step step = Step::done;
      while (step == Step::done && size < room.size()) {
        std::size_t count = 0;
        ERR_clear_error();
        step = step_of(SSL_read_ex(ssl.get(), room.data() + size, room.size() - size, &count));
        size += count;
      }
      plain = std::string_view(room.data(), size);
      return step;
    });
  }
};

using CorePtr = std::shared_ptr<Core>;

/// Sends what SSL has produced. While another coroutine is at it, waits for it first.
Task<Result<>> flush(CorePtr core) {
  while (core->writing || !core->text.output.empty()) {
    if (core->writing) {
      co_await core->written;
      continue;
    }
    core->writing = true;
    core->written.reset();
    const std::string batch = std::exchange(core->text.output, {});
    const auto sent = co_await core->lower->write(batch);
    core->writing = false;
    core->written.set();
    if (!sent) co_return sent;
  }
  co_return Result<>();
}

/// Gets more ciphertext for SSL.
Task<Result<>> receive(CorePtr core) {
  // Not while a write is under way: the peer may be waiting for us to read, and that write takes this along.
  if (!core->writing && !core->text.output.empty()) {
    const auto sent = co_await flush(core);
    if (!sent) co_return sent;
  }
  const auto bytes = co_await core->lower->read();
  if (!bytes) co_return std::unexpected(bytes.error());
  if (bytes->empty()) co_return fail(Errc::closed, "connection ended without close_notify");
  core->text.input = *bytes;
  co_return Result<>();
}

Task<Result<std::string_view>> read_plain(CorePtr core) {
  while (true) {
    std::string_view plain;
    const Core::Step step = core->broken ? Core::Step::failed : core->decrypt(plain);
    // Bytes that came before an error are given out, the error with the next call.
    if (!plain.empty() || step == Core::Step::ended) co_return plain;
    if (step == Core::Step::failed) {
      (void)co_await flush(core);  // the alert
      co_return fail(Errc::tls, core->reason);
    }
    const auto more = co_await receive(core);
    if (!more) co_return std::unexpected(more.error());
  }
}

Task<Result<>> write_plain(CorePtr core, std::string_view data) {
  while (!data.empty()) {
    if (core->broken) co_return fail(Errc::tls, core->reason);
    std::size_t count = 0;
    ERR_clear_error();
    const std::size_t size = std::min(data.size(), kWriteChunk);
    // All records of a write: growing with each would copy the ones before.
    if (size > kRecord) core->text.output.reserve(size + (size / kRecord + 1) * kRecordOverhead);
    if (SSL_write_ex(core->ssl.get(), data.data(), size, &count) != 1) {
      core->broken = true;
      core->reason = take_reason();
      co_return fail(Errc::tls, core->reason);
    }
    data.remove_prefix(count);
    const auto sent = co_await flush(core);
    if (!sent) co_return sent;
  }
  co_return Result<>();
}

Task<Result<>> shut_down(CorePtr core) {
  if (!core->broken) {
    ERR_clear_error();
    SSL_shutdown(core->ssl.get());
    const auto sent = co_await flush(core);
    if (!sent) co_return sent;
  }
  co_return co_await core->lower->shutdown();
}

class TlsStream final : public net::Stream {
 public:
  explicit TlsStream(CorePtr core) : core_(std::move(core)) {}
  ~TlsStream() override { core_->lower->close(); }
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  Task<Result<std::string_view>> read() override { return read_plain(core_); }
  Task<Result<>> readable() override {
    const bool ready = core_->broken || !core_->pending.empty() || !core_->text.output.empty() ||
                       SSL_has_pending(core_->ssl.get()) == 1;
    return ready ? Stream::readable() : core_->lower->readable();
  }
  Task<Result<>> write(std::string_view data) override { return write_plain(core_, data); }
  Task<Result<>> shutdown() override { return shut_down(core_); }
  void close() override { core_->lower->close(); }
  void set_deadline(std::optional<net::TimePoint> at) override { core_->lower->set_deadline(at); }
  net::Loop& loop() override { return core_->lower->loop(); }

  [[nodiscard]] TlsInfo info() const {
    const SSL* ssl = core_->ssl.get();
    TlsInfo info;
    info.protocol = SSL_get_version(ssl);
    info.cipher = SSL_get_cipher_name(ssl);
    info.bits = SSL_get_cipher_bits(ssl, nullptr);
    info.resumed = SSL_session_reused(ssl) == 1;
    if (const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name)) info.server_name = name;
    return info;
  }

 private:
  CorePtr core_;
};

/// Why the handshake failed, as far as an operator can do something about it.
Error handshake_error(const Core& core) {
  const long verified = SSL_get_verify_result(core.ssl.get());
  std::string reason = core.reason;
  if (SSL_is_server(core.ssl.get()) == 0 && verified != X509_V_OK) {
    reason = X509_verify_cert_error_string(verified);
  }
  return Error{Errc::tls, "handshake: " + reason};
}

Task<Result<net::StreamPtr>> shake_hands(net::StreamPtr lower, SSL* ssl, std::shared_ptr<const void> keep,
                                         net::TimePoint deadline) {
  auto core = std::make_shared<Core>();
  core->lower = std::move(lower);
  core->keep = std::move(keep);
  core->ssl.reset(ssl);
  if (ssl == nullptr || !attach(ssl, core->text)) co_return fail(Errc::tls, "cannot begin a handshake");
  core->lower->set_deadline(deadline);
  while (true) {
    const Core::Step step = core->shake();
    if (step == Core::Step::done) break;
    if (step != Core::Step::want_read) {
      const Error error = handshake_error(*core);
      (void)co_await flush(core);  // the alert
      core->lower->close();
      co_return std::unexpected(error);
    }
    const auto more = co_await receive(core);
    if (!more) {
      core->lower->close();
      co_return std::unexpected(more.error());
    }
  }
  // The peer waits for our Finished. Only a TLS 1.3 server has said it before; its tickets can go with the
  // first write, or before the first read.
  if (SSL_is_server(ssl) == 0 || SSL_version(ssl) < TLS1_3_VERSION) {
    const auto sent = co_await flush(core);
    if (!sent) co_return std::unexpected(sent.error());
  }
  core->lower->set_deadline(std::nullopt);
  co_return std::make_unique<TlsStream>(std::move(core));
}

}  // namespace

Task<Result<net::StreamPtr>> accept_tls(net::StreamPtr lower, std::shared_ptr<ServerContext> context,
                                        net::TimePoint deadline) {
  auto connection = context->connection();
  co_return co_await shake_hands(std::move(lower), connection.ssl, std::move(connection.keep), deadline);
}

Task<bool> secure_session(net::StreamPtr& stream, net::BufferedReader& reader,
                          std::shared_ptr<ServerContext> context, net::TimePoint deadline) {
  std::string early(reader.buffered());  // behind a PROXY header the handshake may have begun already
  reader.discard();
  auto lower = std::move(stream);
  if (!early.empty()) lower = std::make_unique<net::PrefixedStream>(std::move(lower), std::move(early));
  auto secured = co_await accept_tls(std::move(lower), std::move(context), deadline);
  if (!secured) {
    log::debug("tls.failed", {{"reason", to_string(secured.error().code)}});
    co_return false;
  }
  stream = std::move(*secured);
  reader.reset(*stream);
  co_return true;
}

Task<Result<net::StreamPtr>> connect_tls(net::StreamPtr lower, std::shared_ptr<ClientContext> context,
                                         std::string host, net::TimePoint deadline) {
  auto connection = context->connection(host);
  co_return co_await shake_hands(std::move(lower), connection.ssl, std::move(connection.keep), deadline);
}

std::optional<TlsInfo> tls_info(const net::Stream& stream) {
  const auto* tls = dynamic_cast<const TlsStream*>(&stream);
  if (tls == nullptr) return std::nullopt;
  return tls->info();
}

}  // namespace kage::tls
