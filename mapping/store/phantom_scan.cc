// Keys, then the clear beginning of each value.
#include "mapping/store/phantom_scan.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "mapping/phantom.h"
#include "mapping/store/route_codec.h"

namespace kage::mapping {
namespace {

constexpr net::Millis kLongestRest{50};

}  // namespace

/// The generation is read behind the values: by order on one server, by a trip of its own where it lies on
/// another.
net::Task<Result<std::vector<net::RedisReply>>> PhantomScan::read_values(net::RedisBatch batch) {
  net::RedisBatch generation;
  net::RedisBatch& last = redis_.is_cluster() ? generation : batch;
  last.add({"GET", kGenerationKey});
  auto values = co_await redis_.run(std::move(batch));
  if (!values || generation.size() == 0) co_return values;
  auto behind = co_await redis_.run(std::move(generation));
  if (!behind) co_return behind;
  values->push_back(std::move(behind->front()));
  co_return values;
}

net::Task<Result<PhantomScan::Page>> PhantomScan::next(net::RedisBatch before) {
  const net::TimePoint began = loop_.now();
  Page page;
  auto step = co_await keys_.next(std::move(before));
  if (!step) co_return std::unexpected(step.error());
  for (const net::RedisReply& reply : step->replies) {
    page.removed += static_cast<std::uint64_t>(std::max<std::int64_t>(reply.integer, 0));
  }
  std::vector<net::RedisReply> keys = std::move(step->keys);
  seen_ += keys.size();
  // Not by MATCH: a sample has to know how many keys it looked at.
  std::erase_if(keys, [](const auto& key) { return !key.text.starts_with(kPhantomPrefix); });
  net::RedisBatch batch;
  const std::string last = std::to_string(kPhantomOwnerOctets - 1);
  for (const auto& key : keys) batch.add({"GETRANGE", key.text, "0", last});
  const auto values = co_await read_values(std::move(batch));
  if (!values) co_return std::unexpected(values.error());
  const auto generation = read_generation(values->back());
  if (!generation) co_return std::unexpected(generation.error());
  page.generation = *generation;
  page.phantoms.reserve(keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const net::RedisReply& value = (*values)[i];
    if (value.is_error() && !value.text.starts_with("WRONGTYPE")) {
      co_return std::unexpected(reply_error(value));
    }
    // Gone meanwhile, or somebody's value of another kind.
    if (value.is_error() || value.text.empty()) continue;
    page.phantoms.push_back({std::move(keys[i].text), phantom_value_member(value.text)});
  }
  if (!ended()) co_await loop_.sleep(std::clamp(loop_.now() - began, net::Millis(1), kLongestRest));
  co_return page;
}

net::Task<Result<PhantomCensus>> count_phantoms(net::Redis& redis, net::Loop& loop,
                                                std::vector<MemberId> members,
                                                std::function<void(std::uint64_t, std::uint64_t)> progress,
                                                CensusBounds bounds) {
  PhantomCensus census;
  if (members.empty()) co_return census;
  const std::unordered_set<MemberId> wanted(members.begin(), members.end());
  PhantomScan scan(redis, loop);
  while (!scan.ended()) {
    const auto page = co_await scan.next({});
    if (!page) co_return std::unexpected(page.error());
    for (const auto& phantom : page->phantoms) {
      if (phantom.owner && wanted.contains(*phantom.owner)) ++census.counts[*phantom.owner];
    }
    const bool sampled = scan.total() > bounds.exact_up_to;
    if (progress) progress(scan.seen(), sampled ? bounds.sample : scan.total());
    if (!sampled || scan.seen() < bounds.sample || scan.ended()) continue;
    census.exact = false;
    // Of something that was not met in n tries: "rule of three".
    census.resolution = 1 + 3 * scan.total() / scan.seen();
    const double times = static_cast<double>(scan.total()) / static_cast<double>(scan.seen());
    for (auto& [member, count] : census.counts) {
      count = static_cast<std::uint64_t>(static_cast<double>(count) * times);
    }
    break;
  }
  co_return census;
}

}  // namespace kage::mapping
