// The walker: what is read is always one of a header block, the content of a leaf or what lies between parts,
// or something that is masked. What can hold nothing passes as it is.
#include "mapping/visible/message.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "mapping/visible/cid.h"
#include "mapping/visible/mask.h"
#include "mapping/visible/report.h"
#include "message/boundary_scanner.h"
#include "message/header.h"

namespace kage::mapping {
namespace {

using message::BoundaryScanner;
using Kind = ContentKind::Kind;

constexpr std::size_t kMaxBlock = message::HeaderLimits{}.max_octets;  // beyond it nothing is shown
constexpr unsigned kMaxDepth = 32;
constexpr unsigned kMaxBlocks = 10'000;  // of one message; each costs much more than its octets
constexpr unsigned kMaxCids = 10'000;
constexpr std::size_t kKeep = 4096;  // capacity that is worth keeping for the next small block

void release(std::string& buffer) {
  buffer.clear();
  if (buffer.capacity() > kKeep) std::string().swap(buffer);
}

/// Whole lines from `at` on that end no block: neither an empty one nor a delimiter. Where the others begin.
std::size_t behind_fields(std::string_view text, std::size_t at) {
  while (at < text.size() && text[at] != '-' && text[at] != '\r' && text[at] != '\n') {
    const std::size_t end = text.find('\n', at);
    if (end == std::string_view::npos) break;
    at = end + 1;
  }
  return at;
}

bool is_empty_line(std::string_view line) {
  return line == "\r\n" || line == "\n";
}

}  // namespace

struct VisibleMessage::State {
  enum class Mode : std::uint8_t {
    pass,   ///< nothing more to look for
    scan,   ///< a leaf, a preamble or an epilogue: passes up to the next delimiter line
    block,  ///< a block of fields is gathered
    mask,
  };
  enum class Role : std::uint8_t { whole, message, part, headers, report };
  struct Level {
    bool digest = false;
    unsigned depth = 0;       ///< of what its parts hold
    bool like_a_url = false;  ///< its delimiter lines could be taken for `cid:` URLs
  };

  explicit State(HeaderView& header_view) : view(&header_view) {}
  State(const State&) = default;

  std::string_view next(std::string_view& input);
  std::string_view finish();
  std::string_view scan(std::string_view& input);
  std::string_view scan_html(std::string_view& input);
  void show_cid();
  std::string_view gather(std::string_view& input);
  std::string_view show_at_once(std::string_view& input);
  std::string_view end_block(std::string_view block, std::string_view delimiter);
  void overflow();
  ContentFields show(std::string_view block);
  void behind_block(const ContentFields& content);
  void enter(ContentKind kind);
  void begin_block(Role as);
  void begin_mask(StreamMask::Style style);
  void on_hit(BoundaryScanner::Hit hit);
  void on_event(const StreamMask::Event& event);

  // For whom.
  HeaderView* view;
  Audience audience;  ///< of a whole message, until the viewer is chosen; its routes keep the viewer alive
  Viewer viewer;

  // Where.
  Mode mode = Mode::block;
  Role role = Role::whole;
  BoundaryScanner boundaries;
  std::vector<Level> levels;  ///< beside `boundaries`
  unsigned depth = 0;
  unsigned blocks = 0;  ///< header blocks so far
  unsigned shown_cids = 0;
  std::optional<CidFilter> cids;  ///< in a leaf of HTML
  StreamMask mask;
  ContentKind masked_kind;  ///< of what follows a header block that is masked

  std::string held;            ///< block in progress
  std::size_t line_begin = 0;  ///< of its last line

  std::string out;
  std::vector<PhantomWrite> fresh;
};

void VisibleMessage::State::begin_block(Role as) {
  if (++blocks > kMaxBlocks) {
    begin_mask(StreamMask::Style::blank);
    return;
  }
  role = as;
  mode = Mode::block;
  release(held);
  line_begin = 0;
}

void VisibleMessage::State::begin_mask(StreamMask::Style style) {
  mode = Mode::mask;
  mask.start(style);
}

void VisibleMessage::State::on_hit(BoundaryScanner::Hit hit) {
  cids.reset();
  boundaries.truncate(hit.level + 1);
  levels.resize(hit.level + 1);
  depth = levels.back().depth;
  if (hit.close) {
    boundaries.close(hit.level);
    boundaries.restart();
    mode = Mode::scan;
  } else {
    begin_block(Role::part);
  }
}

void VisibleMessage::State::on_event(const StreamMask::Event& event) {
  if (event.hit) {
    on_hit(*event.hit);
  } else if (event.block_ended) {
    enter(std::exchange(masked_kind, {}));
  }
}

/// What stands behind a header: a part's or message's content.
void VisibleMessage::State::enter(ContentKind kind) {
  const bool container = kind.kind == Kind::multipart || kind.kind == Kind::message;
  if (kind.kind == Kind::hidden || (container && depth == kMaxDepth)) {
    begin_mask(StreamMask::Style::blank);
    return;
  }
  switch (kind.kind) {
    case Kind::multipart:
      levels.push_back({kind.digest, ++depth, lower(kind.boundary).find("cid:") != std::string::npos});
      boundaries.push(std::move(kind.boundary));
      mode = Mode::scan;
      break;
    case Kind::message:
      ++depth;
      begin_block(Role::message);
      break;
    case Kind::headers:
      begin_block(Role::headers);
      break;
    case Kind::report:
      begin_block(Role::report);
      break;
    default:
      boundaries.restart();
      if (kind.html && std::ranges::none_of(levels, &Level::like_a_url)) cids.emplace(kind.encoding);
      mode = levels.empty() && !cids ? Mode::pass : Mode::scan;
  }
}

/// Appends the visible form of a block.
ContentFields VisibleMessage::State::show(std::string_view block) {
  ContentFields content;
  if (block.empty() || is_empty_line(block)) {
    out.append(block);
    return content;
  }
  const std::size_t before = out.size();
  if (role == Role::report) {
    show_report_block(block, out);
  } else {
    view->show(viewer, role == Role::part ? BlockKind::part : BlockKind::message, block, out, fresh,
               &content);
  }
  if (out.size() - before == block.size()) return content;
  // Never another size than the one that was told to the client, and never the original (contract R3.8).
  out.resize(before);
  append_blanked(block, out);
  return content;
}

void VisibleMessage::State::behind_block(const ContentFields& content) {
  if (role == Role::headers || role == Role::report) {
    begin_block(role);  // these contents are nothing but blocks
  } else {
    const bool in_digest = role == Role::part && levels.back().digest;
    enter(content_kind(content, in_digest));
  }
}

/// A block is complete: its visible form, and the delimiter line that ended it, if one did.
std::string_view VisibleMessage::State::end_block(std::string_view block, std::string_view delimiter) {
  if (role == Role::whole) viewer = choose_viewer(*audience.routes, audience.members, block);
  if (viewer.own) {
    mode = Mode::pass;
    return block;
  }
  const ContentFields content = show(block);
  if (delimiter.empty()) {
    behind_block(content);
  } else {
    out.append(delimiter);
    if (delimiter.ends_with('\n')) delimiter.remove_suffix(1);
    on_hit(*boundaries.judge(delimiter));
  }
  return out;
}

/// The block is too large: filler takes its place, beginning with what is held. What follows is read as the
/// held part says; when that does not tell, nobody sees it.
void VisibleMessage::State::overflow() {
  if (role == Role::whole) {
    viewer = choose_viewer(*audience.routes, audience.members, held);
    viewer.own = false;  // a trace field may follow
  }
  if (role == Role::headers || role == Role::report) {
    masked_kind.kind = role == Role::headers ? Kind::headers : Kind::report;
  } else {
    masked_kind = content_kind_of_front(held, role == Role::part && levels.back().digest);
  }
  const std::string all = std::exchange(held, {});
  begin_mask(StreamMask::Style::filler);
  std::string_view rest = all;
  on_event(mask.feed(rest, boundaries, out));
}

/// The usual beginning of a message: an ordinary block that ends in `input`, where no boundary could end it.
/// Its lines are looked at once instead of twice. Empty: it is another one.
std::string_view VisibleMessage::State::show_at_once(std::string_view& input) {
  if (role == Role::whole) {
    auto known = viewer_from_front(*audience.routes, audience.members, input);
    if (!known) return {};
    viewer = std::move(*known);
  }
  ContentFields content;
  const std::size_t size =
      view->show_front(viewer, BlockKind::message, input.substr(0, kMaxBlock), out, fresh, content);
  if (out.size() != size) out.clear();
  if (out.empty()) return {};
  input.remove_prefix(size);
  behind_block(content);
  return out;
}

/// Gathers a block up to its empty line or the delimiter line that ends it. Copies nothing when all of it
/// lies in `input`. A block is too large when a line of it, other than a delimiter, ends beyond kMaxBlock:
/// that does not depend on how the stream is cut.
std::string_view VisibleMessage::State::gather(std::string_view& input) {
  if (held.empty() && levels.empty() && (role == Role::whole || role == Role::message)) {
    if (const std::string_view shown = show_at_once(input); !shown.empty()) return shown;
  }
  std::size_t at = 0;  // of the line in `input`
  while (true) {
    const bool begun_before = at == 0 && line_begin < held.size();
    if (!begun_before) at = behind_fields(input.substr(0, kMaxBlock - std::min(kMaxBlock, held.size())), at);
    const std::size_t end = input.find('\n', at);
    if (end == std::string_view::npos) {
      if (at > 0) line_begin = held.size() + at;
      held.append(std::exchange(input, {}));
      const std::string_view line = std::string_view(held).substr(line_begin);
      if (held.size() <= kMaxBlock || boundaries.may_be_delimiter(line)) return {};
      overflow();
      return out;
    }
    if (begun_before) {
      held.append(input.substr(0, end + 1));
      input.remove_prefix(end + 1);
    }
    const std::size_t block_end = begun_before ? held.size() : held.size() + end + 1;
    const std::string_view line =
        begun_before ? std::string_view(held).substr(line_begin) : input.substr(at, end + 1 - at);
    const auto hit = boundaries.judge(line.substr(0, line.size() - 1));
    const bool too_large = !hit && block_end > kMaxBlock;
    if (hit || too_large || is_empty_line(line)) {
      const std::size_t block_size = block_end - (hit ? line.size() : 0);
      const std::string_view here = begun_before ? std::string_view() : input.substr(0, end + 1);
      input.remove_prefix(here.size());
      if (!held.empty() || too_large) held.append(here);
      if (too_large) {
        overflow();
        return out;
      }
      const std::string joined = std::exchange(held, {});
      const std::string_view all = joined.empty() ? here : std::string_view(joined);
      const std::string_view shown = end_block(all.substr(0, block_size), all.substr(block_size));
      if (joined.empty() || shown.data() == out.data()) return shown;
      out = shown;
      return out;
    }
    at = begun_before ? 0 : end + 1;
    line_begin = held.size();
  }
}

std::string_view VisibleMessage::State::scan(std::string_view& input) {
  std::optional<BoundaryScanner::Hit> hit;
  const std::string_view piece = input.substr(0, boundaries.scan(input, hit));
  input.remove_prefix(piece.size());
  if (hit) on_hit(*hit);
  return piece;
}

/// As scan(), with the ids of `cid:` URLs held and replaced.
std::string_view VisibleMessage::State::scan_html(std::string_view& input) {
  if (!cids->holding()) {
    std::string_view piece = input.substr(0, cids->skip(input));
    const std::size_t size = piece.size();
    const std::string_view shown = scan(piece);
    input.remove_prefix(size - piece.size());
    return shown;
  }
  bool done = false;
  const std::string_view piece = input.substr(0, cids->gather(input, done));
  std::optional<BoundaryScanner::Hit> hit;
  const std::size_t size = boundaries.scan(piece, hit);
  input.remove_prefix(size);
  if (hit) {
    cids->pass(piece.size() - size, out);  // a URL in the delimiter line itself
    on_hit(*hit);
  } else if (done) {
    show_cid();
  }
  return out;
}

void VisibleMessage::State::show_cid() {
  if (++shown_cids > kMaxCids) {
    cids->pass(0, out);
    return;
  }
  cids->show([this](std::string_view id) { return view->content_id(viewer, id); }, out);
}

std::string_view VisibleMessage::State::next(std::string_view& input) {
  release(out);
  while (!input.empty()) {
    switch (mode) {
      case Mode::pass:
        return std::exchange(input, {});
      case Mode::scan:
        if (!cids) return scan(input);
        if (const std::string_view shown = scan_html(input); !shown.empty()) return shown;
        break;
      case Mode::block:
        if (const std::string_view shown = gather(input); !shown.empty()) return shown;
        break;
      case Mode::mask:
        on_event(mask.feed(input, boundaries, out));
        if (!out.empty()) return out;
        break;
    }
  }
  return {};
}

std::string_view VisibleMessage::State::finish() {
  release(out);
  if (cids && cids->holding()) {
    show_cid();
  } else if (mode == Mode::mask) {
    mask.finish(boundaries, out);
  } else if (mode == Mode::block && !held.empty()) {
    const std::string all = std::exchange(held, {});
    const std::string_view last = std::string_view(all).substr(line_begin);
    const std::size_t size = boundaries.judge(last) ? line_begin : all.size();
    const std::string_view shown =
        end_block(std::string_view(all).substr(0, size), std::string_view(all).substr(size));
    if (shown.data() != out.data()) out = shown;
  }
  mode = Mode::pass;
  return out;
}

VisibleMessage VisibleMessage::whole(HeaderView& view, const Audience& audience) {
  auto state = std::make_unique<State>(view);
  state->audience = audience;
  return VisibleMessage(std::move(state));
}

VisibleMessage VisibleMessage::content(HeaderView& view, const Viewer& viewer, ContentKind kind) {
  auto state = std::make_unique<State>(view);
  state->viewer = viewer;
  if (viewer.own) {
    state->mode = State::Mode::pass;
  } else {
    state->enter(std::move(kind));
  }
  return VisibleMessage(std::move(state));
}

VisibleMessage::VisibleMessage(std::unique_ptr<State> state) : state_(std::move(state)) {}
VisibleMessage::VisibleMessage(const VisibleMessage& other) : state_(std::make_unique<State>(*other.state_)) {
  release(state_->out);
}
VisibleMessage& VisibleMessage::operator=(const VisibleMessage& other) {
  if (this != &other) *this = VisibleMessage(other);
  return *this;
}
VisibleMessage::VisibleMessage(VisibleMessage&&) noexcept = default;
VisibleMessage& VisibleMessage::operator=(VisibleMessage&&) noexcept = default;
VisibleMessage::~VisibleMessage() = default;

std::string_view VisibleMessage::next(std::string_view& input) {
  return state_->next(input);
}
std::string_view VisibleMessage::finish() {
  return state_->finish();
}
std::size_t VisibleMessage::held() const {
  const State& state = *state_;
  return state.held.size() + (state.mode == State::Mode::mask ? state.mask.held() : 0) +
         (state.cids ? state.cids->held() : 0);
}
std::vector<PhantomWrite> VisibleMessage::take_fresh() {
  return std::exchange(state_->fresh, {});
}

}  // namespace kage::mapping
