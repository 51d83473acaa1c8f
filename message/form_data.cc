// multipart/form-data and urlencoded as state machines; which reader a Content-Type asks for.
#include "message/form_data.h"

#include <algorithm>

#include "base/text.h"
#include "message/form_json.h"
#include "message/mime.h"

namespace kage::message {
namespace {

constexpr std::size_t kMaxPartHeader = 4096;
constexpr std::size_t kMaxBoundary = 70;  // RFC 2046 §5.1.1

class UrlEncodedReader final : public FormReader {
 public:
  explicit UrlEncodedReader(const FormLimits& limits) : FormReader(limits) {}

  std::optional<FormFault> feed(std::string_view input) override {
    for (const char c : input) {
      if (const auto fault = take(c)) return fault;
    }
    return std::nullopt;
  }

  std::optional<FormFault> finish() override {
    if (escape_ > 0) return FormFault::malformed;
    return end_pair();
  }

 private:
  std::optional<FormFault> take(char c) {
    if (escape_ > 0) {
      const int digit = hex_value(c);
      if (digit < 0) return FormFault::malformed;
      octet_ = octet_ * 16 + digit;
      return --escape_ > 0 ? std::nullopt : add(static_cast<char>(octet_));
    }
    switch (c) {
      case '%':
        escape_ = 2;
        octet_ = 0;
        return std::nullopt;
      case '&':
        return end_pair();
      case '=':
        if (in_value_) return add(c);
        in_value_ = true;
        return std::nullopt;
      case '+':
        return add(' ');
      default:
        // A browser escapes these, whatever the charset.
        if (c <= ' ' || c == '\x7f') return FormFault::malformed;
        return add(c);
    }
  }

  std::optional<FormFault> add(char c) {
    std::string& to = in_value_ ? current_.value : current_.name;
    if (to.size() == (in_value_ ? limits_.max_value : limits_.max_name)) return FormFault::too_large;
    to.push_back(c);
    return std::nullopt;
  }

  std::optional<FormFault> end_pair() {
    const bool nothing = current_.name.empty() && !in_value_;
    if (!nothing) {
      if (fields_.size() == limits_.max_fields) return FormFault::too_large;
      fields_.push_back(std::move(current_));
    }
    current_ = {};
    in_value_ = false;
    return std::nullopt;
  }

  FormField current_;
  bool in_value_ = false;
  int escape_ = 0;  // hexadecimal digits still to come
  int octet_ = 0;
};

/// WHATWG HTML: in names and file names a quote, CR and LF are sent as %22, %0D and %0A.
std::string unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto octet = text[i] == '%' ? hex_octet(text.substr(i + 1)) : std::nullopt;
    if (octet == '"' || octet == '\r' || octet == '\n') {
      out.push_back(static_cast<char>(*octet));
      i += 2;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

class MultipartReader final : public FormReader {
 public:
  MultipartReader(const FormLimits& limits, const std::string& boundary)
      : FormReader(limits), delimiter_("\r\n--" + boundary), held_("\r\n") {}

  std::optional<FormFault> feed(std::string_view input) override {
    held_.append(input);
    std::size_t used = 0;
    std::optional<FormFault> fault;
    while (!fault) {
      const std::size_t before = used;
      const State state = state_;
      fault = step(used);
      if (used == before && state == state_) break;
    }
    held_.erase(0, used);
    return fault;
  }

  std::optional<FormFault> finish() override {
    // Cut off in the middle: nothing of it may be sent.
    return state_ == State::end ? std::nullopt : std::optional(FormFault::malformed);
  }

 private:
  enum class State : std::uint8_t { preamble, delimiter, header, content, end };

  /// One piece of what is held; without progress more input is needed.
  std::optional<FormFault> step(std::size_t& used) {
    const std::string_view rest = std::string_view(held_).substr(used);
    switch (state_) {
      case State::preamble:
        // No browser sends one (RFC 7578 §4.1 has none); the first delimiter stands at the very beginning.
        if (!delimiter_.starts_with(rest.substr(0, delimiter_.size()))) return FormFault::malformed;
        if (rest.size() < delimiter_.size()) return std::nullopt;
        used += delimiter_.size();
        state_ = State::delimiter;
        return std::nullopt;
      case State::delimiter:
        if (rest.size() < 2) return std::nullopt;
        used += 2;
        if (rest.starts_with("--")) {
          state_ = State::end;
          return std::nullopt;
        }
        if (!rest.starts_with("\r\n")) return FormFault::malformed;
        state_ = State::header;
        return std::nullopt;
      case State::header:
        return step_header(rest, used);
      case State::content:
        return step_content(rest, used);
      case State::end:
        // An epilogue is nothing but the last line's end.
        if (!std::string_view("\r\n").starts_with(rest)) return FormFault::malformed;
        return std::nullopt;
    }
    return FormFault::malformed;
  }

  std::optional<FormFault> step_header(std::string_view rest, std::size_t& used) {
    const std::size_t end = rest.substr(0, kMaxPartHeader + 4).find("\r\n\r\n");
    if (end == std::string_view::npos) {
      if (rest.size() >= kMaxPartHeader + 4) return FormFault::too_large;
      return std::nullopt;
    }
    used += end + 4;
    state_ = State::content;
    return begin_part(rest.substr(0, end));
  }

  std::optional<FormFault> begin_part(std::string_view block) {
    if (fields_.size() == limits_.max_fields) return FormFault::too_large;
    FormField field;
    bool has_disposition = false;
    while (!block.empty()) {
      const std::size_t end = std::min(block.find("\r\n"), block.size());
      const std::string_view line = block.substr(0, end);
      block.remove_prefix(std::min(block.size(), end + 2));
      const std::size_t colon = line.find(':');
      // A folded line too: no browser folds, and a name may hide in it.
      if (colon == std::string_view::npos || colon == 0 || is_wsp(line[0])) return FormFault::malformed;
      if (line.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos) {
        return FormFault::malformed;
      }
      const std::string name = lower(line.substr(0, colon));
      const std::string_view body = trim(line.substr(colon + 1));
      if (name == "content-disposition") {
        if (has_disposition || !read_disposition(body, field)) return FormFault::malformed;
        has_disposition = true;
      } else if (name == "content-type") {
        if (!field.type.empty() || body.empty()) return FormFault::malformed;
        field.type = body;
      } else if (name == "content-transfer-encoding") {
        // RFC 7578 §4.7
        if (!equals_nocase(body, "7bit") && !equals_nocase(body, "8bit") && !equals_nocase(body, "binary")) {
          return FormFault::malformed;
        }
      }
    }
    if (!has_disposition) return FormFault::malformed;
    if (field.name.size() > limits_.max_name) return FormFault::too_large;
    fields_.push_back(std::move(field));
    return std::nullopt;
  }

  /// form-data; name="…"; filename="…": the octets between the quotes are the form's charset, in which a '\'
  /// may be half of a character and escapes nothing.
  static bool read_disposition(std::string_view body, FormField& field) {
    static constexpr std::string_view kKind = "form-data";
    if (!starts_with_nocase(body, kKind)) return false;
    body.remove_prefix(kKind.size());
    bool named = false;
    while (!(body = trim(body)).empty()) {
      if (body.front() != ';') return false;
      body = trim(body.substr(1));
      const std::size_t equals = body.find('=');
      if (equals == std::string_view::npos || body.substr(equals).substr(1, 1) != "\"") return false;
      const std::string key = lower(trim(body.substr(0, equals)));
      body.remove_prefix(equals + 2);
      const std::size_t quote = body.find('"');
      if (quote == std::string_view::npos) return false;
      if (key == "name") {
        if (named) return false;
        named = true;
        field.name = unescape(body.substr(0, quote));
      } else if (key == "filename") {
        if (field.file) return false;
        field.file = true;
        field.file_name = unescape(body.substr(0, quote));
      } else {
        return false;  // filename* among them: RFC 7578 §4.2 forbids it
      }
      body.remove_prefix(quote + 1);
    }
    return named;
  }

  std::optional<FormFault> step_content(std::string_view rest, std::size_t& used) {
    const std::size_t found = rest.find(delimiter_);
    if (found != std::string_view::npos) {
      const auto fault = add(rest.substr(0, found));
      used += found + delimiter_.size();
      state_ = State::delimiter;
      return fault;
    }
    // The end of what is held may begin a delimiter.
    const std::size_t kept = std::min(rest.size(), delimiter_.size() - 1);
    const std::size_t free = rest.size() - kept;
    used += free;
    return add(rest.substr(0, free));
  }

  std::optional<FormFault> add(std::string_view octets) {
    FormField& field = fields_.back();
    if (!field.file) {
      if (octets.size() > limits_.max_value - field.value.size()) return FormFault::too_large;
    } else {
      // A file input without a file is sent with neither name nor content.
      const bool counts = !octets.empty() || !field.file_name.empty();
      if (counts && counted_ != fields_.size()) {
        counted_ = fields_.size();
        if (++files_ > limits_.max_files) return FormFault::too_many_files;
      }
      if (octets.size() > limits_.max_file_octets - file_octets_) return FormFault::too_large;
      file_octets_ += octets.size();
    }
    field.value.append(octets);
    return std::nullopt;
  }

  const std::string delimiter_;  // its line end included
  std::string held_;             // not used yet; begins with the line end that the first delimiter lacks
  State state_ = State::preamble;
  std::size_t files_ = 0;
  std::size_t counted_ = 0;  // number of the field that was counted last
  std::size_t file_octets_ = 0;
};

bool is_boundary(std::string_view text) {
  static constexpr std::string_view kOthers = "'()+_,-./:=? ";  // RFC 2046 §5.1.1
  return !text.empty() && text.size() <= kMaxBoundary && text.back() != ' ' &&
         std::ranges::all_of(text,
                             [](char c) { return is_alnum(c) || kOthers.find(c) != std::string_view::npos; });
}

}  // namespace

std::unique_ptr<FormReader> make_form_reader(std::string_view content_type, const FormLimits& limits,
                                             std::string& charset) {
  const auto type = parse_parameters(content_type);
  if (!type) return nullptr;
  std::string boundary;
  for (const Parameter& parameter : type->parameters) {
    if (parameter.name == "boundary") boundary = parameter.value;
    if (parameter.name == "charset") charset = parameter.value;
  }
  if (equals_nocase(type->value, "application/x-www-form-urlencoded")) {
    return std::make_unique<UrlEncodedReader>(limits);
  }
  if (equals_nocase(type->value, "application/json")) return make_json_reader(limits);
  if (equals_nocase(type->value, "multipart/form-data") && is_boundary(boundary)) {
    return std::make_unique<MultipartReader>(limits, boundary);
  }
  return nullptr;
}

}  // namespace kage::message
