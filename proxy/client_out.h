// The way out to the client: gathers what is small, and is the one place that makes sure that a phantom is in
// Redis before anybody sees it (contract R4.4).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "mapping/store/directory.h"
#include "net/stream.h"
#include "net/task.h"

namespace kage::proxy {

class ClientOut {
 public:
  ClientOut(net::Stream& client, mapping::Directory& directory) : client_(&client), directory_(directory) {}

  /// Copies to the buffer; nothing is written yet.
  void add(std::string_view octets) {
    if (octets.size() < kBulk && octets.size() < kBlock - buffer_.size()) {
      buffer_ += octets;
    } else {
      add_bulk(octets);
    }
  }
  /// Phantoms that the octets show which are added next. `routes`: the snapshot that they belong to.
  void need(const mapping::Routes& routes, std::vector<mapping::PhantomWrite> fresh);
  /// Whether enough is gathered that writing is worth it (64 kB).
  [[nodiscard]] bool full() const { return !blocks_.empty(); }
  /// Stores the phantoms, writes what was gathered, and gives its memory back. The client has `patience` for
  /// each 64 kB; whoever reads from it next sets another deadline.
  net::Task<Result<>> flush(net::Millis patience = kWriteTime);
  /// The same for whole 64 kB only: in the middle of a long answer all writes are then of that size.
  net::Task<Result<>> flush_blocks(net::Millis patience = kWriteTime);
  /// Bulk octets, which may lie in the loop's shared buffer: gathered, and flushed when that is worth it.
  /// Returning is the backpressure.
  net::Task<Result<>> pass(std::string_view octets);

  /// An answer that streams: from its begin to its end the client may be within a literal, and would take any
  /// other words for octets of that.
  void begin_answer() { streams_ = true; }
  void end_answer() { streams_ = false; }
  /// Whether nothing but the rest of the answer may be said: one that streams, or one of which whole blocks
  /// were written and the rest was not.
  [[nodiscard]] bool within_answer() const { return streams_ || cut_; }

  /// Whether an answer was dropped, since the phantoms that it shows could not be stored (contract R3.8).
  [[nodiscard]] bool lacks_mapping() const { return lacks_mapping_; }

  void reset(net::Stream& client) { client_ = &client; }

 private:
  static constexpr net::Millis kWriteTime{300'000};
  static constexpr std::size_t kBlock = 64 * 1024;
  static constexpr std::size_t kBulk = 2 * 1024;
  void add_bulk(std::string_view octets);
  net::Task<Result<>> store_fresh();

  net::Stream* client_;
  mapping::Directory& directory_;
  std::vector<std::string> blocks_;  // of kBlock octets each, and before those in the buffer
  std::string buffer_;               // less than a block
  mapping::Routes routes_;
  std::vector<mapping::PhantomWrite> fresh_;
  bool streams_ = false;
  bool cut_ = false;  // what was written last ended with a block, wherever that ends
  bool lacks_mapping_ = false;
  bool stale_ = false;  // phantoms of two snapshots met: the answer cannot be finished
};

}  // namespace kage::proxy
