// How responses are read: line by line, since a quoted string never spans lines; a literal joins two lines.
#include "proxy/imap_reader.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/text.h"
#include "proxy/imap_command.h"

namespace kage::proxy {
namespace {

/// Octets of an item's name; field names in it may be many.
constexpr std::size_t kMaxName = 64 * 1024;

/// RFC 9051 §9: neither stands anywhere but in a literal (NUL not even there).
bool has_forbidden(std::string_view line) {
  return line.find('\r') != std::string_view::npos || line.find('\0') != std::string_view::npos;
}

bool is_status(std::string_view name) {
  return name == "OK" || name == "NO" || name == "BAD" || name == "BYE" || name == "PREAUTH";
}

std::string_view word(std::string_view& text) {
  const std::size_t space = text.find(' ');
  const std::string_view found = text.substr(0, space);
  text.remove_prefix(space == std::string_view::npos ? text.size() : space + 1);
  return found;
}

bool is_word(std::string_view text, std::size_t max_octets) {
  return !text.empty() && text.size() <= max_octets &&
         std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; });
}

/// What stands at the start of a response; `rest` becomes what follows. False: not IMAP.
bool read_start(std::string_view& rest, ImapResponse& response) {
  if (rest.starts_with('+')) {
    response.kind = ImapResponse::Kind::continuation;
    rest.remove_prefix(rest.starts_with("+ ") ? 2 : 1);
    return true;
  }
  const std::string_view tag = word(rest);
  std::string_view name = word(rest);
  if (tag == "*") {
    if (const auto number = parse_number(name, UINT32_MAX)) {
      response.number = static_cast<std::uint32_t>(*number);
      name = word(rest);
    }
  } else {
    if (!is_word(tag, 64)) return false;
    response.kind = ImapResponse::Kind::tagged;
    response.tag = tag;
  }
  if (!is_word(name, 64)) return false;
  response.name = upper(name);
  return response.kind == ImapResponse::Kind::untagged || response.name == "OK" || response.name == "NO" ||
         response.name == "BAD";
}

/// Walks over the octets of one name or value; goes on where it stopped when a literal was joined.
class ItemScan {
 public:
  enum class State : std::uint8_t { complete, wants_literal, broken };

  /// To the space behind a name: one that stands in no brackets.
  State name(std::string_view line, std::size_t& at) {
    for (; at < line.size(); ++at) {
      const char c = line[at];
      if (quoted_) {
        quote(c);
      } else if (c == ' ' && depth_ == 0) {
        return State::complete;
      } else if (c == '"') {
        quoted_ = true;
      } else if (c == '[') {
        ++depth_;
      } else if (c == ']') {
        if (depth_-- == 0) return State::broken;
      }
    }
    return depth_ > 0 && !quoted_ ? State::wants_literal : State::broken;
  }

  /// To the end of an atom, a quoted string or a balanced list.
  State value(std::string_view line, std::size_t& at) {
    for (; at < line.size(); ++at) {
      const char c = line[at];
      if (quoted_) {
        quote(c);
        if (quoted_ || depth_ > 0) continue;
        ++at;
        return State::complete;
      }
      if (depth_ == 0 && (c == ' ' || c == ')')) return State::complete;
      if (c == '"') {
        quoted_ = true;
      } else if (c == '(') {
        ++depth_;
      } else if (c == ')' && --depth_ == 0) {
        ++at;
        return State::complete;
      }
    }
    return depth_ > 0 && !quoted_ ? State::wants_literal : State::broken;
  }

 private:
  void quote(char c) {
    if (escaped_) {
      escaped_ = false;
    } else if (c == '\\') {
      escaped_ = true;
    } else if (c == '"') {
      quoted_ = false;
    }
  }

  std::size_t depth_ = 0;
  bool quoted_ = false;
  bool escaped_ = false;
};

}  // namespace

ImapReader::ImapReader(net::Stream& stream, ImapReaderLimits limits) : reader_(stream), limits_(limits) {}

net::Task<Result<ImapResponse>> ImapReader::next() {
  ImapFetchItem unread;
  while (in_fetch_) {
    const auto more = co_await next_item(unread);
    if (!more) co_return std::unexpected(more.error());
  }
  const auto line = co_await reader_.line(limits_.max_line);
  if (!line) co_return std::unexpected(line.error());
  std::string_view rest = *line;
  ImapResponse response;
  if (has_forbidden(rest) || !read_start(rest, response)) co_return fail(Errc::protocol, "not a response");
  if (response.kind != ImapResponse::Kind::untagged || is_status(response.name)) {
    response.text = rest;
    co_return response;
  }
  if (response.name == "FETCH") {
    if (!rest.starts_with('(')) co_return fail(Errc::protocol, "FETCH without items");
    line_.assign(rest);
    at_ = 1;
    in_fetch_ = true;
    co_return response;
  }
  response.text = rest;
  while (literal_mark(response.text)) {
    const auto joined = co_await join_literal(response.text, limits_.max_line);
    if (!joined) co_return std::unexpected(joined.error());
  }
  co_return response;
}

/// `text` ends with a literal's mark: appends the literal and the line behind it.
net::Task<Result<>> ImapReader::join_literal(std::string& text, std::size_t max_octets) {
  const auto mark = literal_mark(text);
  if (!mark) co_return fail(Errc::protocol, "a value without an end");
  if (mark->size > max_octets || text.size() + mark->size > max_octets) {
    co_return fail(Errc::limit, "response too long");
  }
  text += "\r\n";
  std::uint64_t left = mark->size;
  while (left > 0) {
    const auto bytes = co_await reader_.chunk();
    if (!bytes) co_return std::unexpected(bytes.error());
    if (bytes->empty()) co_return fail(Errc::closed, "end of stream");
    const std::string_view taken = bytes->substr(0, left);
    if (taken.find('\0') != std::string_view::npos) co_return fail(Errc::protocol, "NUL in a response");
    text += taken;
    left -= taken.size();
    reader_.unread(bytes->substr(taken.size()));
  }
  const auto line = co_await reader_.line(limits_.max_line);
  if (!line) co_return std::unexpected(line.error());
  if (has_forbidden(*line)) co_return fail(Errc::protocol, "not a response");
  if (text.size() + line->size() > max_octets) co_return fail(Errc::limit, "response too long");
  text += *line;
  co_return Result<>();
}

net::Task<Result<>> ImapReader::fetch_line() {
  const auto line = co_await reader_.line(limits_.max_line);
  if (!line) co_return std::unexpected(line.error());
  if (has_forbidden(*line)) co_return fail(Errc::protocol, "not a response");
  line_.assign(*line);
  at_ = 0;
  line_due_ = false;
  co_return Result<>();
}

net::Task<Result<>> ImapReader::skip_literal() {
  while (literal_left_ > 0) {
    const auto bytes = co_await chunk();
    if (!bytes) co_return std::unexpected(bytes.error());
  }
  co_return Result<>();
}

net::Task<Result<bool>> ImapReader::next_item(ImapFetchItem& item) {
  item = {};
  if (!in_fetch_) co_return false;
  if (literal_left_ > 0) {
    const auto skipped = co_await skip_literal();
    if (!skipped) co_return std::unexpected(skipped.error());
  }
  if (line_due_) {
    const auto read = co_await fetch_line();
    if (!read) co_return std::unexpected(read.error());
  }
  while (at_ < line_.size() && line_[at_] == ' ') ++at_;
  if (at_ < line_.size() && line_[at_] == ')') {
    if (line_.find_first_not_of(' ', at_ + 1) != std::string::npos) {
      co_return fail(Errc::protocol, "more behind a FETCH response");
    }
    end_fetch();
    co_return false;
  }
  auto name = co_await item_name();
  if (!name) co_return std::unexpected(name.error());
  item.name = std::move(*name);
  while (at_ < line_.size() && line_[at_] == ' ') ++at_;

  const std::string_view rest = std::string_view(line_).substr(at_);
  if (rest.starts_with('{') || rest.starts_with("~{")) {
    const auto mark = literal_mark(rest);
    if (!mark || mark->size > limits_.max_literal) co_return fail(Errc::protocol, "not a literal");
    item.streams = true;
    item.binary = rest.front() == '~';
    item.size = mark->size;
    literal_left_ = mark->size;
    line_due_ = true;
    co_return true;
  }
  auto value = co_await item_value();
  if (!value) co_return std::unexpected(value.error());
  item.value = std::move(*value);
  co_return true;
}

net::Task<Result<std::string>> ImapReader::item_name() {
  ItemScan scan;
  const std::size_t start = at_;
  auto state = scan.name(line_, at_);
  while (state == ItemScan::State::wants_literal) {
    const std::size_t before = line_.size();
    const auto mark = literal_mark(line_);
    const auto joined = co_await join_literal(line_, before + kMaxName);
    if (!joined) co_return std::unexpected(joined.error());
    at_ = before + 2 + mark->size;
    state = at_ - start > kMaxName ? ItemScan::State::broken : scan.name(line_, at_);
  }
  if (state == ItemScan::State::broken || at_ == start || at_ - start > kMaxName) {
    co_return fail(Errc::protocol, "not a FETCH item");
  }
  co_return line_.substr(start, at_ - start);
}

net::Task<Result<std::string>> ImapReader::item_value() {
  ItemScan scan;
  const std::size_t start = at_;
  auto state = scan.value(line_, at_);
  while (state == ItemScan::State::wants_literal) {
    const std::size_t before = line_.size();
    const auto mark = literal_mark(line_);
    const auto joined = co_await join_literal(line_, start + limits_.max_value);
    if (!joined) co_return std::unexpected(joined.error());
    at_ = before + 2 + mark->size;
    state = scan.value(line_, at_);
  }
  if (state == ItemScan::State::broken || at_ == start) co_return fail(Errc::protocol, "not a FETCH value");
  if (at_ - start > limits_.max_value) co_return fail(Errc::limit, "a long FETCH value");
  co_return line_.substr(start, at_ - start);
}

net::Task<Result<std::string_view>> ImapReader::chunk() {
  if (literal_left_ == 0) co_return std::string_view();
  const auto bytes = co_await reader_.chunk();
  if (!bytes) co_return std::unexpected(bytes.error());
  if (bytes->empty()) co_return fail(Errc::closed, "end of stream");
  const std::string_view taken = bytes->substr(0, literal_left_);
  literal_left_ -= taken.size();
  reader_.unread(bytes->substr(taken.size()));
  co_return taken;
}

void ImapReader::end_fetch() {
  in_fetch_ = false;
  at_ = 0;
  line_.clear();
  // Idle connections own no buffer.
  if (!has_more()) std::string().swap(line_);
}

bool ImapReader::has_more() const {
  return !reader_.buffered().empty();
}

void ImapReader::reset(net::Stream& stream) {
  reader_.reset(stream);
  literal_left_ = 0;
  line_due_ = false;
  end_fetch();
}

}  // namespace kage::proxy
