// zlib between a Stream and its user. Coroutines share the Core with the Stream, which may go while they
// wait.
#include "net/deflate_stream.h"

#include <zlib.h>

#include <coroutine>
#include <cstdlib>
#include <memory>
#include <utility>

#include "net/shared_buffer.h"

namespace kage::net {
namespace {

constexpr int kInflateWindow = -15;  // raw; the peer may refer to 32 KiB back (RFC 1951 §3.2.5)
constexpr int kDeflateWindow = -13;  // ours: 32 KiB for the window, 32 KiB for hash and pending symbols
constexpr int kDeflateMemory = 6;
constexpr std::size_t kChunk = 64UL * 1024;  // of a write that is compressed before it leaves

std::size_t* counter_of(void* opaque) {
  return static_cast<std::size_t*>(opaque);
}

/// Counts what zlib holds; the size stands in front of each piece.
void* counted_alloc(void* opaque, unsigned items, unsigned size) {
  constexpr std::size_t kFront = alignof(std::max_align_t);
  const std::size_t octets = kFront + (std::size_t{items} * size);
  auto* piece = static_cast<char*>(std::malloc(octets));
  if (piece == nullptr) return nullptr;
  *reinterpret_cast<std::size_t*>(piece) = octets;
  *counter_of(opaque) += octets;
  return piece + kFront;
}
void counted_free(void* opaque, void* memory) {
  auto* piece = static_cast<char*>(memory) - alignof(std::max_align_t);
  *counter_of(opaque) -= *reinterpret_cast<std::size_t*>(piece);
  std::free(piece);
}

template <int (*End)(z_stream*)>
struct EndZ {
  void operator()(z_stream* z) const {
    End(z);
    delete z;
  }
};
using Packer = std::unique_ptr<z_stream, EndZ<deflateEnd>>;
using Unpacker = std::unique_ptr<z_stream, EndZ<inflateEnd>>;

Bytef* octets(const char* data) {
  return reinterpret_cast<Bytef*>(const_cast<char*>(data));
}

class Core {
 public:
  Core(StreamPtr stream, std::string already_read, Millis idle)
      : lower(std::move(stream)), held_(std::move(already_read)), idle_(idle), timer_(lower->loop()) {}

  StreamPtr lower;
  bool closed = false;

  void close() {
    closed = true;
    lower->close();
  }
  /// Whether there may be something to give, if only an error, without reading.
  [[nodiscard]] bool has_input() const { return broken_ || more_ || held_at_ < held_.size(); }
  [[nodiscard]] bool ended() const { return ended_; }
  Result<std::string_view> unpack_held();
  Result<std::string_view> unpack(std::string_view input);
  Result<> pack(std::string_view data, std::string& packed);
  [[nodiscard]] std::size_t memory() const { return memory_ + held_.capacity() + dictionary_.capacity(); }

 private:
  bool begin_unpacking();
  void touch();
  void on_timer();
  void release();

  std::size_t memory_ = 0;  // before the z_streams, which count in it until they are gone
  Packer packer_;
  Unpacker unpacker_;
  std::string dictionary_;  ///< while there is no unpacker: what it had seen last
  std::string held_;        ///< compressed octets that one read did not use up
  std::size_t held_at_ = 0;
  bool more_ = false;  ///< zlib has output that did not fit
  bool ended_ = false;
  bool broken_ = false;
  Millis idle_;
  TimePoint used_{};
  bool armed_ = false;
  Timer timer_;
};

bool Core::begin_unpacking() {
  if (unpacker_) return true;
  auto z = std::make_unique<z_stream>();
  z->zalloc = counted_alloc;
  z->zfree = counted_free;
  z->opaque = &memory_;
  if (inflateInit2(z.get(), kInflateWindow) != Z_OK) return false;
  unpacker_.reset(z.release());
  if (dictionary_.empty()) return true;
  const std::string dictionary = std::exchange(dictionary_, {});
  const auto size = static_cast<uInt>(dictionary.size());
  return inflateSetDictionary(unpacker_.get(), octets(dictionary.data()), size) == Z_OK;
}

/// One buffer of output at most. What is left of `input` has to be kept by the caller: next_in tells.
Result<std::string_view> Core::unpack(std::string_view input) {
  touch();
  if (broken_ || !begin_unpacking()) return fail(Errc::protocol, "no deflate stream");
  // The one of the loop's buffers that `input` does not lie in.
  Loop& loop = lower->loop();
  const auto room = loop.is_plain(input) ? loop.read_buffer() : loop.plain_buffer();
  z_stream& z = *unpacker_;
  z.next_in = octets(input.data());
  z.avail_in = static_cast<uInt>(input.size());
  z.next_out = octets(room.data());
  z.avail_out = static_cast<uInt>(room.size());
  const int status = inflate(&z, Z_SYNC_FLUSH);
  more_ = z.avail_out == 0;
  ended_ = status == Z_STREAM_END;
  broken_ = status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR;
  const std::string_view left = input.substr(input.size() - z.avail_in);
  if (ended_ || broken_) {
    more_ = false;
    held_at_ = held_.size();
  } else if (lies_within(left, held_)) {
    held_at_ = held_.size() - left.size();
  } else {
    held_.assign(left);
    held_at_ = 0;
  }
  if (held_at_ == held_.size()) {
    std::string().swap(held_);
    held_at_ = 0;
  }
  const std::string_view plain(room.data(), room.size() - z.avail_out);
  if (broken_ && plain.empty()) return fail(Errc::protocol, "no deflate stream");
  return plain;
}

Result<std::string_view> Core::unpack_held() {
  return unpack(std::string_view(held_).substr(held_at_));
}

Result<> Core::pack(std::string_view data, std::string& packed) {
  touch();
  if (!packer_) {
    auto fresh = std::make_unique<z_stream>();
    fresh->zalloc = counted_alloc;
    fresh->zfree = counted_free;
    fresh->opaque = &memory_;
    const int status = deflateInit2(fresh.get(), Z_BEST_SPEED, Z_DEFLATED, kDeflateWindow, kDeflateMemory,
                                    Z_DEFAULT_STRATEGY);
    if (status != Z_OK) return fail(Errc::limit, "no memory to compress");
    packer_.reset(fresh.release());
  }
  z_stream& z = *packer_;
  z.next_in = octets(data.data());
  z.avail_in = static_cast<uInt>(data.size());
  std::size_t size = 0;
  do {  // zlib asks for more room than six octets each time it flushes
    const std::size_t room = deflateBound(&z, z.avail_in) + 64;
    packed.resize(size + room);
    z.next_out = octets(packed.data() + size);
    z.avail_out = static_cast<uInt>(room);
    if (deflate(&z, Z_SYNC_FLUSH) == Z_STREAM_ERROR) return fail(Errc::invalid, "compression failed");
    size += room - z.avail_out;
  } while (z.avail_out == 0);
  packed.resize(size);
  return {};
}

void Core::touch() {
  used_ = lower->loop().now();
  if (armed_) return;
  armed_ = true;
  timer_.start(idle_, [this] { on_timer(); });
}

void Core::on_timer() {
  armed_ = false;
  const Millis unused = lower->loop().now() - used_;
  if (unused >= idle_) {
    release();
    return;
  }
  armed_ = true;
  timer_.start(idle_ - unused, [this] { on_timer(); });
}

/// Between writes the compressor stands at an octet's end behind a flush: a new one can go on there, since
/// raw deflate is nothing but blocks. The decompressor can be given up between two blocks, at an octet's end;
/// its last 32 KiB of output are kept.
void Core::release() {
  packer_.reset();
  constexpr int kBetweenBlocks = 128;  // zlib.h on inflate(): with the number of unused bits, 0
  if (!unpacker_ || has_input() || unpacker_->data_type != kBetweenBlocks) return;
  uInt size = 0;
  if (inflateGetDictionary(unpacker_.get(), nullptr, &size) != Z_OK) return;
  std::string dictionary(size, '\0');
  if (inflateGetDictionary(unpacker_.get(), octets(dictionary.data()), &size) != Z_OK) return;
  dictionary_ = std::move(dictionary);
  unpacker_.reset();
}

using CorePtr = std::shared_ptr<Core>;

/// Suspends until the loop has looked at others.
struct Turn {
  Loop& loop;

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiter) const {
    loop.defer([waiter] { waiter.resume(); });
  }
  void await_resume() const noexcept {}
};

Task<Result<std::string_view>> read_plain(CorePtr core) {
  while (!core->ended()) {
    auto plain = Result<std::string_view>();
    if (core->has_input()) {
      // What one read of the lower stream brought can be a thousand times as large.
      co_await Turn{core->lower->loop()};
      if (core->closed) co_return fail(Errc::closed);
      plain = core->unpack_held();
    } else {
      const auto bytes = co_await core->lower->read();
      if (!bytes || bytes->empty()) co_return bytes;
      plain = core->unpack(*bytes);
    }
    if (!plain || !plain->empty()) co_return plain;
  }
  co_return std::string_view();
}

Task<Result<>> write_packed(CorePtr core, std::string_view data) {
  while (!data.empty()) {
    const std::string_view chunk = data.substr(0, kChunk);
    data.remove_prefix(chunk.size());
    std::string packed;
    const auto ready = core->pack(chunk, packed);
    if (!ready) co_return ready;
    const auto sent = co_await core->lower->write(packed);
    if (!sent) co_return sent;
  }
  co_return Result<>();
}

Task<Result<>> shut_down(CorePtr core) {
  co_return co_await core->lower->shutdown();
}

class DeflateStream final : public Stream {
 public:
  explicit DeflateStream(CorePtr core) : core_(std::move(core)) {}
  ~DeflateStream() override { core_->close(); }
  DeflateStream(const DeflateStream&) = delete;
  DeflateStream& operator=(const DeflateStream&) = delete;

  Task<Result<std::string_view>> read() override { return read_plain(core_); }
  Task<Result<>> readable() override {
    return core_->has_input() || core_->ended() ? Stream::readable() : core_->lower->readable();
  }
  Task<Result<>> write(std::string_view data) override { return write_packed(core_, data); }
  Task<Result<>> shutdown() override { return shut_down(core_); }
  void close() override { core_->close(); }
  void set_deadline(std::optional<TimePoint> at) override { core_->lower->set_deadline(at); }
  Loop& loop() override { return core_->lower->loop(); }

  [[nodiscard]] std::size_t memory() const { return core_->memory(); }

 private:
  CorePtr core_;
};

}  // namespace

StreamPtr make_deflate_stream(StreamPtr lower, std::string already_read, Millis idle) {
  auto core = std::make_shared<Core>(std::move(lower), std::move(already_read), idle);
  return std::make_unique<DeflateStream>(std::move(core));
}

std::optional<std::size_t> deflate_memory(const Stream& stream) {
  const auto* deflate = dynamic_cast<const DeflateStream*>(&stream);
  if (deflate == nullptr) return std::nullopt;
  return deflate->memory();
}

}  // namespace kage::net
