// RESP encoding, and decoding with hiredis' reader straight into RedisReply.
#include "net/redis_protocol.h"

#include <hiredis/hiredis.h>

#include <charconv>
#include <exception>
#include <new>

namespace kage::net {
namespace {

void append_count(std::string& out, char kind, std::size_t count) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, count).ptr;
  out.push_back(kind);
  out.append(digits, end);
  out.append("\r\n");
}

template <class Arguments>
void encode(std::string& out, const Arguments& arguments) {
  append_count(out, '*', arguments.size());
  for (const std::string_view argument : arguments) {
    append_count(out, '$', argument.size());
    out.append(argument);
    out.append("\r\n");
  }
}

// hiredis builds objects through these. An element of an array already has its place in its parent.

RedisReply& place_of(const redisReadTask* task) {
  if (task->parent == nullptr) return *new RedisReply;
  auto* parent = static_cast<RedisReply*>(task->parent->obj);
  return parent->elements[static_cast<std::size_t>(task->idx)];
}

/// Makes the object of `task`, and fills it in. An exception must not travel through hiredis, which is C:
/// null, which hiredis takes for a lack of memory.
template <class Fill>
void* create(const redisReadTask* task, Fill fill) {
  RedisReply* reply = nullptr;
  try {
    reply = &place_of(task);
    fill(*reply);
    return reply;
  } catch (const std::exception&) {
    if (task->parent == nullptr) delete reply;
    return nullptr;
  }
}

RedisReply::Type text_type(int type) {
  switch (type) {
    case REDIS_REPLY_ERROR:
      return RedisReply::Type::error;
    case REDIS_REPLY_STATUS:
      return RedisReply::Type::status;
    default:
      return RedisReply::Type::string;
  }
}

void* create_string(const redisReadTask* task, char* text, std::size_t size) {
  return create(task, [&](RedisReply& reply) {
    reply.type = text_type(task->type);
    reply.text.assign(text, size);
  });
}

void* create_array(const redisReadTask* task, int count) {
  auto& elements = *static_cast<std::size_t*>(task->privdata);
  if (count < 0 || static_cast<std::size_t>(count) > RedisParser::kMaxElements - elements) return nullptr;
  elements += static_cast<std::size_t>(count);
  return create(task, [&](RedisReply& reply) {
    reply.type = RedisReply::Type::array;
    reply.elements.resize(static_cast<std::size_t>(count));
  });
}

void* create_integer(const redisReadTask* task, long long value) {
  return create(task, [&](RedisReply& reply) {
    reply.type = RedisReply::Type::integer;
    reply.integer = value;
  });
}

void* create_nil(const redisReadTask* task) {
  return create(task, [](RedisReply& /*reply*/) {});
}

void free_object(void* object) {
  delete static_cast<RedisReply*>(object);
}

redisReplyObjectFunctions functions = {create_string, create_array, create_integer, create_nil, free_object};

}  // namespace

void RedisBatch::add(std::initializer_list<std::string_view> arguments) {
  encode(encoded_, arguments);
  ++count_;
}

void RedisBatch::add(const std::vector<std::string_view>& arguments) {
  encode(encoded_, arguments);
  ++count_;
}

void RedisBatch::add_encoded(std::string_view command) {
  encoded_.append(command);
  ++count_;
}

void RedisParser::Free::operator()(redisReader* reader) const {
  redisReaderFree(reader);
}

RedisParser::RedisParser() : reader_(redisReaderCreateWithFunctions(&functions)) {
  if (reader_ == nullptr) throw std::bad_alloc();
  reader_->privdata = &elements_;
}

Result<> RedisParser::feed(std::string_view bytes) {
  pending_ += bytes.size();
  if (pending_ > kMaxReplyOctets) return fail(Errc::limit, "Redis reply too large");
  if (redisReaderFeed(reader_.get(), bytes.data(), bytes.size()) != REDIS_OK) {
    return fail(Errc::protocol, "Redis reply not understood");
  }
  return {};
}

Result<std::optional<RedisReply>> RedisParser::next() {
  void* object = nullptr;
  if (redisReaderGetReply(reader_.get(), &object) != REDIS_OK) {
    if (reader_->err == REDIS_ERR_OOM) return fail(Errc::limit, "Redis reply too large");
    return fail(Errc::protocol, "Redis reply not understood");
  }
  if (object == nullptr) return std::nullopt;
  pending_ = 0;
  elements_ = 0;
  const std::unique_ptr<RedisReply> reply(static_cast<RedisReply*>(object));
  return std::optional<RedisReply>(std::move(*reply));
}

}  // namespace kage::net
