// The object is held whole, bounded, and read once it is complete.
#include "message/form_json.h"

#include "base/text.h"
#include "message/utf8.h"

namespace kage::message {
namespace {

class JsonReader final : public FormReader {
 public:
  explicit JsonReader(const FormLimits& limits) : FormReader(limits) {}

  std::optional<FormFault> feed(std::string_view input) override {
    // Six octets ("\u0041") for one, and some for names and syntax: this bounds the whole object.
    const std::size_t most = 8 * limits_.max_value;
    if (input.size() > most - text_.size()) return FormFault::too_large;
    text_.append(input);
    return std::nullopt;
  }

  std::optional<FormFault> finish() override {
    if (!is_valid_utf8(text_)) return FormFault::malformed;
    if (!read('{')) return FormFault::malformed;
    if (!read('}')) {
      do {
        if (fields_.size() == limits_.max_fields) return FormFault::too_large;
        FormField field;
        if (!string(field.name) || !read(':') || !string(field.value)) return FormFault::malformed;
        if (field.name.size() > limits_.max_name || field.value.size() > limits_.max_value) {
          return FormFault::too_large;
        }
        fields_.push_back(std::move(field));
      } while (read(','));
      if (!read('}')) return FormFault::malformed;
    }
    skip();
    return at_ == text_.size() ? std::nullopt : std::optional(FormFault::malformed);
  }

 private:
  void skip() {
    while (at_ < text_.size() && is_space(text_[at_])) ++at_;
  }

  bool read(char c) {
    skip();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  bool string(std::string& out) {
    if (!read('"')) return false;
    while (at_ < text_.size()) {
      const char c = text_[at_++];
      if (c == '"') return true;
      if (static_cast<unsigned char>(c) < 0x20) return false;
      if (c != '\\') {
        out.push_back(c);
      } else if (!escape(out)) {
        return false;
      }
    }
    return false;
  }

  bool escape(std::string& out) {
    if (at_ == text_.size()) return false;
    static constexpr std::string_view kNames = "\"\\/bfnrt";
    static constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
    const char c = text_[at_++];
    if (c == 'u') return code_point(out);
    const std::size_t known = kNames.find(c);
    if (known == std::string_view::npos) return false;
    out.push_back(kMeanings[known]);
    return true;
  }

  bool code_point(std::string& out) {
    std::int32_t point = unit();
    if (point >= 0xD800 && point < 0xDC00) {
      if (text_.compare(at_, 2, "\\u") != 0) return false;
      at_ += 2;
      const std::int32_t low = unit();
      if (low < 0xDC00 || low > 0xDFFF) return false;
      point = 0x10000 + (point - 0xD800) * 0x400 + (low - 0xDC00);
    } else if (point < 0 || (point >= 0xDC00 && point <= 0xDFFF)) {
      return false;
    }
    append_utf8(out, point);
    return true;
  }

  /// Four hexadecimal digits; -1 when there are none.
  std::int32_t unit() {
    if (text_.size() - at_ < 4) return -1;
    std::int32_t value = 0;
    for (int i = 0; i < 4; ++i) {
      const int digit = hex_value(text_[at_++]);
      if (digit < 0) return -1;
      value = value * 16 + digit;
    }
    return value;
  }

  std::string text_;
  std::size_t at_ = 0;
};

}  // namespace

std::unique_ptr<FormReader> make_json_reader(const FormLimits& limits) {
  return std::make_unique<JsonReader>(limits);
}

}  // namespace kage::message
