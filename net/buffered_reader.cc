// Lines and chunks on a Stream. A whole line that arrived in one read is handed out where it lies; only what
// remains behind it is copied.
#include "net/buffered_reader.h"

#include <functional>

namespace kage::net {
namespace {

bool lies_within(std::string_view part, std::string_view whole) {
  const std::less_equal<const char*> le;
  return le(whole.data(), part.data()) && le(part.data() + part.size(), whole.data() + whole.size());
}

}  // namespace

void BufferedReader::release() {
  if (offset_ < held_.size()) return;
  offset_ = 0;
  std::string().swap(held_);
}

void BufferedReader::hold(std::string_view bytes) {
  if (offset_ > 0) held_.erase(0, offset_);
  offset_ = 0;
  held_.append(bytes);
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

Task<Result<std::string_view>> BufferedReader::line(std::size_t max_octets) {
  release();
  std::size_t scanned = 0;
  while (true) {
    const std::size_t end = buffered().find('\n', scanned);
    if (end != std::string_view::npos && end < max_octets) {
      const std::string_view found = buffered().substr(0, end + 1);
      offset_ += found.size();
      co_return strip(found);
    }
    scanned = buffered().size();
    if (end != std::string_view::npos || scanned >= max_octets) co_return fail(Errc::limit, "line too long");

    const auto bytes = co_await stream_->read();
    if (!bytes) co_return std::unexpected(bytes.error());
    if (bytes->empty()) co_return fail(Errc::closed, "end of stream");
    const std::size_t lf = scanned == 0 ? bytes->find('\n') : std::string_view::npos;
    if (lf == std::string_view::npos || lf >= max_octets) {
      hold(*bytes);
      continue;
    }
    hold(bytes->substr(lf + 1));
    co_return strip(bytes->substr(0, lf + 1));
  }
}

Task<Result<>> BufferedReader::skip_line(std::size_t max_octets) {
  std::size_t dropped = 0;
  while (true) {
    const std::string_view bytes = buffered();
    const std::size_t lf = bytes.find('\n');
    const std::size_t count = lf == std::string_view::npos ? bytes.size() : lf + 1;
    offset_ += count;
    dropped += count;
    if (dropped > max_octets) co_return fail(Errc::limit, "line too long");
    if (lf != std::string_view::npos) co_return Result<>();
    release();
    const auto more = co_await fill();
    if (!more) co_return std::unexpected(more.error());
    if (!*more) co_return fail(Errc::closed, "end of stream");
  }
}

Task<Result<std::string_view>> BufferedReader::chunk() {
  release();
  if (offset_ < held_.size()) {
    const std::string_view bytes = buffered();
    offset_ = held_.size();
    co_return bytes;
  }
  co_return co_await stream_->read();
}

void BufferedReader::unread(std::string_view tail) {
  if (tail.empty()) return;
  if (lies_within(tail, held_)) {
    offset_ = static_cast<std::size_t>(tail.data() - held_.data());
    return;
  }
  std::string joined;
  joined.reserve(tail.size() + buffered().size());
  joined.append(tail).append(buffered());
  held_ = std::move(joined);
  offset_ = 0;
}

void BufferedReader::discard() {
  offset_ = held_.size();
  release();
}

void BufferedReader::reset(Stream& stream) {
  discard();
  stream_ = &stream;
}

}  // namespace kage::net
