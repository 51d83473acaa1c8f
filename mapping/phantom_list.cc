// One pass with SCAN. Redis may name a key twice: what was found is remembered as hashes.
#include "mapping/phantom_list.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "base/text.h"
#include "mapping/route_codec.h"

namespace kage::mapping {
namespace {

constexpr std::string_view kPage = "1000";

struct Listing {
  net::Redis& redis;
  Routes routes;
  std::unordered_set<MemberId> members;
  std::function<void(const ListedPhantom&)> found;
  std::unordered_set<std::string> given;
  std::string cursor = "0";
  std::vector<std::string> keys;  // of the page whose values are to be read
  bool begun = false;

  [[nodiscard]] bool more() const { return !begun || cursor != "0" || !keys.empty(); }
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

/// Reads the values of the page and the next page. How many keys it looked at.
net::Task<Result<std::size_t>> Listing::step() {
  net::RedisBatch batch;
  for (const std::string& key : keys) batch.add({"GET", key});
  const std::string pattern = std::string(kPhantomPrefix) + "*";
  const bool scan = !begun || cursor != "0";
  if (scan) batch.add({"SCAN", cursor, "MATCH", pattern, "COUNT", kPage});
  auto replies = co_await redis.run(std::move(batch));
  if (!replies) co_return std::unexpected(replies.error());
  if (const auto good = check_replies(*replies); !good) co_return std::unexpected(good.error());
  const std::size_t looked = keys.size();
  for (std::size_t i = 0; i < looked; ++i) look_at(keys[i], (*replies)[i]);
  keys.clear();
  if (!scan) co_return looked;
  begun = true;
  auto& page = replies->back().elements;
  if (page.size() != 2) co_return fail(Errc::protocol, "Redis: SCAN");
  cursor = page[0].text;
  for (auto& key : page[1].elements) keys.push_back(std::move(key.text));
  co_return looked;
}

}  // namespace

net::Task<Result<>> list_phantoms(net::Redis& redis, Routes routes, std::unordered_set<MemberId> members,
                                  std::function<void(const ListedPhantom&)> found,
                                  std::function<void(std::uint64_t, std::uint64_t)> progress) {
  net::RedisBatch batch;
  batch.add({"DBSIZE"});
  const auto size = co_await redis.run(std::move(batch));
  if (!size) co_return std::unexpected(size.error());
  const auto total = static_cast<std::uint64_t>(std::max<std::int64_t>(size->front().integer, 0));
  const auto listing = std::make_unique<Listing>(
      Listing{redis, std::move(routes), std::move(members), std::move(found), {}, "0", {}, false});
  std::uint64_t looked = 0;
  while (listing->more()) {
    const auto step = co_await listing->step();
    if (!step) co_return std::unexpected(step.error());
    looked += *step;
    progress(looked, total);
  }
  co_return Result<>();
}

}  // namespace kage::mapping
