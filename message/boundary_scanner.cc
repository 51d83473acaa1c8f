// Looks for '-' rather than for line ends: base64, which is most of what there is to scan, has none.
#include "message/boundary_scanner.h"

#include <algorithm>
#include <utility>

namespace kage::message {

void BoundaryScanner::push(std::string boundary) {
  levels_.push_back({std::move(boundary), false});
  restart();
}

void BoundaryScanner::truncate(std::size_t count) {
  if (count < levels_.size()) levels_.resize(count);
}

void BoundaryScanner::restart() {
  line_.clear();
  in_line_ = false;
}

std::optional<BoundaryScanner::Hit> BoundaryScanner::judge(std::string_view line) const {
  if (!line.starts_with("--") || line.size() >= kMaxLine) return std::nullopt;
  line.remove_prefix(2);
  std::optional<Hit> best;
  for (std::size_t i = levels_.size(); i-- > 0;) {
    const Level& level = levels_[i];
    if (best) {
      const Level& other = levels_[best->level];
      const std::size_t size = other.boundary.size();
      const bool better =
          level.boundary.size() == size ? other.closed && !level.closed : level.boundary.size() > size;
      if (!better) continue;
    }
    if (!line.starts_with(level.boundary)) continue;
    best = Hit{i, line.substr(level.boundary.size()).starts_with("--")};
  }
  return best;
}

bool BoundaryScanner::may_be_delimiter(std::string_view beginning) const {
  if (levels_.empty() || beginning.size() >= kMaxLine) return false;
  return beginning.substr(0, 2) == std::string_view("--").substr(0, beginning.size());
}

/// Goes on with a line that was cut. False: it goes on behind `input`.
bool BoundaryScanner::resume(std::string_view input, std::size_t& at, std::optional<Hit>& hit) {
  const std::size_t end = std::min(input.find('\n'), input.size());
  if (line_.size() + end < kMaxLine) {
    line_.append(input.substr(0, end));
    if (may_be_delimiter(line_)) {
      if (end == input.size()) return false;
      hit = judge(line_);
      line_.clear();
      at = end + 1;
      return true;
    }
  }
  line_.clear();
  in_line_ = true;
  return true;
}

/// `at` begins a line. The first such place that begins with "--" as far as there is input; the size of
/// `input` when there is none.
std::size_t BoundaryScanner::next_candidate(std::string_view input, std::size_t at) {
  while (at < input.size()) {
    if (input[at] == '-' && (at + 1 == input.size() || input[at + 1] == '-')) return at;
    const std::size_t dash = input.find('-', at + 1);
    if (dash == std::string_view::npos) {
      in_line_ = input.back() != '\n';
      return input.size();
    }
    if (input[dash - 1] == '\n') {
      at = dash;
      continue;
    }
    const std::size_t end = input.find('\n', dash);
    if (end == std::string_view::npos) {
      in_line_ = true;
      return input.size();
    }
    at = end + 1;
  }
  return at;
}

std::size_t BoundaryScanner::scan(std::string_view input, std::optional<Hit>& hit) {
  hit.reset();
  if (levels_.empty()) return input.size();
  std::size_t at = 0;
  if (!line_.empty() && !input.empty()) {
    if (!resume(input, at, hit)) return input.size();
    if (hit) return at;
  }
  while (at < input.size()) {
    if (in_line_) {
      const std::size_t end = input.find('\n', at);
      if (end == std::string_view::npos) return input.size();
      at = end + 1;
      in_line_ = false;
    }
    at = next_candidate(input, at);
    if (at == input.size()) break;
    const std::size_t end = std::min(input.substr(at, kMaxLine).find('\n'), input.size() - at);
    if (end >= kMaxLine) {
      in_line_ = true;
    } else if (at + end == input.size()) {
      line_.assign(input.substr(at));
      break;
    } else {
      hit = judge(input.substr(at, end));
      at += end + 1;
      if (hit) return at;
    }
  }
  return input.size();
}

}  // namespace kage::message
