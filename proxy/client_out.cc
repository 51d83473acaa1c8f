// Small writes are gathered into few large ones.
#include "proxy/client_out.h"

#include <iterator>
#include <utility>

namespace kage::proxy {

void ClientOut::need(const mapping::Routes& routes, std::vector<mapping::PhantomWrite> fresh) {
  if (fresh.empty()) return;
  // Members of an older snapshot die with it: what was gathered under it must not be stored under another.
  if (routes_ != routes) {
    stale_ = stale_ || !fresh_.empty();
    routes_ = routes;
  }
  fresh_.insert(fresh_.end(), std::make_move_iterator(fresh.begin()), std::make_move_iterator(fresh.end()));
}

void ClientOut::add_bulk(std::string_view octets) {
  while (!octets.empty()) {
    // Growing step by step would copy bulk twice.
    buffer_.reserve(kBlock);
    const std::string_view part = octets.substr(0, kBlock - buffer_.size());
    buffer_ += part;
    octets.remove_prefix(part.size());
    if (buffer_.size() == kBlock) blocks_.push_back(std::exchange(buffer_, {}));
  }
}

net::Task<Result<>> ClientOut::store_fresh() {
  if (fresh_.empty()) co_return Result<>();
  const auto routes = std::exchange(routes_, nullptr);
  auto fresh = std::exchange(fresh_, {});
  Result<> stored = fail(Errc::conflict, "the routes changed within an answer");
  if (!std::exchange(stale_, false)) stored = co_await directory_.store(routes, std::move(fresh));
  if (stored) co_return stored;
  // What shows them is not for the next flush either, which would know nothing of them.
  blocks_.clear();
  buffer_.clear();
  // Unless whole blocks of it were written the client has seen nothing of the answer; otherwise it is within
  // it for good.
  streams_ = cut_;
  lacks_mapping_ = true;
  // Not the codes of Redis' connection, which would be taken for the client's.
  co_return fail(stored.error().code == Errc::conflict ? Errc::conflict : Errc::unavailable,
                 std::move(stored.error().detail));
}

net::Task<Result<>> ClientOut::flush_blocks(net::Millis patience) {
  auto stored = co_await store_fresh();
  if (!stored) co_return stored;
  if (blocks_.empty()) co_return Result<>();
  cut_ = true;
  for (const std::string& block : std::exchange(blocks_, {})) {
    client_->set_timeout(patience);
    auto written = co_await client_->write(block);
    if (!written) co_return written;
  }
  co_return Result<>();
}

net::Task<Result<>> ClientOut::flush(net::Millis patience) {
  auto flushed = co_await flush_blocks(patience);
  if (!flushed) co_return flushed;
  if (!buffer_.empty()) {
    const std::string octets = std::exchange(buffer_, {});
    client_->set_timeout(patience);
    flushed = co_await client_->write(octets);
  }
  if (flushed) cut_ = false;
  co_return flushed;
}

net::Task<Result<>> ClientOut::pass(std::string_view octets) {
  // Copied, though they are many: writing suspends, and they lie in a buffer that the whole loop shares.
  add(octets);
  if (!full()) co_return Result<>();
  co_return co_await flush_blocks();
}

}  // namespace kage::proxy
