// A second look through percent-encoding and its like, and the widening of what find_addresses() found.
#include "mapping/rewrite/hits.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/text.h"
#include "message/address_text.h"

namespace kage::mapping {
namespace {

/// The size of a character reference to '@' at the front ("&#64;", "&#x0040;", "&commat;"), else 0.
std::size_t reference_size(std::string_view source) {
  constexpr std::string_view kNamed = "&commat;";
  if (source.starts_with(kNamed)) return kNamed.size();
  if (!source.starts_with("&#")) return 0;
  std::size_t at = 2;
  const bool hex = at < source.size() && to_lower(source[at]) == 'x';
  if (hex) ++at;
  const std::size_t zeros = source.find_first_not_of('0', at);
  if (zeros == std::string_view::npos || zeros - at > 16) return 0;
  const std::string_view rest = source.substr(zeros);
  return rest.starts_with(hex ? "40;" : "64;") ? zeros + 3 : 0;
}

/// Text with leftovers of quoted-printable ("=40"), of quoted strings ("\@") and character references
/// ("&#64;") decoded, and for each octet where it came from. Percent-encoding is find_addresses()'s own
/// business.
struct Unescaped {
  std::string text;
  std::vector<std::size_t> origin;  ///< one more than octets: the last is the end

  explicit Unescaped(std::string_view source) {
    text.reserve(source.size());
    origin.reserve(source.size() + 1);
    for (std::size_t at = 0; at < source.size();) {
      const auto [c, length] = next(source.substr(at));
      text.push_back(c);
      origin.push_back(at);
      at += length;
    }
    origin.push_back(source.size());
  }

  static bool needed(std::string_view source) {
    return source.find("=40") != std::string_view::npos || source.find("\\@") != std::string_view::npos ||
           may_refer_to_sign(source);
  }

 private:
  static std::pair<char, std::size_t> next(std::string_view source) {
    if (source[0] == '=') {
      const auto value = hex_octet(source.substr(1));
      if (value && *value > 0x20 && *value < 0x7f) return {static_cast<char>(*value), 3};
    }
    if (source.starts_with("\\@")) return {'@', 2};
    const std::size_t reference = source[0] == '&' ? reference_size(source) : 0;
    if (reference > 0) return {'@', reference};
    return {source[0], 1};
  }
};

bool ends_word(char c) {
  return is_wsp(c) || c == ',' || c == ';' || c == '<' || c == '>' || c == '(' || c == ')' || c == '"' ||
         c == '[' || c == ']' || static_cast<unsigned char>(c) < 0x20;
}

std::size_t word_begin(std::string_view text, std::size_t at) {
  while (at > 0 && !ends_word(text[at - 1])) --at;
  return at;
}

std::size_t word_end(std::string_view text, std::size_t at) {
  while (at < text.size() && !ends_word(text[at])) ++at;
  return at;
}

/// "a@b.example@c.example" is found as one address and a rest; the rest belongs to it.
void widen(std::string_view text, std::vector<Hit>& hits) {
  // The word that was looked at last: a long one may hold very many hits.
  std::size_t begin = 0;
  std::size_t end = 0;
  const auto find_word = [&](std::size_t at) {
    if (at >= begin && at < end) return;
    begin = word_begin(text, at);
    end = word_end(text, at);
  };
  for (Hit& hit : hits) {
    const bool before = hit.begin > 0 && text[hit.begin - 1] == '@';
    const bool behind = hit.end < text.size() && text[hit.end] == '@';
    if (before) {
      find_word(hit.begin - 1);
      hit.begin = begin;
    }
    if (behind) {
      find_word(hit.end);
      hit.end = end;
    }
    if (before || behind) hit.address = unreadable_address();
  }
}

bool covered(const std::vector<Hit>& hits, std::size_t& hint, std::size_t at) {
  while (hint < hits.size() && hits[hint].end <= at) ++hint;
  return hint < hits.size() && hits[hint].begin <= at;
}

/// Whether a word ends in something like ".example".
bool has_domain(std::string_view word) {
  const std::size_t dot = word.rfind('.');
  return dot != std::string_view::npos && dot > 0 && word.size() - dot > 2 &&
         std::ranges::all_of(word.substr(dot + 1), [](char c) { return is_alpha(c) || !is_ascii(c); });
}

/// What a domain that ends before `at` goes on with, dot first, when it is parted at a dot by white space:
/// "host." and "example", "host" and ".example". `end` is set to where that ends; empty when it does not go
/// on.
std::string continuation(std::string_view text, std::size_t at, std::size_t& end) {
  const bool dot_before = at > 0 && text[at - 1] == '.';
  if (!dot_before && at < text.size() && text[at] == '.') ++at;
  std::size_t next = at;
  while (next < text.size() && is_wsp(text[next])) ++next;
  std::size_t stop = next;
  while (stop < text.size() && (is_alnum(text[stop]) || text[stop] == '-' || text[stop] == '.')) ++stop;
  if (next == at || (stop < text.size() && text[stop] == '@')) return {};
  std::string_view labels = text.substr(next, stop - next);
  while (labels.ends_with('.')) labels.remove_suffix(1);
  const bool dot_behind = labels.starts_with('.');
  if (dot_behind) labels.remove_prefix(1);
  const bool dot = dot_behind || text[at - 1] == '.';
  if (labels.empty() || !dot) return {};
  // "by root@host." and "Please …": a sentence begins.
  const bool capital =
      labels.size() > 1 && labels[0] != to_lower(labels[0]) && labels[1] == to_lower(labels[1]);
  if (capital && !dot_behind && !labels.contains('.')) return {};
  end = static_cast<std::size_t>(labels.data() + labels.size() - text.data());
  return "." + std::string(labels);
}

/// Domains of which the first labels alone are one: "a@mail.host." and "host.example". One word behind a dot
/// is more likely the next sentence.
void add_folded_labels(std::string_view text, std::vector<Hit>& hits) {
  for (Hit& hit : hits) {
    std::size_t end = hit.end;
    const std::string more = continuation(text, hit.end, end);
    if (more.empty() || (text[hit.end] == '.' && !has_domain(std::string_view(more).substr(1)))) continue;
    hit.end = end;
    auto address = message::parse_address(hit.address.spelling + more);
    hit.address = address ? std::move(*address) : unreadable_address();
  }
}

/// Words with an '@' that find_addresses() took for no address.
class OddWords {
 public:
  OddWords(std::string_view text, Care care, const AddressIndex& index)
      : text_(text), care_(care), index_(index) {}

  std::vector<Hit> find(const std::vector<Hit>& hits) {
    std::size_t hint = 0;
    for (std::size_t at = text_.find('@'); at != std::string_view::npos; at = text_.find('@', at + 1)) {
      if (covered(hits, hint, at)) continue;
      const std::size_t begin = word_begin(text_, at);
      const std::size_t end = word_end(text_, at);
      if (begin < at && end > at + 1) {
        add_word(begin, end);
      } else if (care_ != Care::text) {
        add_beside(at, begin, end);
      }
      at = end - 1;
    }
    return std::move(odd_);
  }

 private:
  void add_word(std::size_t begin, std::size_t end) {
    auto address = message::parse_address(text_.substr(begin, end - begin));
    const bool known = address && index_.find(address->canonical()) != kNoAddress;
    if (!known && care_ == Care::folded) return add_folded(begin, end);
    if (!known && care_ != Care::strict) return;
    odd_.push_back({begin, end, address ? std::move(*address) : unreadable_address()});
  }

  /// "user@host. example": one address, if the white space is a fold.
  void add_folded(std::size_t begin, std::size_t end) {
    std::string word(text_.substr(begin, end - begin));
    while (word.ends_with('.')) word.pop_back();
    const std::size_t size = word.size();
    for (std::string more; !(more = continuation(text_, end, end)).empty();) word += more;
    if (word.size() == size || !has_domain(std::string_view(word).substr(word.rfind('@') + 1))) return;
    auto address = message::parse_address(word);
    odd_.push_back({begin, end, address ? std::move(*address) : unreadable_address()});
  }

  /// "user @host.example", "user@ host.example": one address, if the white space is a fold.
  void add_beside(std::size_t at, std::size_t begin, std::size_t end) {
    if (begin == at && end == at + 1) return;
    if (begin == at) {
      while (begin > 0 && is_wsp(text_[begin - 1])) --begin;
      begin = word_begin(text_, begin);
    } else {
      while (end < text_.size() && is_wsp(text_[end])) ++end;
      end = word_end(text_, end);
    }
    if (has_domain(text_.substr(at + 1, end - at - 1))) odd_.push_back({begin, end, unreadable_address()});
  }

  std::string_view text_;
  Care care_;
  const AddressIndex& index_;
  std::vector<Hit> odd_;
};

std::vector<Hit> find_plain(std::string_view text, Care care, const AddressIndex& index) {
  std::vector<Hit> hits;
  for (message::TextAddress& hit : message::find_addresses(text)) {
    hits.push_back({hit.offset, hit.offset + hit.length, std::move(hit.address)});
  }
  const auto by_begin = [](const Hit& a, const Hit& b) { return a.begin < b.begin; };
  std::ranges::sort(hits, by_begin);
  widen(text, hits);
  if (care == Care::folded) add_folded_labels(text, hits);
  std::vector<Hit> odd = OddWords(text, care, index).find(hits);
  std::ranges::move(odd, std::back_inserter(hits));
  std::ranges::sort(hits, by_begin);
  return hits;
}

/// In the middle of an escape there is no text: a place moves to the edge of what it came from.
void map_back(const Unescaped& unescaped, std::vector<Hit>& hits) {
  for (Hit& hit : hits) {
    hit.begin = unescaped.origin[hit.begin];
    hit.end = unescaped.origin[hit.end];
  }
}

}  // namespace

message::Address unreadable_address() {
  return {.local = "unreadable", .domain = "invalid", .spelling = "unreadable@invalid"};
}

std::vector<Hit> find_hits(std::string_view text, Care care, const AddressIndex& index) {
  if (!Unescaped::needed(text)) return find_plain(text, care, index);
  const Unescaped unescaped(text);
  std::vector<Hit> hits = find_plain(unescaped.text, care, index);
  map_back(unescaped, hits);
  return hits;
}

bool has_folded_dot(std::string_view body, std::size_t at) {
  std::size_t end = at + 1;
  while (end < body.size() && body[end] != '@' && !ends_word(body[end])) ++end;
  std::size_t next = end;
  while (next < body.size() && (is_wsp(body[next]) || body[next] == '\r' || body[next] == '\n')) ++next;
  const bool folded = body.substr(end, next - end).find('\n') != std::string_view::npos;
  return folded && next < body.size() && (body[end - 1] == '.' || body[next] == '.');
}

}  // namespace kage::mapping
