// Reasons as the metric has them.
#include "proxy/upstream.h"

#include "base/metrics.h"

namespace kage::proxy {

void count_failure(Errc reason) {
  using metrics::Counter;
  switch (reason) {
    case Errc::unreachable:
    case Errc::io:
      return metrics::add(Counter::upstream_unreachable);
    case Errc::tls:
      return metrics::add(Counter::upstream_tls);
    case Errc::timed_out:
      return metrics::add(Counter::upstream_timed_out);
    case Errc::protocol:
    case Errc::limit:
      return metrics::add(Counter::upstream_protocol);
    default:
      return metrics::add(Counter::upstream_unavailable);
  }
}

}  // namespace kage::proxy
