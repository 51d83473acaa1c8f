// The SMTP server engine with its two faces (RFC 5321, RFC 6409): inbound and submission.
#pragma once

#include <cstddef>
#include <memory>

#include "net/stream.h"
#include "submission/services.h"

namespace kage::submission {

/// The sessions of one worker: starts them, counts them, and ends them gracefully.
class Sessions {
 public:
  explicit Sessions(Services services);
  ~Sessions();

  /// Serves one connection to its end. Never throws.
  void start(Face face, net::StreamPtr stream, net::PeerAddress peer);

  /// Graceful stop: sessions between transactions get 421 and end; those in a transaction end after it.
  /// Resolves when none is left, or when `deadline` passes and the rest were closed.
  net::Task<void> stop(net::TimePoint deadline);

  [[nodiscard]] std::size_t size() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace kage::submission
