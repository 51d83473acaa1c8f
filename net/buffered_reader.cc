// Lines and chunks on a Stream, handed out where they lie.
#include "net/buffered_reader.h"

#include <utility>

#include "net/shared_buffer.h"

namespace kage::net {

void BufferedReader::forget() {
  if (landlord_ != nullptr) std::exchange(landlord_, nullptr)->leave(*this);
  lent_ = {};
  offset_ = 0;
  std::string().swap(held_);
}

void BufferedReader::release() {
  if (buffered().empty()) forget();
}

void BufferedReader::move_out() {
  landlord_ = nullptr;
  held_.assign(std::exchange(lent_, {}));
  offset_ = 0;
}

void BufferedReader::consume(std::size_t count) {
  if (landlord_ == nullptr) {
    offset_ += count;
    return;
  }
  lent_.remove_prefix(count);
  if (lent_.empty()) std::exchange(landlord_, nullptr)->leave(*this);
}

void BufferedReader::hold(std::string_view bytes) {
  if (landlord_ != nullptr) {
    landlord_->leave(*this);
    move_out();
  }
  if (offset_ > 0) held_.erase(0, offset_);
  offset_ = 0;
  held_.append(bytes);
}

void BufferedReader::keep(std::string_view bytes) {
  if (bytes.empty()) return;
  SharedBuffer* buffer = buffered().empty() ? stream_->loop().buffer_of(bytes) : nullptr;
  if (buffer == nullptr) {
    hold(bytes);
    return;
  }
  forget();
  buffer->settle(*this);
  landlord_ = buffer;
  lent_ = bytes;
}

Task<Result<bool>> BufferedReader::fill() {
  const auto bytes = co_await stream_->read();
  if (!bytes) co_return std::unexpected(bytes.error());
  hold(*bytes);
  co_return !bytes->empty();
}

std::string_view BufferedReader::strip(std::string_view line) {
  line.remove_suffix(1);
  bare_lf_ = !line.ends_with('\r');
  if (!bare_lf_) line.remove_suffix(1);
  return line;
}

bool BufferedReader::take_line(std::size_t max_octets, std::string_view& line) {
  const std::size_t end = buffered().find('\n');
  if (end >= max_octets) return false;
  line = strip(buffered().substr(0, end + 1));
  consume(end + 1);
  return true;
}

Prompt<Result<std::string_view>> BufferedReader::line(std::size_t max_octets) {
  std::string_view found;
  if (take_line(max_octets, found)) return Result<std::string_view>(found);
  return read_line(max_octets);
}

Task<Result<std::string_view>> BufferedReader::read_line(std::size_t max_octets) {
  release();
  std::size_t scanned = 0;
  while (true) {
    std::string_view found;
    const std::size_t end = buffered().find('\n', scanned);
    if (end != std::string_view::npos && take_line(max_octets, found)) co_return found;
    scanned = buffered().size();
    if (end != std::string_view::npos || scanned >= max_octets) co_return fail(Errc::limit, "line too long");

    const auto bytes = co_await stream_->read();
    if (!bytes) co_return std::unexpected(bytes.error());
    if (bytes->empty()) co_return fail(Errc::closed, "end of stream");
    keep(*bytes);
  }
}

Task<Result<>> BufferedReader::skip_line(std::size_t max_octets) {
  std::size_t dropped = 0;
  while (true) {
    const std::string_view bytes = buffered();
    const std::size_t lf = bytes.find('\n');
    const std::size_t count = lf == std::string_view::npos ? bytes.size() : lf + 1;
    consume(count);
    dropped += count;
    if (dropped > max_octets) co_return fail(Errc::limit, "line too long");
    if (lf != std::string_view::npos) co_return Result<>();
    release();
    const auto more = co_await fill();
    if (!more) co_return std::unexpected(more.error());
    if (!*more) co_return fail(Errc::closed, "end of stream");
  }
}

std::string_view BufferedReader::take(std::uint64_t max_octets) {
  const std::string_view bytes = buffered().substr(0, max_octets);
  consume(bytes.size());
  return bytes;
}

Prompt<Result<std::string_view>> BufferedReader::chunk() {
  const std::string_view bytes = take(buffered().size());
  if (!bytes.empty()) return Result<std::string_view>(bytes);
  release();
  return stream_->read();
}

Prompt<Result<std::string_view>> BufferedReader::some(std::uint64_t max_octets) {
  const std::string_view there = take(max_octets);
  if (!there.empty()) return Result<std::string_view>(there);
  return read_some(max_octets);
}

Task<Result<std::string_view>> BufferedReader::read_some(std::uint64_t max_octets) {
  release();
  const auto bytes = co_await stream_->read();
  if (!bytes) co_return bytes;
  if (bytes->empty()) co_return fail(Errc::closed, "end of stream");
  const std::string_view wanted = bytes->substr(0, max_octets);
  keep(bytes->substr(wanted.size()));
  co_return wanted;
}

void BufferedReader::unread(std::string_view tail) {
  if (tail.empty()) return;
  if (landlord_ == nullptr && lies_within(tail, held_)) {
    offset_ = static_cast<std::size_t>(tail.data() - held_.data());
    return;
  }
  if (buffered().empty()) {
    keep(tail);
    return;
  }
  std::string joined;
  joined.reserve(tail.size() + buffered().size());
  joined.append(tail).append(buffered());
  forget();
  held_ = std::move(joined);
}

void BufferedReader::discard() {
  forget();
}

void BufferedReader::reset(Stream& stream) {
  discard();
  stream_ = &stream;
}

}  // namespace kage::net
