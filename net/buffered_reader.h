// Lines and bulk bytes from a Stream, with a bound on what is held.
//
// What a read left over stays in the loop's shared buffer until another read needs that; only what is not
// used by then is copied. Between two commands of an idle peer it owns no buffer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "net/prompt.h"
#include "net/shared_buffer.h"
#include "net/stream.h"

namespace kage::net {

class BufferedReader final : private SharedBuffer::Tenant {
 public:
  explicit BufferedReader(Stream& stream) : stream_(&stream) {}
  ~BufferedReader() { forget(); }
  BufferedReader(const BufferedReader&) = delete;
  BufferedReader& operator=(const BufferedReader&) = delete;

  /// The next line, without its line end. A line ends with LF; a CR before it is removed, and `bare_lf()`
  /// tells whether there was none. Longer than `max_octets` (line end included): Errc::limit, and the rest of
  /// that line is skipped by the next call of skip_line(). End of stream: Errc::closed. The view is valid
  /// until the next call on this reader or the next suspension.
  Prompt<Result<std::string_view>> line(std::size_t max_octets);

  /// The same for a line that is there already. False: there is none, or it is too long; line() tells.
  bool take_line(std::size_t max_octets, std::string_view& line);

  /// After Errc::limit: drops bytes up to and with the next LF, at most `max_octets` of them.
  Task<Result<>> skip_line(std::size_t max_octets);

  [[nodiscard]] bool bare_lf() const { return bare_lf_; }

  /// The next bytes, whatever they are: first what is buffered, then what the stream gives. Empty: end of
  /// stream. Valid until the next call or suspension; unconsumed bytes go back with unread().
  Prompt<Result<std::string_view>> chunk();

  /// The next bytes, at least one and at most as many. Errc::closed: end of stream. Valid as those of
  /// chunk().
  Prompt<Result<std::string_view>> some(std::uint64_t max_octets);

  /// At most as many bytes of those that are there already; empty: there are none. Valid as those of chunk().
  std::string_view take(std::uint64_t max_octets);

  /// Gives back the tail of the last chunk, to be read again. It may lie in the loop's shared buffer.
  void unread(std::string_view tail);

  /// Bytes that are there without touching the stream.
  [[nodiscard]] std::string_view buffered() const {
    return landlord_ != nullptr ? lent_ : std::string_view(held_).substr(offset_);
  }

  /// True when a whole line can be had without touching the stream: replies are then not flushed yet
  /// (RFC 2920 §3.1).
  [[nodiscard]] bool has_line() const { return buffered().find('\n') != std::string_view::npos; }

  /// Forgets what is buffered. STARTTLS: nothing from before the handshake is used after it (RFC 3207 §4.2).
  void discard();

  /// Goes on with another stream (after STARTTLS). What is buffered is discarded.
  void reset(Stream& stream);

 private:
  Task<Result<std::string_view>> read_line(std::size_t max_octets);
  Task<Result<std::string_view>> read_some(std::uint64_t max_octets);
  Task<Result<bool>> fill();          // false: end of stream
  void hold(std::string_view bytes);  // behind what is buffered
  void keep(std::string_view bytes);  // the same for what may stay where it lies
  void consume(std::size_t count);
  void release();  // gives the memory back when all of it was handed out
  void forget();
  void move_out() override;
  std::string_view strip(std::string_view line);

  Stream* stream_;
  // What is buffered lies in one of two places: `lent_` in the landlord's buffer, or `held_` from `offset_`
  // on.
  SharedBuffer* landlord_ = nullptr;
  std::string_view lent_;
  std::string held_;
  std::size_t offset_ = 0;
  bool bare_lf_ = false;
};

}  // namespace kage::net
