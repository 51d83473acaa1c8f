// llhttp's callbacks fill a Request; the header's size is counted outside of llhttp, which has no bound of
// its own.
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
  std::size_t size = 0;  // of the header section, in whole feeds
  bool takes_content = false;
  bool refused_content = false;
  bool has_header = false;
  std::string content;  // of the last feed
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
      s.on_body = [](llhttp_t* p, const char* at, std::size_t n) {
        of(p).content.append(at, n);
        return 0;
      };
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
    // A trailer: nothing here wants one, and a merged one would be a way around every check (RFC 9110
    // §6.5.1).
    if (state.has_header) return -1;
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
    const Request& request = state.request;
    const std::size_t hosts = request.count("host");
    // RFC 9112 §3.2
    if (hosts > 1 || (hosts == 0 && p->http_major == 1 && p->http_minor >= 1)) return -1;
    if (p->http_major != 1) return -1;
    state.request.keep_alive = llhttp_should_keep_alive(p) == 1;
    const std::string* coding = request.find("transfer-encoding");
    if (!state.takes_content) {
      state.refused_content = p->content_length > 0 || coding != nullptr;
      return state.refused_content ? -1 : 0;
    }
    // RFC 9112 §6.1: only chunked, once, and not from HTTP/1.0.
    if (coding != nullptr) {
      const bool chunked = request.count("transfer-encoding") == 1 && equals_nocase(trim(*coding), "chunked");
      if (!chunked || p->http_minor == 0 || request.find("content-length") != nullptr) return -1;
    }
    state.has_header = true;
    return 0;
  }
};

const std::string* Request::find(std::string_view name) const {
  const auto at =
      std::ranges::find(fields, name, [](const auto& field) { return std::string_view(field.first); });
  return at == fields.end() ? nullptr : &at->second;
}

std::size_t Request::count(std::string_view name) const {
  return static_cast<std::size_t>(
      std::ranges::count(fields, name, [](const auto& field) { return std::string_view(field.first); }));
}

RequestParser::RequestParser(Content content) : content_(content), state_(std::make_unique<State>()) {
  reset();
}

RequestParser::~RequestParser() = default;

void RequestParser::reset() {
  *state_ = State{};
  state_->takes_content = content_ == Content::taken;
  llhttp_init(&state_->parser, HTTP_REQUEST, &State::settings());
  state_->parser.data = state_.get();
}

bool RequestParser::idle() const {
  return state_->size == 0;
}

const Request& RequestParser::request() const {
  return state_->request;
}

bool RequestParser::has_header() const {
  return state_->has_header || state_->complete;
}

std::string_view RequestParser::content() const {
  return state_->content;
}

RequestParser::Step RequestParser::feed(std::string_view input) {
  State& state = *state_;
  state.content.clear();
  std::size_t consumed = 0;
  do {
    // The header's bound; content is bounded by who takes it.
    const std::size_t room = state.has_header ? std::string_view::npos : kMaxHeader - state.size;
    const std::string_view taken = input.substr(consumed, room);
    if (taken.empty() && consumed < input.size()) return {Status::too_large, 0};
    const bool in_header = !state.has_header;
    const llhttp_errno_t error = llhttp_execute(&state.parser, taken.data(), taken.size());
    if (state.complete || error == HPE_PAUSED_UPGRADE) {
      const char* end = llhttp_get_error_pos(&state.parser);
      const auto used = end == nullptr ? taken.size() : static_cast<std::size_t>(end - taken.data());
      state.size = std::max<std::size_t>(1, state.size);
      // An upgrade is not offered: what follows is not ours to read (RFC 9110 §7.8).
      if (error == HPE_PAUSED_UPGRADE || state.parser.upgrade != 0) state.request.keep_alive = false;
      return {Status::complete, consumed + used};
    }
    if (error != HPE_OK) {
      if (state.refused_content) return {Status::has_content, 0};
      return {state.request.fields.size() == kMaxFields ? Status::too_large : Status::malformed, 0};
    }
    if (in_header) state.size += taken.size();
    consumed += taken.size();
  } while (consumed < input.size());
  return {Status::more, consumed};
}

}  // namespace kage::http
