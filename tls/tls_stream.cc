// The TLS stream: ciphertext and plaintext are views in the loop's shared buffers; only what does not fit is
// kept.
//
// Coroutines share the Core with the Stream, which may go while they wait. Opening can have something to send
// (an alert, a key update): it is collected with the rest and leaves in the order in which it was encrypted.
#include "tls/tls_stream.h"

#include <algorithm>

#include "base/log.h"
#include "net/prefixed_stream.h"
#include "tls/ssl_connection.h"

namespace kage::tls {
namespace {

using net::Task;
using Step = Protection::Step;

constexpr std::size_t kWriteChunk = 64UL * 1024;

struct Core {
  net::StreamPtr lower;
  CipherText text;      // outlives what protects it
  std::string pending;  // ciphertext that came and was not read
  std::unique_ptr<Protection> protection;
  net::Event written;
  bool writing = false;

  /// Runs `work` on what is pending, and keeps what it left.
  template <class Work>
  Step with_pending(Work work) {
    const std::string source = std::exchange(pending, {});
    if (text.input.empty()) text.input = source;
    const Step step = work();
    if (!text.input.empty()) pending.assign(text.input);
    text.input = {};
    return step;
  }

  /// Where nothing is under way that the one at work alone could end.
  void hand_over() {
    if (auto next = protection->hand_over()) protection = std::move(next);
  }

  /// Decrypts all there is into the loop's plain buffer.
  Step open(std::string_view& plain) {
    return with_pending([this, &plain] {
      const auto room = lower->loop().plain_buffer();
      std::size_t size = 0;
      const Step step = protection->open(text, room, size);
      plain = std::string_view(room.data(), size);
      return step;
    });
  }
};

using CorePtr = std::shared_ptr<Core>;

/// Sends what there is to send. While another coroutine is at it, waits for it first.
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

/// Gets more ciphertext.
Task<Result<>> receive(CorePtr core) {
  // Not while a write is under way: the peer may be waiting for us to read, and that write takes this along.
  if (!core->writing && !core->text.output.empty()) {
    const auto sent = co_await flush(core);
    if (!sent) co_return sent;
  }
  core->hand_over();
  const auto bytes = co_await core->lower->read();
  if (!bytes) co_return std::unexpected(bytes.error());
  if (bytes->empty()) co_return fail(Errc::closed, "connection ended without close_notify");
  core->text.input = *bytes;
  co_return Result<>();
}

Task<Result<std::string_view>> read_plain(CorePtr core) {
  while (true) {
    std::string_view plain;
    const Step step = core->open(plain);
    // Bytes that came before an error are given out, the error with the next call.
    if (!plain.empty() || step == Step::ended) co_return plain;
    if (step == Step::failed) {
      (void)co_await flush(core);  // the alert
      co_return fail(Errc::tls, core->protection->reason());
    }
    const auto more = co_await receive(core);
    if (!more) co_return std::unexpected(more.error());
  }
}

Task<Result<>> write_plain(CorePtr core, std::string_view data) {
  while (!data.empty()) {
    const std::string_view chunk = data.substr(0, kWriteChunk);
    if (!core->protection->seal(core->text, chunk)) co_return fail(Errc::tls, core->protection->reason());
    data.remove_prefix(chunk.size());
    const auto sent = co_await flush(core);
    if (!sent) co_return sent;
  }
  co_return Result<>();
}

Task<Result<>> shut_down(CorePtr core) {
  core->protection->end(core->text);
  const auto sent = co_await flush(core);
  if (!sent) co_return sent;
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
    const bool ready = core_->protection->failed() || !core_->pending.empty() ||
                       !core_->text.output.empty() || core_->protection->holds_data();
    if (ready) return Stream::readable();
    core_->hand_over();
    core_->protection->rest();
    return core_->lower->readable();
  }
  Task<Result<>> write(std::string_view data) override { return write_plain(core_, data); }
  [[nodiscard]] bool peer_ended() const override { return core_->lower->peer_ended(); }
  Task<Result<>> shutdown() override { return shut_down(core_); }
  void close() override { core_->lower->close(); }
  void set_deadline(std::optional<net::TimePoint> at) override { core_->lower->set_deadline(at); }
  net::Loop& loop() override { return core_->lower->loop(); }

 private:
  CorePtr core_;
};

Task<Result<net::StreamPtr>> shake_hands(net::StreamPtr lower, SSL* ssl, std::shared_ptr<const void> keep,
                                         net::TimePoint deadline) {
  auto core = std::make_shared<Core>();
  core->lower = std::move(lower);
  auto made = std::make_unique<SslConnection>(ssl, std::move(keep), core->text);
  SslConnection& connection = *made;
  core->protection = std::move(made);
  if (connection.failed()) co_return fail(Errc::tls, connection.reason());
  core->lower->set_deadline(deadline);
  while (true) {
    const Step step = core->with_pending([&] { return connection.shake(core->text); });
    if (step == Step::full) break;
    if (step != Step::more) {
      const std::string reason = connection.handshake_reason();
      (void)co_await flush(core);  // the alert
      core->lower->close();
      co_return fail(Errc::tls, "handshake: " + reason);
    }
    const auto more = co_await receive(core);
    if (!more) {
      core->lower->close();
      co_return std::unexpected(more.error());
    }
  }
  const bool is_urgent = !connection.is_server() || !connection.speaks_tls_1_3();
  core->hand_over();
  // The peer waits for our Finished. Only a TLS 1.3 server has said it before; its tickets can go with the
  // first write, or before the first read.
  if (is_urgent) {
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

}  // namespace kage::tls
