// One command after the other on a stream of its own.
#include "net/redis_connect.h"

namespace kage::net {
namespace {

std::string_view first_word(const RedisReply& reply) {
  // "WRONGPASS", "NOAUTH", "ERR": all of it that may be logged.
  return std::string_view(reply.text).substr(0, reply.text.find(' '));
}

}  // namespace

Task<Result<StreamPtr>> open_redis(Loop& loop, const RedisOptions& options, TimePoint deadline) {
  if (!options.unix_path.empty()) co_return co_await connect_unix(loop, options.unix_path, deadline);
  auto stream = co_await connect_tcp(loop, options.host, options.port, deadline);
  if (!stream || !options.secure) co_return stream;
  (*stream)->set_deadline(deadline);
  co_return co_await options.secure(std::move(*stream), deadline);
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

Task<Result<>> greet_redis(Stream& stream, RedisParser& parser, const RedisOptions& options) {
  RedisBatch batch;
  if (!options.password.empty() && options.username.empty()) batch.add({"AUTH", options.password});
  if (!options.password.empty() && !options.username.empty()) {
    batch.add({"AUTH", options.username, options.password});
  }
  if (options.database != 0) batch.add({"SELECT", std::to_string(options.database)});
  if (batch.size() == 0) co_return Result<>();
  const auto replies = co_await ask_redis(stream, parser, std::move(batch));
  if (!replies) co_return std::unexpected(replies.error());
  co_return Result<>();
}

}  // namespace kage::net
