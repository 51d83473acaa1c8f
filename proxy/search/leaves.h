// Answers the sensitive keys of a search, each with the exact set of messages that it matches for the member.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/imap/core.h"
#include "proxy/search/ask.h"
#include "proxy/search/needle.h"
#include "proxy/search/request.h"
#include "proxy/search/text.h"

namespace kage::proxy {

class SearchLeaves {
 public:
  /// Both outlive it.
  SearchLeaves(ImapCore& core, const SearchRequest& request);

  /// What stands upstream in place of each sensitive key, by the key's index. A status: the answer to give
  /// instead.
  struct Outcome {
    std::optional<ImapStatus> status;
    std::vector<std::string> instead;
  };
  net::Task<Result<Outcome>> resolve();
  /// After resolve(): what a sensitive key matches, ascending.
  [[nodiscard]] const std::vector<std::uint32_t>& matches(std::size_t key) const {
    return leaves_.at(leaf_of_.at(key)).matches;
  }

 private:
  using Numbers = std::vector<std::uint32_t>;
  using Answer = std::optional<ImapStatus>;  ///< to give instead; nothing: go on
  struct Leaf {
    const SearchKey* key = nullptr;
    Needle needle;
    Numbers candidates;  ///< ascending
    Numbers in_body;     ///< those whose body has it, says the upstream; ascending
    Numbers matches;
    Numbers bodies;           ///< candidates whose body has to be read
    Numbers long_bodies;      ///< of those, the ones that have more than was read
    bool everywhere = false;  ///< the candidates are all messages: everything that is shown counts
    [[nodiscard]] SearchScope scope() const {
      return needle.whole || everywhere ? SearchScope::shown : SearchScope::kept;
    }
  };

  Answer collect();
  void find_context();
  net::Task<Answer> resolve_phantoms();
  net::Task<Result<Answer>> narrow(Leaf& leaf);
  net::Task<Result<FoundNumbers>> narrow_by(const Leaf& leaf, std::string key, std::string among);
  net::Task<Result<Answer>> look_everywhere();
  net::Task<Result<>> look_at_headers();
  net::Task<Result<>> look_at_bodies();
  net::Task<Result<>> look_at_bodies(Numbers Leaf::* which, std::size_t max);
  void see_header(std::uint32_t number, std::string_view block);
  void see_body(std::uint32_t number, std::string_view octets, Numbers Leaf::* which, bool cut);
  [[nodiscard]] bool may_be_in_header(const Leaf& leaf, const SearchedHeader& header) const;
  [[nodiscard]] Numbers all(Numbers Leaf::* which) const;  ///< of lists that ascend
  [[nodiscard]] std::vector<std::string> written();

  ImapCore& core_;
  const SearchRequest& request_;
  std::vector<Leaf> leaves_;
  std::vector<std::size_t> leaf_of_;  ///< of each key
  std::string context_;               ///< what every message that can count matches too
};

}  // namespace kage::proxy
