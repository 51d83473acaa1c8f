// Collects problems and prints them in the order of lines. Nothing here reads files.
#include "app/problems.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "app/terminal.h"
#include "message/utf8.h"

namespace kage::app {
namespace {

constexpr std::size_t kMaxShown = 100;
constexpr std::size_t kMaxQuoted = 100;
constexpr std::size_t kMaxWord = 64;

/// Levenshtein distance of two short words.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

}  // namespace

void Problems::add(std::size_t line, std::string_view where, std::string_view found,
                   std::string_view allowed) {
  const std::string at = rows_ ? fmt::format(": row {}, ", line) : fmt::format(":{}: ", line);
  problems_.push_back({line, fmt::format("{}{}{}: found {}; allowed: {}", file_, at, where, found, allowed)});
}

std::string Problems::place(std::size_t line) const {
  return fmt::format("{} {}", rows_ ? "row" : "line", line);
}

std::string Problems::text() const {
  std::vector<const Problem*> order;
  for (const Problem& problem : problems_) order.push_back(&problem);
  // Problems of one line stay in the order in which they were found: their addresses ascend.
  std::ranges::sort(order, {}, [](const Problem* p) { return std::pair(p->line, p); });
  std::string out;
  for (std::size_t i = 0; i < order.size() && i < kMaxShown; ++i) {
    if (i > 0) out += '\n';
    out += order[i]->text;
  }
  if (order.size() > kMaxShown) {
    out += fmt::format("\n{}: {} more problems", file_, order.size() - kMaxShown);
  }
  return out;
}

std::string quote(std::string_view text) {
  std::string inner;
  for (const char c : text.substr(0, message::utf8_floor(text, kMaxQuoted))) {
    if (c == '"' || c == '\\') inner += '\\';
    inner += c;
  }
  return "\"" + printable(inner) + (text.size() > kMaxQuoted ? "...\"" : "\"");
}

std::string quote_choices(std::string_view choices) {
  std::string out;
  while (true) {
    const std::size_t bar = choices.find('|');
    const std::string word = quote(choices.substr(0, bar));
    if (!out.empty()) out += bar == std::string_view::npos ? " or " : ", ";
    out += word;
    if (bar == std::string_view::npos) return out;
    choices.remove_prefix(bar + 1);
  }
}

std::string nearest_word(std::string_view word, const std::vector<std::string_view>& known) {
  if (word.size() > kMaxWord) return {};
  std::string_view best;
  std::size_t best_distance = std::max<std::size_t>(2, word.size() / 3) + 1;
  for (const std::string_view candidate : known) {
    const std::size_t found = distance(word, candidate);
    if (found < best_distance && found < candidate.size()) {
      best = candidate;
      best_distance = found;
    }
  }
  return std::string(best);
}

}  // namespace kage::app
