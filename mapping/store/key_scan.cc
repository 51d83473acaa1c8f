// SCAN at one server after the other.
#include "mapping/store/key_scan.h"

#include <algorithm>
#include <utility>

#include "mapping/store/route_codec.h"

namespace kage::mapping {

/// Where there are several servers: which, how much they hold, and whether slots are being moved already.
net::Task<Result<>> KeyScan::begin() {
  auto servers = co_await redis_.servers();
  if (!servers) co_return std::unexpected(servers.error());
  servers_ = std::move(*servers);
  if (!redis_.is_cluster()) co_return Result<>();
  for (const net::Endpoint& server : servers_) {
    net::RedisBatch batch;
    batch.add({"DBSIZE"});
    const auto replies = co_await run_all_at(redis_, server, std::move(batch));
    if (!replies) co_return std::unexpected(replies.error());
    total_ += static_cast<std::uint64_t>(std::max<std::int64_t>(replies->front().integer, 0));
  }
  const auto moving = co_await this->moving();
  if (!moving) co_return std::unexpected(moving.error());
  moving_ = *moving;
  epoch_ = redis_.connection_epoch();
  co_return Result<>();
}

/// A server names only its own slots that are on their way: "[93->-<id>]", "[93-<-<id>]".
net::Task<Result<bool>> KeyScan::moving() {
  for (const net::Endpoint& server : servers_) {
    net::RedisBatch batch;
    batch.add({"CLUSTER", "NODES"});
    const auto replies = co_await run_all_at(redis_, server, std::move(batch));
    if (!replies) co_return std::unexpected(replies.error());
    const std::string& nodes = replies->front().text;
    if (nodes.find("->-") != std::string::npos || nodes.find("-<-") != std::string::npos) co_return true;
  }
  co_return false;
}

net::Task<Result<bool>> KeyScan::moved() {
  if (!redis_.is_cluster()) co_return false;
  const auto servers = co_await redis_.servers();
  if (!servers) co_return std::unexpected(servers.error());
  if (moving_ || *servers != servers_ || redis_.connection_epoch() != epoch_) co_return true;
  co_return co_await moving();
}

net::Task<Result<KeyScan::Step>> KeyScan::next(net::RedisBatch with) {
  const bool first = !std::exchange(begun_, true);
  if (first) {
    if (auto begun = co_await begin(); !begun) co_return std::unexpected(begun.error());
  }
  Step step;
  const std::size_t others = with.size();
  net::RedisBatch batch;
  const bool together = !redis_.is_cluster();
  if (together) {
    batch = std::exchange(with, {});
    if (first) batch.add({"DBSIZE"});
  } else if (others > 0) {
    auto replies = co_await run_all(redis_, std::move(with));
    if (!replies) co_return std::unexpected(replies.error());
    step.replies = std::move(*replies);
  }
  std::vector<std::string_view> scan{"SCAN", cursor_};
  if (!pattern_.empty()) scan.insert(scan.end(), {"MATCH", pattern_});
  scan.insert(scan.end(), {"COUNT", count_});
  batch.add(scan);
  auto replies = co_await run_all_at(redis_, servers_[at_], std::move(batch));
  if (!replies) co_return std::unexpected(replies.error());
  auto& found = replies->back().elements;
  if (found.size() != 2) co_return fail(Errc::protocol, "Redis: SCAN");
  if (together && first) {
    total_ = static_cast<std::uint64_t>(std::max<std::int64_t>((*replies)[others].integer, 0));
  }
  cursor_ = found[0].text;
  if (cursor_ == "0") ++at_;
  step.keys = std::move(found[1].elements);
  if (together) {
    replies->resize(others);
    step.replies = std::move(*replies);
  }
  co_return step;
}

}  // namespace kage::mapping
