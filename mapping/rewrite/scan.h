// Looking for addresses in free text: subjects, display names, comments, group names, parameter values.
//
// Finds too much rather than too little. Text in which nothing is found leaves byte for byte; everything else
// is decoded, replaced and written anew as UTF-8.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/siphash.h"
#include "mapping/rewrite/rewrite.h"
#include "message/address.h"

namespace kage::mapping {

constexpr std::size_t kNoAddress = static_cast<std::size_t>(-1);

/// The distinct addresses of one message, numbered in the order in which they were found.
class AddressIndex {
 public:
  /// More distinct addresses than this in one message are refused as a whole (Errc::limit).
  static constexpr std::size_t kMax = 10'000;

  std::size_t add(message::Address address);
  /// Whether the canonical form is known already.
  [[nodiscard]] std::size_t find(std::string_view canonical) const;
  [[nodiscard]] std::span<const ParsedHeader::Found> all() const { return found_; }
  [[nodiscard]] bool full() const { return found_.size() > kMax; }

 private:
  std::vector<ParsedHeader::Found> found_;
  std::unordered_map<std::string, std::size_t, SipHash, std::equal_to<>> numbers_;
};

/// A piece of text and the addresses in it.
struct ScannedText {
  struct Span {
    std::size_t offset = 0;
    std::size_t length = 0;  ///< octets of `decoded`
    std::size_t found = 0;   ///< number in the AddressIndex
  };
  std::string decoded;      ///< UTF-8; empty when nothing was found
  std::vector<Span> spans;  ///< ascending, apart from each other

  [[nodiscard]] bool harmless() const { return spans.empty(); }
};

/// Field body as one line, as decode_words() is to see it: folds removed, and ISO-2022-JP that a line leaves
/// open closed at its end (RFC 1468), so that nothing hides in a state that readers leave earlier.
std::string flat(std::string_view body);

/// The body of a Subject, decoded to judge what stands at its front (contract R7.1): octets of which nobody
/// can say what they are become U+FFFD.
std::string subject_to_judge(std::string_view body);

/// How much counts as an address beyond what message::find_addresses() finds.
enum class Care : unsigned char {
  text,    ///< a word with an '@' that an address field of this message has too ("root@mailhost")
  folded,  ///< text whose line was folded beside an '@', or beside a dot behind one: the words on both sides
           ///< of the fold too
  strict,  ///< every word with an '@' inside, and every '@' beside a domain
};

/// Care::folded when the body has a fold beside an '@' or beside a dot of the word behind it, else
/// Care::text.
Care care_of(std::string_view body);

/// Whether there is something like a host name in a value that has no reason to hold one.
bool names_host(std::string_view text);
/// The same for a parameter of Content-Type or Content-Disposition that could name one (contract R3.1, R3.2):
/// "site" of message/external-body, what a mailer made up. `name`: with the stars of RFC 2231, any case.
bool parameter_names_host(std::string_view name, std::string_view value);

/// Whether a character reference in it could stand for '@'; wrong in one direction only: it may say yes.
bool may_refer_to_sign(std::string_view text);

/// Whether decoding loses an '@', in any width, that is no half of a two-byte character: something that was
/// no encoded-word was taken for one, and a reader who does not decode it sees what it holds. `decoded`: what
/// it was decoded to; `phrase`: quoted-strings lost their quotes first.
bool loses_sign(std::string_view written, std::string_view decoded, bool phrase);

/// Scans text as it was written. `phrase`: quoted-strings lose their quotes first.
ScannedText scan_text(std::string_view written, bool phrase, Care care, AddressIndex& index);

/// Scans UTF-8 that is already decoded.
ScannedText scan_decoded(std::string utf8, Care care, AddressIndex& index);

/// What stands for an address in one copy.
struct StandIn {
  enum class Action : unsigned char { keep, replace, remove };
  Action action = Action::remove;
  std::string text;  ///< with `replace`
};
using StandIns = std::vector<StandIn>;  ///< by number in the AddressIndex

/// Whether all addresses in it stay.
bool all_stay(const ScannedText& text, const StandIns& stand_ins);
/// The text with its addresses replaced, UTF-8.
std::string replaced(const ScannedText& text, const StandIns& stand_ins);

}  // namespace kage::mapping
