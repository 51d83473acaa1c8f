// The table of next hops: which one a recipient domain goes to.
#include "submission/next_hop.h"

#include <unordered_map>

#include "submission/hop_pool.h"
#include "submission/hop_tls.h"

namespace kage::submission {

struct NextHops::State {
  std::vector<std::shared_ptr<Hop>> hops;
  std::unordered_map<std::string, Hop*> exact;
  std::unordered_map<std::string, Hop*> below;  // ".example" without its dot
  Hop* fallback = nullptr;
};

NextHops::NextHops(net::Loop& loop, std::string ehlo_name, std::vector<NextHopOptions> options)
    : state_(std::make_unique<State>()) {
  for (auto& one : options) {
    auto secure = make_secure(one);
    auto hop = std::make_shared<Hop>(loop, HopSettings{std::move(one), ehlo_name, std::move(secure)});
    for (const auto& domain : hop->options().domains) {
      if (domain == "*") {
        if (state_->fallback == nullptr) state_->fallback = hop.get();
      } else if (domain.starts_with('.')) {
        state_->below.try_emplace(domain.substr(1), hop.get());
      } else {
        state_->exact.try_emplace(domain, hop.get());
      }
    }
    state_->hops.push_back(std::move(hop));
  }
}

NextHops::~NextHops() {
  for (const auto& hop : state_->hops) {
    hop->close();
    hop->cancel_all();
  }
}

Hop* NextHops::find(std::string_view canonical_domain) const {
  std::string domain(canonical_domain);
  if (const auto found = state_->exact.find(domain); found != state_->exact.end()) return found->second;
  // The longest suffix wins.
  for (auto dot = domain.find('.'); dot != std::string::npos; dot = domain.find('.')) {
    domain.erase(0, dot + 1);
    if (const auto found = state_->below.find(domain); found != state_->below.end()) return found->second;
  }
  return state_->fallback;
}

void NextHops::close() {
  for (const auto& hop : state_->hops) hop->close();
}

}  // namespace kage::submission
