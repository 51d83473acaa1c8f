// Messages with an own canary address in every place that a header can hold one, and the search for canaries
// in what came out.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kage::mapping::test {

/// Numbers that are the same in every run (SplitMix64).
class Numbers {
 public:
  explicit Numbers(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next();
  /// Below `bound`.
  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(next() % bound); }
  bool one_in(std::size_t n) { return below(n) == 0; }

 private:
  std::uint64_t state_;
};

/// Makes header blocks. Every canary has the local part "canaryloc<n>" and the domain "canarydom<n>.example".
class CanaryHeader {
 public:
  CanaryHeader(std::uint64_t seed, std::vector<std::string> known)
      : numbers_(seed), known_(std::move(known)) {}
  /// `known`: addresses that stand in To and Cc beside the canaries.
  std::string block();

 private:
  std::string canary();
  std::string domain() const;
  std::string encoded(std::string_view ascii);
  std::string half_sign();
  std::string folded(std::string text);
  std::string text();
  std::string name();
  std::string comment();
  std::string mailbox();
  std::string list();
  std::string ids();
  std::string parameters(std::string_view value);
  std::string anything();
  std::string field(std::string_view name);

  Numbers numbers_;
  std::vector<std::string> known_;
  std::size_t count_ = 0;
};

/// The places (a few octets around) where something of a canary is left: raw, case-folded, unfolded, decoded
/// from encoded-words, RFC 2231, percent-encoding and full-width letters. `boundary` is exempt.
std::vector<std::string> canaries_in(std::string_view block);

}  // namespace kage::mapping::test
