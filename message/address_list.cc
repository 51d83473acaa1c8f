// Address lists (RFC 5322 §3.4, §4.4) and the ways they are really broken.
//
// What is read as an address is never more than what was written; octets that belong to nothing make an item
// junk or not intact, so that they are not passed on.
#include "message/address_list.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "message/address_lexer.h"
#include "message/lexical.h"
#include "message/utf8.h"

namespace kage::message {
namespace {

using Kind = AddressToken::Kind;
using ItemKind = ListItem::Kind;

constexpr bool is_domain_char(char c) {
  return is_alnum(c) || c == '-' || c == '_' || c == '.' || !is_ascii(c);
}

bool has_control(std::string_view text) {
  return std::ranges::any_of(text, is_control);
}

/// Tokens [begin, end) that were read as an addr-spec.
struct Spec {
  std::size_t begin = 0;
  std::size_t end = 0;
  Address address;
  bool whole = true;  ///< nothing of its tokens was left out
};

class ListParser {
 public:
  ListParser(std::string_view body, const AddressLimits& limits)
      : body_(body), limits_(limits), tokens_(AddressLexer(body, limits.max_comment_depth).tokens()) {}

  Result<std::vector<ListItem>> parse() {
    while (at_ < tokens_.size() && !full_) element();
    if (in_group_) add(item(ItemKind::group_end, at_, at_, at_));
    if (full_) return fail(Errc::limit, "too many addresses in a field");
    return std::move(items_);
  }

 private:
  void element();
  void angle(std::size_t begin);
  void bare(std::size_t begin, std::size_t end);
  std::size_t skip_route(std::size_t at) const;
  std::optional<Spec> spec_in(std::size_t begin, std::size_t end) const;
  std::optional<Spec> spec_at(std::size_t at_sign, std::size_t begin, std::size_t end, bool obsolete) const;
  std::size_t take_left(std::size_t at_sign, std::size_t begin, bool obsolete) const;
  std::size_t take_right(std::size_t at_sign, std::size_t end, bool obsolete, Spec& spec) const;
  [[nodiscard]] bool joins(std::size_t left, std::size_t right) const;
  [[nodiscard]] std::size_t find_at_sign(std::size_t begin, std::size_t end) const;
  [[nodiscard]] std::size_t skip_space(std::size_t at, std::size_t end) const;
  [[nodiscard]] bool is_empty(std::size_t begin, std::size_t end) const {
    return skip_space(begin, end) == end;
  }
  [[nodiscard]] std::string phrase(std::size_t begin, std::size_t end) const;
  ListItem item(ItemKind kind, std::size_t begin, std::size_t end, std::size_t phrase_end) const;
  void add(ListItem item);

  std::string_view body_;
  AddressLimits limits_;
  std::vector<AddressToken> tokens_;
  std::vector<ListItem> items_;
  std::size_t at_ = 0;
  bool in_group_ = false;
  bool full_ = false;
};

void ListParser::add(ListItem item) {
  if (items_.size() == limits_.max_items) {
    full_ = true;
    return;
  }
  items_.push_back(std::move(item));
}

std::size_t ListParser::skip_space(std::size_t at, std::size_t end) const {
  while (at < end && tokens_[at].is_space()) ++at;
  return at;
}

std::string ListParser::phrase(std::size_t begin, std::size_t end) const {
  std::string text;
  std::string space;
  for (std::size_t i = begin; i < end; ++i) {
    const AddressToken& token = tokens_[i];
    if (token.kind == Kind::white) {
      space = one_line(token.text);
    } else if (token.is_space()) {
      if (space.empty()) space = " ";
    } else {
      if (!text.empty()) text += space;
      space.clear();
      text += one_line(token.text);
    }
  }
  return text;
}

/// An item of the tokens [begin, end), its phrase from those before `phrase_end`.
ListItem ListParser::item(ItemKind kind, std::size_t begin, std::size_t end, std::size_t phrase_end) const {
  ListItem made;
  made.kind = kind;
  while (begin < end && tokens_[begin].kind == Kind::white) ++begin;
  while (end > begin && tokens_[end - 1].kind == Kind::white) --end;
  if (begin == end) return made;
  const std::size_t from = tokens_[begin].begin;
  made.raw = body_.substr(from, tokens_[end - 1].begin + tokens_[end - 1].text.size() - from);
  made.phrase = phrase(begin, std::max(begin, phrase_end));
  for (std::size_t i = begin; i < end; ++i) {
    const AddressToken& token = tokens_[i];
    if (token.kind == Kind::comment || token.kind == Kind::deep_comment) {
      made.comments.push_back(one_line(token.text.substr(1, token.text.size() - 2)));
    }
    if (token.kind == Kind::deep_comment) made.kind = ItemKind::junk;
    if (token.kind == Kind::other) made.intact = false;
  }
  if (made.kind == ItemKind::junk) made.intact = false;
  return made;
}

/// One element up to its separator; a '<' or ':' hands over to what they begin.
void ListParser::element() {
  const std::size_t begin = at_;
  for (; at_ < tokens_.size(); ++at_) {
    const AddressToken& token = tokens_[at_];
    if (token.is('<')) return angle(begin);
    if (token.is(':') && !in_group_ && !is_empty(begin, at_)) {
      ListItem group = item(ItemKind::group_start, begin, at_ + 1, at_);
      in_group_ = group.kind == ItemKind::group_start;
      add(std::move(group));
      ++at_;
      return;
    }
    if (token.is(',') || token.is(';')) {
      bare(begin, at_);
      if (token.is(';') && in_group_) {
        add(item(ItemKind::group_end, at_, at_ + 1, at_));
        in_group_ = false;
      }
      ++at_;
      return;
    }
  }
  bare(begin, at_);
}

/// RFC 5322 §4.4 obs-route: "@a,@b:" before the addr-spec. Returns the place behind it, or `at`.
std::size_t ListParser::skip_route(std::size_t at) const {
  if (at >= tokens_.size() || !tokens_[at].is('@')) return at;
  for (std::size_t i = at; i < tokens_.size(); ++i) {
    const AddressToken& token = tokens_[i];
    if (token.is(':')) return i + 1;
    if (!token.is('@') && !token.is(',') && !token.is_space() && token.kind != Kind::atom &&
        token.kind != Kind::literal) {
      return at;
    }
  }
  return at;
}

/// phrase "<" addr-spec ">", with the '<' at at_.
void ListParser::angle(std::size_t begin) {
  const std::size_t open = at_;
  std::size_t inner = open + 1;
  while (inner < tokens_.size() && (tokens_[inner].is_space() || tokens_[inner].is('<'))) ++inner;
  const std::size_t route_end = skip_route(inner);
  std::size_t close = route_end;
  while (close < tokens_.size() && !tokens_[close].is('>') && !tokens_[close].is('<') &&
         !tokens_[close].is(',') && !tokens_[close].is(';')) {
    ++close;
  }
  std::optional<Spec> spec = spec_in(route_end, close);
  at_ = close;
  std::size_t brackets = 0;
  while (at_ < tokens_.size() && tokens_[at_].is('>')) {
    ++at_;
    ++brackets;
  }
  at_ = skip_space(at_, tokens_.size());
  ListItem made = item(spec ? ItemKind::mailbox : ItemKind::junk, begin, at_, spec ? open : at_);
  if (made.kind == ItemKind::mailbox) {
    made.intact = made.intact && brackets == 1 && spec->whole && is_empty(open + 1, spec->begin) &&
                  is_empty(spec->end, close);
    made.address = std::move(spec->address);
  }
  add(std::move(made));
}

/// Tokens without brackets: one addr-spec with or without words before it, several, or none.
void ListParser::bare(std::size_t begin, std::size_t end) {
  if (std::all_of(tokens_.begin() + static_cast<std::ptrdiff_t>(begin),
                  tokens_.begin() + static_cast<std::ptrdiff_t>(end),
                  [](const AddressToken& token) { return token.kind == Kind::white; })) {
    return;  // RFC 5322 §4.4: empty list elements
  }
  const std::size_t first = find_at_sign(begin, end);
  if (first < end && find_at_sign(first + 1, end) == end) {
    auto spec = spec_at(first, begin, end, true);
    if (spec && is_empty(begin, spec->begin) && is_empty(spec->end, end)) {
      ListItem made = item(ItemKind::mailbox, begin, end, begin);
      made.intact = made.intact && spec->whole;
      if (made.kind == ItemKind::mailbox) made.address = std::move(spec->address);
      return add(std::move(made));
    }
  }
  std::size_t from = begin;
  for (std::size_t at_sign = first; at_sign < end; at_sign = find_at_sign(at_sign + 1, end)) {
    // "a@b@c": the last sign of the chain parts local part and domain.
    while (at_sign + 2 < end && tokens_[at_sign + 1].is_word() && tokens_[at_sign + 2].is('@')) at_sign += 2;
    auto spec = spec_at(at_sign, from, end, false);
    if (!spec) continue;
    const std::size_t next = skip_space(spec->end, end);
    ListItem made = item(ItemKind::mailbox, from, next, spec->begin);
    made.intact = made.intact && spec->whole && made.phrase.empty();
    if (made.kind == ItemKind::mailbox) made.address = std::move(spec->address);
    add(std::move(made));
    from = next;
    if (full_) return;
  }
  if (from == begin || !is_empty(from, end)) add(item(ItemKind::junk, from, end, end));
}

std::size_t ListParser::find_at_sign(std::size_t begin, std::size_t end) const {
  while (begin < end && !tokens_[begin].is('@')) ++begin;
  return std::min(begin, end);
}

/// The addr-spec between brackets: all of it in the obsolete syntax, else around the last '@' that has one.
std::optional<Spec> ListParser::spec_in(std::size_t begin, std::size_t end) const {
  const std::size_t first = find_at_sign(begin, end);
  if (first == end) return std::nullopt;
  std::size_t at_sign = first;
  while (at_sign + 2 < end && tokens_[at_sign + 1].is_word() && tokens_[at_sign + 2].is('@')) at_sign += 2;
  if (auto spec = spec_at(at_sign, begin, end, true);
      spec && is_empty(begin, spec->begin) && is_empty(spec->end, end)) {
    return spec;
  }
  return spec_at(at_sign, begin, end, false);
}

std::optional<Spec> ListParser::spec_at(std::size_t at_sign, std::size_t begin, std::size_t end,
                                        bool obsolete) const {
  Spec spec;
  spec.begin = take_left(at_sign, begin, obsolete);
  if (spec.begin == at_sign) return std::nullopt;
  spec.end = take_right(at_sign, end, obsolete, spec);
  if (spec.end == at_sign) return std::nullopt;
  Address& address = spec.address;
  for (std::size_t i = spec.begin; i < at_sign; ++i) {
    const AddressToken& token = tokens_[i];
    if (token.is_space()) continue;
    address.local += token.kind == Kind::quoted ? unquote(token.text) : std::string(token.text);
    address.spelling += one_line(token.text);
  }
  if (address.local.empty() || address.local.size() > kMaxLocalPart || address.domain.size() > kMaxDomain ||
      has_control(address.local) || !is_valid_utf8(address.local) || !is_valid_utf8(address.domain)) {
    return std::nullopt;
  }
  address.spelling += '@';
  address.spelling += address.domain;
  return spec;
}

/// Whether two words that follow each other belong to one local part or domain: a dot stands between them.
bool ListParser::joins(std::size_t left, std::size_t right) const {
  const AddressToken& a = tokens_[left];
  const AddressToken& b = tokens_[right];
  return a.is('@') || b.is('@') || (a.kind == Kind::atom && a.text.ends_with('.')) ||
         (b.kind == Kind::atom && b.text.starts_with('.'));
}

std::size_t ListParser::take_left(std::size_t at_sign, std::size_t begin, bool obsolete) const {
  std::size_t taken = at_sign;
  std::size_t size = 0;
  std::size_t i = at_sign;
  while (i > begin && tokens_[i - 1].is_space()) --i;
  while (i > begin) {
    const std::size_t word = i - 1;
    const bool inner_sign =
        tokens_[word].is('@') && taken != at_sign && word > begin && tokens_[word - 1].is_word();
    if (!tokens_[word].is_word() && !inner_sign) break;
    if (taken != at_sign && !joins(word, taken)) break;
    size += tokens_[word].text.size();
    if (size > 2 * kMaxLocalPart)
      return at_sign;  // too long even if half of it are escapes; bounds the work as well
    taken = word;
    i = word;
    while (obsolete && i > begin && tokens_[i - 1].is_space()) --i;
  }
  while (taken < at_sign && tokens_[taken].is('@')) ++taken;
  return taken;
}

std::size_t ListParser::take_right(std::size_t at_sign, std::size_t end, bool obsolete, Spec& spec) const {
  std::size_t i = skip_space(at_sign + 1, end);
  if (i == end) return at_sign;
  if (tokens_[i].kind == Kind::literal) {
    spec.address.domain = std::string(tokens_[i].text);
    std::erase_if(spec.address.domain, is_wsp);
    return i + 1;
  }
  std::size_t last = end;
  while (i < end && tokens_[i].kind == Kind::atom && (last == end || joins(last, i))) {
    const std::string_view text = tokens_[i].text;
    const auto* const stop = std::ranges::find_if_not(text, is_domain_char);
    spec.address.domain.append(text.begin(), stop);
    spec.whole = stop == text.end();
    last = i;
    if (!spec.whole || !obsolete) break;
    i = skip_space(i + 1, end);
  }
  return last == end || spec.address.domain.find_first_not_of('.') == std::string::npos ? at_sign : last + 1;
}

}  // namespace

Result<std::vector<ListItem>> parse_address_list(std::string_view body, const AddressLimits& limits) {
  return ListParser(body, limits).parse();
}

}  // namespace kage::message
