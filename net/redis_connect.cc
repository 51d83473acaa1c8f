// One command after the other on a stream of its own.
#include "net/redis_connect.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "net/connect.h"
#include "net/redis_sentinel.h"

namespace kage::net {
namespace {

constexpr Millis kLeastBackoff{50};
constexpr Millis kMostBackoff{2000};

std::string_view first_word(const RedisReply& reply) {
  // "WRONGPASS", "NOAUTH", "ERR": all of it that may be logged.
  return std::string_view(reply.text).substr(0, reply.text.find(' '));
}

}  // namespace

Task<Result<StreamPtr>> open_redis(Loop& loop, const RedisOptions& options, TimePoint deadline) {
  if (!options.unix_path.empty()) co_return co_await connect_unix(loop, options.unix_path, deadline);
  Endpoint server{options.host, options.port};
  if (!options.sentinels.endpoints.empty()) {
    auto master = co_await find_redis_master(loop, options, deadline);
    if (!master) co_return std::unexpected(master.error());
    server = std::move(*master);
  }
  co_return co_await open_redis_at(loop, options, std::move(server), deadline);
}

Task<Result<StreamPtr>> open_redis_at(Loop& loop, const RedisOptions& options, Endpoint server,
                                      TimePoint deadline) {
  auto stream = co_await connect_tcp(loop, server.host, server.port, deadline);
  if (!stream || !options.secure) co_return stream;
  (*stream)->set_deadline(deadline);
  co_return co_await options.secure(std::move(*stream), std::move(server.host), deadline);
}

Task<Result<std::vector<RedisReply>>> ask_redis(Stream& stream, RedisParser& parser, RedisBatch batch) {
  const auto written = co_await stream.write(batch.encoded());
  if (!written) co_return std::unexpected(written.error());
  std::vector<RedisReply> replies;
  while (replies.size() < batch.size()) {
    auto reply = parser.next();
    if (!reply) co_return std::unexpected(reply.error());
    if (*reply) {
      if ((*reply)->is_error()) co_return fail(Errc::denied, "Redis: " + std::string(first_word(**reply)));
      replies.push_back(std::move(**reply));
      continue;
    }
    const auto bytes = co_await stream.read();
    if (!bytes) co_return std::unexpected(bytes.error());
    if (bytes->empty()) co_return fail(Errc::closed, "Redis closed the connection");
    const auto fed = parser.feed(*bytes);
    if (!fed) co_return std::unexpected(fed.error());
  }
  co_return replies;
}

Error redis_away(const Error& reason) {
  switch (reason.code) {
    case Errc::timed_out:
    case Errc::denied:
    case Errc::tls:
      return reason;
    default:
      return Error{Errc::unavailable, "Redis: " + reason.detail};
  }
}

void log_redis_failure(std::string_view stage, const Error& error) {
  log::warn(
      "redis.failed",
      {{"stage", stage}, {"reason", to_string(error.code)}, {"detail", std::string_view(error.detail)}});
}

Millis redis_backoff(int failures) {
  return std::min(kLeastBackoff * (1 << std::min(failures, 6)), kMostBackoff);
}

void add_auth(RedisBatch& batch, const std::string& username, const std::string& password) {
  if (password.empty()) return;
  if (username.empty()) {
    batch.add({"AUTH", password});
  } else {
    batch.add({"AUTH", username, password});
  }
}

Task<Result<>> greet_redis(Stream& stream, RedisParser& parser, const RedisOptions& options) {
  const bool named_by_sentinels = !options.sentinels.endpoints.empty();
  RedisBatch batch;
  add_auth(batch, options.username, options.password);
  if (options.database != 0) batch.add({"SELECT", std::to_string(options.database)});
  if (named_by_sentinels) batch.add({"ROLE"});
  if (batch.size() == 0) co_return Result<>();
  const auto replies = co_await ask_redis(stream, parser, std::move(batch));
  if (!replies) co_return std::unexpected(replies.error());
  if (named_by_sentinels) {
    const RedisReply& role = replies->back();
    const bool is_master = !role.elements.empty() && role.elements.front().text == "master";
    if (!is_master) co_return fail(Errc::unavailable, "the sentinels named a server that is no master");
  }
  co_return Result<>();
}

}  // namespace kage::net
