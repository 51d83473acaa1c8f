// How responses are read: line by line, since a quoted string never spans lines; a literal joins two lines.
// A line of a FETCH response that is too long to be held is read in pieces that begin with an item.
#include "proxy/imap/reader.h"

#include <algorithm>

#include "base/text.h"
#include "proxy/imap/command.h"
#include "proxy/structure/value.h"

namespace kage::proxy {
namespace {

/// Octets of an item's name; field names in it may be many.
constexpr std::size_t kMaxName = 64 * 1024;
/// Of names that are long enough to be compared with the last one before they are read, and short enough to
/// be kept.
constexpr std::size_t kLongName = 64;
constexpr std::size_t kLongestKept = 2048;

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

enum class Scan : std::uint8_t { complete, wants_literal, broken };

/// To the space behind a name: one that stands in no brackets. Goes on where it stopped when a literal was
/// joined.
Scan walk_name(std::string_view line, std::size_t& at, std::size_t& depth) {
  while (at < line.size()) {
    const char c = line[at];
    if (c == ' ' && depth == 0) return Scan::complete;
    ++at;
    if (c == '"') {
      at = quoted_end(line, at);
      if (at == std::string_view::npos) return Scan::broken;
    } else if (c == '[') {
      ++depth;
    } else if (c == ']' && depth-- == 0) {
      return Scan::broken;
    }
  }
  return depth > 0 ? Scan::wants_literal : Scan::broken;
}

/// To the end of an atom, a quoted string or a balanced list.
Scan walk_value(std::string_view line, std::size_t& at, std::size_t& depth) {
  while (at < line.size()) {
    const char c = line[at];
    if (depth == 0 && (c == ' ' || c == ')')) return Scan::complete;
    ++at;
    if (c == '"') {
      at = quoted_end(line, at);
      if (at == std::string_view::npos) return Scan::broken;
      if (depth == 0) return Scan::complete;
    } else if (c == '(') {
      ++depth;
    } else if (c == ')' && --depth == 0) {
      return Scan::complete;
    }
  }
  return depth > 0 ? Scan::wants_literal : Scan::broken;
}

}  // namespace

ImapReader::ImapReader(net::Stream& stream, ImapReaderLimits limits) : reader_(stream), limits_(limits) {}

net::Task<Result<ImapResponse>> ImapReader::next() {
  ImapFetchItem unread;
  while (in_fetch_) {
    const auto more = co_await next_item(unread);
    if (!more) co_return std::unexpected(more.error());
  }
  const auto line = co_await reader_.line(limits_.max_line);
  if (!line && line.error().code != Errc::limit) co_return std::unexpected(line.error());
  std::string_view rest = line ? *line : take_front();
  ImapResponse response;
  const bool is_response = !has_forbidden(rest) && read_start(rest, response);
  if (!line && response.name != "FETCH") co_return std::unexpected(line.error());
  if (!is_response) co_return fail(Errc::protocol, "not a response");
  if (response.kind != ImapResponse::Kind::untagged || is_status(response.name)) {
    if (response.kind == ImapResponse::Kind::tagged) std::string().swap(long_name_);
    response.text = rest;
    co_return response;
  }
  if (response.name == "FETCH") {
    if (!rest.starts_with('(')) co_return fail(Errc::protocol, "FETCH without items");
    line_.assign(rest);
    line_open_ = !line;
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
    const auto octets = co_await reader_.some(left);
    if (!octets) co_return std::unexpected(octets.error());
    if (octets->find('\0') != std::string_view::npos) co_return fail(Errc::protocol, "NUL in a response");
    text += *octets;
    left -= octets->size();
  }
  const auto line = co_await reader_.line(limits_.max_line);
  if (!line) co_return std::unexpected(line.error());
  if (has_forbidden(*line)) co_return fail(Errc::protocol, "not a response");
  if (text.size() + line->size() > max_octets) co_return fail(Errc::limit, "response too long");
  text += *line;
  co_return Result<>();
}

/// The front of a line that is longer than max_line, and so that much is there.
std::string_view ImapReader::take_front() {
  const std::string_view front = reader_.buffered().substr(0, limits_.max_line);
  // A CR may be half of the line's end.
  return reader_.take(front.size() - (front.ends_with('\r') ? 1 : 0));
}

/// The response goes on with this line.
Result<> ImapReader::begin_line(std::string_view line) {
  if (has_forbidden(line)) return fail(Errc::protocol, "not a response");
  line_.assign(line);
  at_ = 0;
  line_due_ = line_open_ = false;
  return {};
}

net::Task<Result<>> ImapReader::read_line() {
  const auto line = co_await reader_.line(limits_.max_line);
  if (!line && line.error().code != Errc::limit) co_return std::unexpected(line.error());
  const auto begun = begin_line(line ? *line : take_front());
  line_open_ = !line;
  co_return begun;
}

net::Task<Result<>> ImapReader::skip_literal() {
  while (literal_left_ > 0) {
    const auto bytes = co_await chunk();
    if (!bytes) co_return std::unexpected(bytes.error());
  }
  co_return Result<>();
}

net::Prompt<Result<bool>> ImapReader::next_item(ImapFetchItem& item) {
  item.name.clear();
  item.value.clear();
  item.too_large = item.streams = item.binary = false;
  item.size = 0;
  if (!in_fetch_) return Result<bool>(false);
  if (literal_left_ == 0) {
    const auto step = scan(item);
    if (!step) return Result<bool>(std::unexpected(step.error()));
    if (*step == Step::item || *step == Step::end) return Result<bool>(*step == Step::item);
  }
  return read_item(item);
}

/// The same for an item that is not all there yet.
net::Task<Result<bool>> ImapReader::read_item(ImapFetchItem& item) {
  auto ready = co_await skip_literal();
  while (ready) {
    const auto step = scan(item);
    if (!step) co_return std::unexpected(step.error());
    if (*step == Step::item || *step == Step::end) co_return *step == Step::item;
    if (*step == Step::wants_line) {
      ready = co_await read_line();
      continue;
    }
    const auto dropped = *step == Step::wants_more ? co_await read_more() : co_await join_to_item();
    if (!dropped) co_return std::unexpected(dropped.error());
    item.too_large = *dropped;
    if (*dropped) co_return true;
  }
  co_return std::unexpected(ready.error());
}

void ImapReader::begin_part(Part part) {
  while (at_ < line_.size() && line_[at_] == ' ') ++at_;
  part_ = part;
  start_ = at_;
  depth_ = 0;
}

/// Goes on with the item that is being read.
Result<ImapReader::Step> ImapReader::scan(ImapFetchItem& item) {
  if (line_due_) {
    std::string_view line;
    if (!reader_.take_line(limits_.max_line, line)) return Step::wants_line;
    if (auto begun = begin_line(line); !begun) return std::unexpected(begun.error());
  }
  if (part_ == Part::value) return scan_value(item);
  if (part_ == Part::none) {
    begin_part(Part::name);
    item_ = start_;
  }
  return scan_name(item);
}

Result<ImapReader::Step> ImapReader::scan_name(ImapFetchItem& item) {
  if (at_ == start_ && at_ < line_.size() && line_[at_] == ')') {
    if (line_open_) return Step::wants_more;
    if (line_.find_first_not_of(' ', at_ + 1) != std::string::npos) {
      return fail(Errc::protocol, "more behind a FETCH response");
    }
    end_fetch();
    return Step::end;
  }
  const bool known =
      at_ == start_ && !long_name_.empty() && std::string_view(line_).substr(at_).starts_with(long_name_);
  if (known) {
    at_ += long_name_.size() - 1;
    return take_name(item);
  }
  const Scan found = walk_name(line_, at_, depth_);
  if (line_open_ && found != Scan::complete) return Step::wants_more;
  if (found == Scan::broken || at_ == start_ || at_ - start_ > kMaxName) {
    return fail(Errc::protocol, "not a FETCH item");
  }
  if (found == Scan::wants_literal) return Step::wants_literal;
  const std::size_t size = at_ - start_;
  if (size >= kLongName && size < kLongestKept) long_name_.assign(line_, start_, size + 1);
  return take_name(item);
}

/// The name ends here.
Result<ImapReader::Step> ImapReader::take_name(ImapFetchItem& item) {
  item.name.assign(line_, start_, at_ - start_);
  begin_part(Part::value);

  const std::string_view rest = std::string_view(line_).substr(at_);
  if (!rest.starts_with('{') && !rest.starts_with("~{")) return scan_value(item);
  // It ends with its line.
  if (line_open_) return Step::wants_more;
  const auto mark = literal_mark(rest);
  if (!mark || mark->size > limits_.max_literal) return fail(Errc::protocol, "not a literal");
  item.streams = true;
  item.binary = rest.front() == '~';
  item.size = mark->size;
  literal_left_ = mark->size;
  line_due_ = true;
  part_ = Part::none;
  return Step::item;
}

Result<ImapReader::Step> ImapReader::scan_value(ImapFetchItem& item) {
  const Scan found = walk_value(line_, at_, depth_);
  if (line_open_ && found != Scan::complete) return Step::wants_more;
  if (found == Scan::wants_literal) return Step::wants_literal;
  if (found == Scan::broken || at_ == start_) return fail(Errc::protocol, "not a FETCH value");
  item.too_large = at_ - start_ > limits_.max_value;
  if (!item.too_large) item.value.assign(line_, start_, at_ - start_);
  part_ = Part::none;
  return Step::item;
}

/// The name or value goes on behind a literal. True: the value was too large, and is gone.
net::Task<Result<bool>> ImapReader::join_to_item() {
  const std::size_t before = line_.size();
  const auto mark = literal_mark(line_);
  const bool value = part_ == Part::value;
  if (value && mark && mark->size > limits_.max_value - std::min(limits_.max_value, before - start_)) {
    if (mark->size > limits_.max_literal) co_return fail(Errc::protocol, "not a literal");
    co_return co_await skip_value(ImapValueSkip(depth_, mark->size), before);
  }
  const auto joined =
      co_await join_literal(line_, value ? start_ + limits_.max_value + limits_.max_line : before + kMaxName);
  if (joined) {
    at_ = before + 2 + mark->size;
    co_return false;
  }
  // The line behind the literal is longer than any that is held.
  const bool skips = value && joined.error().code == Errc::limit;
  if (!skips) co_return std::unexpected(joined.error());
  co_return co_await skip_value(ImapValueSkip(depth_), line_.size());
}

/// The line is open, and the item goes on beyond what is held of it: that much again, from the item's begin.
/// True as in join_to_item().
net::Task<Result<bool>> ImapReader::read_more() {
  if (item_ == 0) {
    if (part_ == Part::name) co_return fail(Errc::limit, "a long name of a FETCH item");
    co_return co_await skip_value(ImapValueSkip(), start_);
  }
  reader_.unread(std::string_view(line_).substr(item_));
  part_ = Part::none;
  const auto read = co_await read_line();
  if (!read) co_return std::unexpected(read.error());
  co_return false;
}

/// Drops the rest of a value, which goes on at `from` of the line that is held, and then in the stream.
net::Task<Result<bool>> ImapReader::skip_value(ImapValueSkip skip, std::size_t from) {
  std::string_view octets = std::string_view(line_).substr(from);
  auto state = skip.feed(octets);
  if (state == ImapValueSkip::State::ended) reader_.unread(octets);
  std::string().swap(line_);
  while (state == ImapValueSkip::State::more) {
    const auto bytes = co_await reader_.chunk();
    if (!bytes) co_return std::unexpected(bytes.error());
    if (bytes->empty()) co_return fail(Errc::closed, "end of stream");
    octets = *bytes;
    state = skip.feed(octets);
    if (state == ImapValueSkip::State::ended) reader_.unread(octets);
  }
  if (state == ImapValueSkip::State::broken) co_return fail(Errc::protocol, "not a FETCH value");
  at_ = 0;
  part_ = Part::none;
  line_due_ = true;
  co_return true;
}

net::Prompt<Result<std::string_view>> ImapReader::chunk() {
  if (literal_left_ == 0) return Result<std::string_view>(std::string_view());
  const std::string_view there = reader_.take(literal_left_);
  if (there.empty()) return read_chunk();
  literal_left_ -= there.size();
  return Result<std::string_view>(there);
}

net::Task<Result<std::string_view>> ImapReader::read_chunk() {
  const auto octets = co_await reader_.some(literal_left_);
  if (octets) literal_left_ -= octets->size();
  co_return octets;
}

void ImapReader::end_fetch() {
  in_fetch_ = false;
  at_ = 0;
  part_ = Part::none;
  line_.clear();
  // Idle connections own no buffer.
  if (!has_more()) std::string().swap(line_);
}

bool ImapReader::has_more() const {
  return !reader_.buffered().empty();
}

void ImapReader::unread(std::string_view octets) {
  reader_.unread(octets);
}

}  // namespace kage::proxy
