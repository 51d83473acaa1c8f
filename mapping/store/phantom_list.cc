// One pass over the keys. Redis may name a key twice: what was found is remembered, ten octets each.
#include "mapping/store/phantom_list.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "base/text.h"
#include "mapping/store/key_scan.h"
#include "mapping/store/route_codec.h"

namespace kage::mapping {
namespace {

constexpr std::size_t kPage = 1000;

struct Listing {
  net::Redis& redis;
  KeyScan scan;
  Routes routes;
  std::unordered_set<MemberId> members;
  std::function<void(const ListedPhantom&)> found;
  std::unordered_set<std::string> given;
  std::vector<std::string> keys;  // of the page whose values are to be read

  [[nodiscard]] bool more() const { return !scan.ended() || !keys.empty(); }
  net::Task<Result<std::size_t>> step();
  void look_at(std::string_view key, const net::RedisReply& value);
};

void Listing::look_at(std::string_view key, const net::RedisReply& value) {
  const auto id = phantom_value_member(value.text);
  if (value.is_nil() || !id || !members.contains(*id)) return;
  const std::string local(key.substr(kPhantomPrefix.size()));
  auto opened = open_phantom_value(*routes, local, value.text);
  if (!opened || !given.insert(base32_decode(local).value_or(local)).second) return;
  found({*opened->member, local, std::move(opened->seen)});
}

/// Reads the values of the page and the next page's keys. How many keys it looked at.
net::Task<Result<std::size_t>> Listing::step() {
  net::RedisBatch batch;
  for (const std::string& key : keys) batch.add({"GET", key});
  KeyScan::Step step;
  if (scan.ended()) {
    auto replies = co_await run_all(redis, std::move(batch));
    if (!replies) co_return std::unexpected(replies.error());
    step.replies = std::move(*replies);
  } else {
    auto next = co_await scan.next(std::move(batch));
    if (!next) co_return std::unexpected(next.error());
    step = std::move(*next);
  }
  const std::size_t looked = keys.size();
  for (std::size_t i = 0; i < looked; ++i) look_at(keys[i], step.replies[i]);
  keys.clear();
  for (auto& key : step.keys) keys.push_back(std::move(key.text));
  co_return looked;
}

}  // namespace

net::Task<Result<>> list_phantoms(net::Redis& redis, Routes routes, std::unordered_set<MemberId> members,
                                  std::function<void(const ListedPhantom&)> found,
                                  std::function<void(std::uint64_t, std::uint64_t)> progress) {
  const auto listing =
      std::make_unique<Listing>(Listing{redis,
                                        KeyScan(redis, kPage, std::string(kPhantomPrefix) + "*"),
                                        std::move(routes),
                                        std::move(members),
                                        std::move(found),
                                        {},
                                        {}});
  std::uint64_t looked = 0;
  while (listing->more()) {
    const auto step = co_await listing->step();
    if (!step) co_return std::unexpected(step.error());
    looked += *step;
    progress(looked, listing->scan.total());
  }
  co_return Result<>();
}

}  // namespace kage::mapping
