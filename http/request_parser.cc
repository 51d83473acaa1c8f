// llhttp's callbacks fill a Request; the size is counted outside of llhttp, which has no bound of its own.
#include "http/request_parser.h"

#include <llhttp.h>

#include <algorithm>

#include "base/text.h"

namespace kage::http {
namespace {

constexpr std::size_t kMaxFields = 100;

}  // namespace

struct RequestParser::State {
  llhttp_t parser{};
  Request request;
  std::size_t size = 0;
  bool content = false;
  bool complete = false;
  bool has_value = true;  // the last field is complete; the next name begins another

  static State& of(llhttp_t* parser) { return *static_cast<State*>(parser->data); }

  /// llhttp keeps a pointer to it.
  static const llhttp_settings_t& settings() {
    static const llhttp_settings_t made = [] {
      llhttp_settings_t s;
      llhttp_settings_init(&s);
      s.on_method = [](llhttp_t* p, const char* at, std::size_t n) {
        of(p).request.method.append(at, n);
        return 0;
      };
      s.on_url = [](llhttp_t* p, const char* at, std::size_t n) {
        of(p).request.target.append(at, n);
        return 0;
      };
      s.on_header_field = on_name;
      s.on_header_value = on_value;
      s.on_header_value_complete = [](llhttp_t* p) {
        of(p).has_value = true;
        return 0;
      };
      s.on_headers_complete = on_headers;
      s.on_message_complete = [](llhttp_t* p) -> int {
        of(p).complete = true;
        return HPE_PAUSED;
      };
      return s;
    }();
    return made;
  }

  static int on_name(llhttp_t* p, const char* at, std::size_t n) {
    State& state = of(p);
    auto& fields = state.request.fields;
    if (state.has_value) {
      if (fields.size() == kMaxFields) return -1;
      fields.emplace_back();
      state.has_value = false;
    }
    fields.back().first += lower(std::string_view(at, n));
    return 0;
  }

  static int on_value(llhttp_t* p, const char* at, std::size_t n) {
    auto& fields = of(p).request.fields;
    if (!fields.empty()) fields.back().second.append(at, n);
    return 0;
  }

  static int on_headers(llhttp_t* p) {
    State& state = of(p);
    const auto& fields = state.request.fields;
    const auto hosts =
        std::ranges::count(fields, "host", [](const auto& field) { return std::string_view(field.first); });
    // RFC 9112 §3.2
    if (hosts > 1 || (hosts == 0 && p->http_major == 1 && p->http_minor >= 1)) return -1;
    if (p->http_major != 1) return -1;
    state.request.keep_alive = llhttp_should_keep_alive(p) == 1;
    state.content = p->content_length > 0 || state.request.find("transfer-encoding") != nullptr;
    return state.content ? -1 : 0;
  }
};

const std::string* Request::find(std::string_view name) const {
  const auto at =
      std::ranges::find(fields, name, [](const auto& field) { return std::string_view(field.first); });
  return at == fields.end() ? nullptr : &at->second;
}

RequestParser::RequestParser() : state_(std::make_unique<State>()) {
  reset();
}

RequestParser::~RequestParser() = default;

void RequestParser::reset() {
  *state_ = State{};
  llhttp_init(&state_->parser, HTTP_REQUEST, &State::settings());
  state_->parser.data = state_.get();
}

bool RequestParser::idle() const {
  return state_->size == 0;
}

const Request& RequestParser::request() const {
  return state_->request;
}

RequestParser::Step RequestParser::feed(std::string_view input) {
  State& state = *state_;
  const std::string_view taken = input.substr(0, kMaxHeader - std::min(kMaxHeader, state.size));
  if (taken.empty() && !input.empty()) return {Status::too_large, 0};
  const llhttp_errno_t error = llhttp_execute(&state.parser, taken.data(), taken.size());
  if (state.complete || error == HPE_PAUSED_UPGRADE) {
    const char* end = llhttp_get_error_pos(&state.parser);
    const auto used = end == nullptr ? taken.size() : static_cast<std::size_t>(end - taken.data());
    state.size += used;
    // An upgrade is not offered: what follows is not ours to read (RFC 9110 §7.8).
    if (error == HPE_PAUSED_UPGRADE || state.parser.upgrade != 0) state.request.keep_alive = false;
    return {Status::complete, used};
  }
  if (error != HPE_OK) {
    if (state.content) return {Status::has_content, 0};
    return {state.request.fields.size() == kMaxFields ? Status::too_large : Status::malformed, 0};
  }
  state.size += taken.size();
  if (taken.size() < input.size()) return {Status::too_large, 0};
  return {Status::more, taken.size()};
}

}  // namespace kage::http
