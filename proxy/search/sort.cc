// Sorting by visible header fields.
#include "proxy/search/sort.h"

#include <algorithm>
#include <array>
#include <memory>
#include <unordered_map>
#include <utility>

#include "base/text.h"
#include "mapping/routes/anonymity.h"
#include "mapping/visible/header.h"
#include "message/address.h"
#include "message/address_list.h"
#include "message/encoded_word.h"
#include "message/header.h"
#include "proxy/search/ask.h"
#include "proxy/search/text.h"

namespace kage::proxy {

namespace {

using By = SortKey::By;

/// Messages that are sorted here; each costs a header block from the upstream.
constexpr std::size_t kMaxSorted = 50'000;
constexpr std::size_t kMaxHeader = 256 * 1024;
constexpr std::size_t kMaxSubject = 2000;
constexpr std::size_t kMaxValue = 256;

std::string_view field_of(By by) {
  switch (by) {
    case By::from:
    case By::display_from:
      return "from";
    case By::to:
    case By::display_to:
      return "to";
    case By::cc:
      return "cc";
    default:
      return "subject";
  }
}

/// The first address: its mailbox (RFC 5256 §3), or its name and else the whole address (RFC 5957 §3).
std::string address_value(By by, const std::string& body) {
  const auto items = message::parse_address_list(body);
  if (!items) return {};
  for (const message::ListItem& item : *items) {
    const bool display = by == By::display_from || by == By::display_to;
    const std::string name = message::decode_words(item.phrase, true);
    // A group's name is its mailbox in ENVELOPE (RFC 9051 §7.5.2).
    if (item.kind == message::ListItem::Kind::group_start) return name;
    if (!item.address) continue;
    if (!display) return item.address->local;
    return name.empty() ? item.address->local + "@" + item.address->domain : name;
  }
  return {};
}

/// "[…]" at the front, without brackets inside: its length, with the white space behind it.
std::size_t blob_size(std::string_view text) {
  if (!text.starts_with('[')) return 0;
  const std::size_t end = text.find_first_of("[]", 1);
  if (end == text.npos || text[end] != ']') return 0;
  return std::min(text.find_first_not_of(' ', end + 1), text.size());
}

/// "re:", "fw [blob]:", "fwd:" at the front: its length.
std::size_t reply_size(std::string_view text) {
  for (const std::string_view word : {"re", "fwd", "fw"}) {
    if (!starts_with_nocase(text, word)) continue;
    std::size_t at = std::min(text.find_first_not_of(' ', word.size()), text.size());
    at += blob_size(text.substr(at));
    if (at < text.size() && text[at] == ':') return at + 1;
  }
  return 0;
}

std::string_view without_trailer(std::string_view text) {
  while (true) {
    text = trim(text);
    if (text.size() < 5 || !equals_nocase(text.substr(text.size() - 5), "(fwd)")) return text;
    text.remove_suffix(5);
  }
}

std::string_view without_leader(std::string_view text) {
  while (true) {
    text = trim(text);
    // Blobs before a "re:" belong to it.
    std::size_t at = 0;
    for (std::size_t blob = blob_size(text); blob > 0; blob = blob_size(text.substr(at))) at += blob;
    const std::size_t reply = reply_size(text.substr(at));
    if (reply > 0) {
      text.remove_prefix(at + reply);
      continue;
    }
    const std::size_t blob = blob_size(text);
    if (blob == 0 || trim(text.substr(blob)).empty()) return text;
    text.remove_prefix(blob);
  }
}

}  // namespace

bool is_sensitive(By by) {
  return by != By::arrival && by != By::date && by != By::size;
}

std::string base_subject(std::string_view subject) {
  std::string flat(subject.substr(0, kMaxSubject));
  std::ranges::replace_if(flat, [](char c) { return c == '\t' || c == '\r' || c == '\n'; }, ' ');
  const auto doubled = std::ranges::unique(flat, [](char a, char b) { return a == ' ' && b == ' '; });
  flat.erase(doubled.begin(), doubled.end());
  std::string_view text = flat;
  while (true) {
    text = without_leader(without_trailer(text));
    if (!starts_with_nocase(text, "[fwd:") || !text.ends_with(']')) return std::string(text);
    text = text.substr(5, text.size() - 6);
  }
}

std::string sort_value(By by, std::string_view visible_header) {
  const auto fields = message::tokenize(visible_header);
  if (!fields) return {};
  for (const message::Field& field : *fields) {
    if (!field.is(field_of(by))) continue;
    const std::string body = message::unfold(field.body);
    std::string value =
        by == By::subject ? base_subject(message::decode_words(body)) : address_value(by, body);
    return casemap(value).substr(0, kMaxValue);
  }
  return {};
}

net::Task<Result<FoundNumbers>> ask_subjects(ImapCore& core, bool uid, std::string keys,
                                             std::vector<std::string> texts) {
  std::string command = uid ? "UID SEARCH" : "SEARCH";
  if (!core.utf8) command += " CHARSET UTF-8";
  command += " " + keys;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    command += i + 1 < texts.size() ? " OR SUBJECT " : " SUBJECT ";
    command += imap_string(texts[i]);
  }
  co_return co_await ask_numbers(core, std::move(command));
}

std::vector<std::string> texts_of_addresses() {
  return {"%40", "=40", "&#", "&commat", "\xef\xbc\xa0", "\xef\xb9\xab", "@"};
}

namespace {

/// 184 and 186, each digit in either width: in a subject they may be a marker that is not shown (contract
/// R7.1).
void add_markers(std::vector<std::string>& texts) {
  constexpr std::array<std::string_view, 2> kOnes = {"1", "１"}, kEights = {"8", "８"};
  for (const std::string_view one : kOnes) {
    for (const std::string_view eight : kEights) {
      for (const std::string_view last : {"4", "４", "6", "６"})
        texts.push_back(std::string(one).append(eight).append(last));
    }
  }
}

/// Whether a marker may be cut out of the subjects that this login sees.
bool cuts_markers(const mapping::Audience& audience) {
  return std::ranges::any_of(audience.members, [](const mapping::Member* member) {
    const mapping::AddressSpec& spec = member->address->spec;
    return !spec.keep_marker && mapping::may_show_authors(spec);
  });
}

class Sorter {
 public:
  Sorter(ImapCore& core, const SearchRequest& request, std::string keys)
      : core_(core), request_(request), keys_(std::move(keys)) {}

  net::Task<Result<ImapStatus>> run() {
    auto divided = co_await divide();
    if (!divided) co_return std::unexpected(std::move(divided.error()));
    if (*divided) co_return std::move(**divided);
    std::string command = request_.uid ? "UID " : "";
    command += theirs_.empty() ? "SEARCH " : "SORT (" + write_sort(theirs_) + ") UTF-8 ";
    command += keys_;
    auto found = co_await ask_numbers(core_, std::move(command));
    if (!found) co_return std::unexpected(std::move(found.error()));
    if (found->status.name != "OK") co_return std::move(found->status);
    auto& numbers = found->numbers;
    if (theirs_.empty()) std::ranges::sort(numbers);
    if (!ours_.empty()) {
      if (numbers.size() > kMaxSorted) co_return ImapStatus{"NO", "[LIMIT] too many messages to sort"};
      const auto read = co_await read_values(numbers);
      if (!read) co_return std::unexpected(read.error());
      sort_here(numbers);
    }
    answer(*found);
    co_return std::move(found->status);
  }

 private:
  using Values = std::vector<std::string>;

  /// Who sorts by what. A status: the upstream refused to say.
  net::Task<Result<std::optional<ImapStatus>>> divide() {
    bool subjects = false;
    if (std::ranges::any_of(request_.sort, [](SortKey key) { return key.by == By::subject; })) {
      auto texts = texts_of_addresses();
      if (cuts_markers(core_.audience)) add_markers(texts);
      auto found = co_await ask_subjects(core_, request_.uid, keys_, std::move(texts));
      if (!found) co_return std::unexpected(std::move(found.error()));
      if (found->status.name != "OK") co_return std::move(found->status);
      subjects = !found->numbers.empty();
    }
    for (const SortKey key : request_.sort) {
      const bool hidden = is_sensitive(key.by) && (key.by != By::subject || subjects);
      if (!hidden) {
        theirs_.push_back(key);
      } else if (theirs_.empty()) {
        ours_.push_back(key);
      }
    }
    co_return std::nullopt;
  }

  net::Task<Result<>> read_values(std::vector<std::uint32_t> numbers) {
    std::ranges::sort(numbers);
    SeenOctets seen = [this](std::uint32_t number, std::string block) { see(number, block); };
    co_return co_await look(core_, request_.uid, numbers, "BODY.PEEK[HEADER]", kMaxHeader + 1, &seen);
  }

  void see(std::uint32_t number, std::string_view block) {
    Values& values = values_[number];
    values.assign(ours_.size(), {});
    if (block.size() > kMaxHeader) return;
    const auto viewer = mapping::choose_viewer(*core_.audience.routes, core_.audience.members, block);
    std::string visible;
    std::vector<mapping::PhantomWrite> fresh;  // nothing of it is shown
    core_.view.show(viewer, mapping::BlockKind::message, block, visible, fresh);
    for (std::size_t i = 0; i < ours_.size(); ++i) values[i] = sort_value(ours_[i].by, visible);
  }

  /// Keeps the upstream's order of what is equal here.
  void sort_here(std::vector<std::uint32_t>& numbers) {
    std::vector<std::pair<const Values*, std::size_t>> places;
    for (std::size_t i = 0; i < numbers.size(); ++i) places.emplace_back(&values_[numbers[i]], i);
    std::ranges::sort(places, [this](const auto& a, const auto& b) {
      const int order = compare(*a.first, *b.first);
      return order != 0 ? order < 0 : a.second < b.second;
    });
    std::vector<std::uint32_t> sorted;
    for (const auto& [values, place] : places) sorted.push_back(numbers[place]);
    numbers = std::move(sorted);
  }

  [[nodiscard]] int compare(const Values& left, const Values& right) const {
    for (std::size_t i = 0; i < ours_.size(); ++i) {
      // What is gone by now sorts first, as what has no such field.
      const int order = i < left.size() && i < right.size()
                            ? left[i].compare(right[i])
                            : static_cast<int>(left.size()) - static_cast<int>(right.size());
      if (order != 0) return (order > 0) == ours_[i].reverse ? -1 : 1;
    }
    return 0;
  }

  void answer(const FoundNumbers& found) {
    std::string line = "* SORT";
    for (const std::uint32_t number : found.numbers) line.append(" ").append(std::to_string(number));
    if (!found.modseq.empty()) line += " (MODSEQ " + found.modseq + ")";
    core_.out.add(line + "\r\n");
  }

  ImapCore& core_;
  const SearchRequest& request_;
  std::string keys_;
  std::vector<SortKey> ours_, theirs_;
  std::unordered_map<std::uint32_t, Values> values_;
};

}  // namespace

net::Task<Result<ImapStatus>> run_sort(ImapCore& core, const SearchRequest& request, std::string keys) {
  const auto sorter = std::make_unique<Sorter>(core, request, std::move(keys));
  co_return co_await sorter->run();
}

}  // namespace kage::proxy
