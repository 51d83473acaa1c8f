// The inside of Delivery: copies grouped by next hop, and lanes that each send one copy after another.
//
// A lane holds one Slot of a next hop. While the client is still sending, nobody waits for a Slot while
// holding another, so that two messages never wait for each other.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "message/dot_codec.h"
#include "submission/body_store.h"
#include "submission/delivery.h"
#include "submission/hop_pool.h"
#include "submission/pause.h"

namespace kage::submission {

struct Lane {
  explicit Lane(Hop::Slot taken) : slot(std::move(taken)) {}

  std::optional<Hop::Slot> slot;        ///< given back when the lane ends
  std::optional<std::size_t> copy;      ///< the one whose 354 was read and whose final answer was not
  bool header_due = false;              ///< its header was not written yet
  int losses = 0;                       ///< connections lost in a row
  std::string block;                    ///< what was read from the BodyStore
  std::shared_ptr<Pause> pause;         ///< while it waits for its turn
  std::shared_ptr<net::Event> noticed;  ///< set when on_served has ended for the copy before
};

/// All copies that go to one next hop.
struct Group {
  Hop* hop = nullptr;
  std::deque<std::size_t> pending;  ///< copies that no lane has taken
  std::vector<std::unique_ptr<Lane>> lanes;
  std::size_t live = 0;                            ///< lanes that hold a Slot
  CopyResult failure{Outcome::deferred, "4.3.2"};  ///< for what is left when no lane is: no turn, or why not
  std::shared_ptr<Hop::Waiter> waiter;
};

struct Delivery::State : std::enable_shared_from_this<State> {
  State(net::Loop& the_loop, std::vector<Copy> the_copies, DeliveryOptions the_options);

  // Rounds (delivery.cc).
  void sort_out(NextHops& hops);
  net::Task<void> open();
  net::Task<void> write(std::string_view octets);
  net::Task<std::vector<CopyResult>> finish();
  void abort();
  [[nodiscard]] bool hopeless() const;
  net::Task<void> flush();
  net::Task<void> store(std::string_view octets, bool last);
  net::Task<void> run_group(Group& group);
  net::Task<bool> take_lanes();
  net::Task<bool> wait_for_lane(Group& group);
  void add_lanes(Group& group, std::size_t most);
  [[nodiscard]] std::optional<net::TimePoint> last_start() const;
  void give_up(Group& group, const CopyResult& result);
  [[nodiscard]] bool any_pending() const;
  [[nodiscard]] bool late() const;
  void leave();

  // Lanes (delivery_lane.cc).
  net::Task<void> open_lane(Group& group, Lane& lane);
  net::Task<void> write_lane(Group& group, Lane& lane, std::string_view octets);
  net::Task<void> run_lane(Group& group, Lane& lane);
  net::Task<bool> wait_turn(Group& group, Lane& lane);
  net::Task<bool> begin_next(Group& group, Lane& lane);
  net::Task<std::optional<Begun>> begin_copy(Group& group, Lane& lane, std::size_t index);
  net::Task<Result<>> put(Lane& lane, std::string_view octets);
  net::Task<void> when_noticed(Lane& lane);
  net::Task<void> complete(Lane& lane, std::string_view rest);
  net::Task<void> send_stored(Lane& lane);
  void end(Group& group, Lane& lane);
  void conclude(Lane& lane, CopyResult result);
  void settle(std::size_t index, CopyResult result);
  void count(Outcome outcome);
  [[nodiscard]] Envelope envelope(std::size_t index) const;

  net::Loop& loop;
  std::vector<Copy> copies;
  DeliveryOptions options;
  std::function<net::Task<void>(std::size_t)> on_served;
  std::vector<CopyResult> results;
  Delivery::Progress settled;
  std::vector<std::unique_ptr<Group>> groups;
  std::optional<net::TimePoint> limit;
  std::optional<net::TimePoint> begin_limit;

  message::DotEncoder encoder;  // one for all: each copy's header ends a line, so the bodies encode alike
  std::string encoded;          // gathered, not yet written to anybody
  std::uint64_t body_size = 0;
  std::unique_ptr<BodyStore> body;  // made when copies are pending after open()
  bool body_lost = false;
  bool body_complete = false;

  std::size_t active = 0;   // lanes in a transaction
  std::size_t running = 0;  // public operations under way
  bool opened = false;
  bool aborted = false;
};

}  // namespace kage::submission
