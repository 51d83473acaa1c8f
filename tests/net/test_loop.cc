// Tasks, joining, timers, posts from threads, and a loop that is destroyed while coroutines wait.
#include "net/loop.h"

#include <catch2/catch.hpp>
#include <new>
#include <stdexcept>
#include <thread>

#include "net/guarded.h"
#include "net/semaphore.h"
#include "net/worker.h"
#include "tests/net/test_streams.h"

namespace kage::net {
namespace {

using testing::run_on_loop;

Task<int> number(int value) {
  co_return value;
}

Task<int> thrower() {
  throw std::runtime_error("thrown");
  co_return 0;
}

Task<int> count_to(int limit) {
  int sum = 0;
  for (int i = 0; i < limit; ++i) sum += co_await number(1);
  co_return sum;
}

Task<void> store(Task<int> task, int& out) {
  out = co_await std::move(task);
}

Task<void> note_error(Task<int> task, std::string& out) {
  try {
    co_await std::move(task);
  } catch (const std::runtime_error& error) {
    out = error.what();
  }
}

Task<Result<int>> fails_or_throws(bool throws) {
  if (throws) throw std::bad_alloc();
  co_return fail(Errc::limit);
}

Task<void> throws_after(Loop& loop) {
  co_await loop.sleep(Millis(1));
  throw std::bad_alloc();
}

Task<void> guard(Loop& loop, std::vector<Errc>& seen) {
  CHECK(co_await guarded(loop.sleep(Millis(1))));
  for (const bool throws : {false, true}) {
    const auto result = co_await guarded(fails_or_throws(throws));
    seen.push_back(result.error().code);
  }
  const auto result = co_await guarded(throws_after(loop));
  seen.push_back(result.error().code);
}

Task<void> sleep_then(Loop& loop, Millis time, std::string& order, char mark) {
  co_await loop.sleep(time);
  order.push_back(mark);
}

Task<void> wait_then(Event& event, std::string& order, char mark) {
  co_await event;
  order.push_back(mark);
}

Task<void> all_of(std::vector<Task<void>> tasks, std::string& order) {
  co_await when_all(std::move(tasks));
  order.push_back('!');
}

}  // namespace

TEST_CASE("a task is lazy, gives its value and passes exceptions on") {
  Loop loop;
  int value = 0;
  {
    const Task<int> never_started = number(1);
  }
  run_on_loop(loop, store(number(42), value));
  CHECK(value == 42);
  std::string error;
  run_on_loop(loop, note_error(thrower(), error));
  CHECK(error == "thrown");
}

TEST_CASE("a guard makes an exception a result and leaves results as they are") {
  Loop loop;
  std::vector<Errc> seen;
  run_on_loop(loop, guard(loop, seen));
  CHECK(seen == std::vector{Errc::limit, Errc::unavailable, Errc::unavailable});
}

TEST_CASE("a million awaits that end at once do not use up the stack") {
  Loop loop;
  int value = 0;
  run_on_loop(loop, store(count_to(1'000'000), value));
  CHECK(value == 1'000'000);
}

TEST_CASE("when_all waits for the last") {
  Loop loop;
  std::string order;
  std::vector<Task<void>> tasks;
  tasks.push_back(sleep_then(loop, Millis(30), order, 'c'));
  tasks.push_back(sleep_then(loop, Millis(1), order, 'a'));
  tasks.push_back(sleep_then(loop, Millis(15), order, 'b'));
  run_on_loop(loop, all_of(std::move(tasks), order));
  CHECK(order == "abc!");
  run_on_loop(loop, all_of({}, order));
  CHECK(order == "abc!!");
}

TEST_CASE("an event wakes all that wait and stays set") {
  Loop loop;
  Event event;
  std::string order;
  spawn(wait_then(event, order, 'a'));
  spawn(wait_then(event, order, 'b'));
  CHECK(order.empty());
  event.set();
  CHECK(order == "ab");
  spawn(wait_then(event, order, 'c'));
  CHECK(order == "abc");
  event.reset();
  spawn(wait_then(event, order, 'd'));
  CHECK(order == "abc");
  event.set();
  CHECK(order == "abcd");
}

TEST_CASE("a timer fires once, can be moved and stopped, and may destroy itself") {
  Loop loop;
  int fired = 0;
  auto timer = std::make_unique<Timer>(loop);
  timer->start(Millis(5), [&] { fired = 1; });
  timer->start(Millis(1), [&] {
    fired += 10;
    timer.reset();
  });
  Timer stopped(loop);
  stopped.start(Millis(1), [&] { fired += 100; });
  stopped.stop();
  Timer end(loop);
  end.start(Millis(20), [&] { loop.stop(); });
  loop.run();
  CHECK(fired == 10);
}

TEST_CASE("posts from many threads all run on the loop, in the order of each thread") {
  Loop loop;
  constexpr int kThreads = 4;
  constexpr int kEach = 1000;
  std::vector<int> last(kThreads, -1);
  int count = 0;
  bool ordered = true;
  const auto loop_thread = std::this_thread::get_id();
  std::vector<std::jthread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        loop.post([&, t, i] {
          ordered = ordered && last[static_cast<std::size_t>(t)] == i - 1 &&
                    std::this_thread::get_id() == loop_thread;
          last[static_cast<std::size_t>(t)] = i;
          if (++count == kThreads * kEach) loop.stop();
        });
      }
    });
  }
  loop.run();
  CHECK(count == kThreads * kEach);
  CHECK(ordered);
}

TEST_CASE("deferred work runs before the loop waits, also when it defers more") {
  Loop loop;
  std::string order;
  Timer timer(loop);
  timer.start(Millis(10), [&] {
    order.push_back('t');
    loop.stop();
  });
  loop.defer([&] {
    order.push_back('1');
    loop.defer([&] {
      order.push_back('2');
      loop.defer([&] { order.push_back('3'); });
    });
  });
  CHECK(order.empty());
  loop.run();
  CHECK(order == "123t");
}

namespace {

Task<void> offloaded(Loop& loop, std::thread::id& worked_on, std::thread::id& resumed_on) {
  co_await loop.offload([&worked_on] { worked_on = std::this_thread::get_id(); });
  resumed_on = std::this_thread::get_id();
}

}  // namespace

TEST_CASE("offloaded work runs on another thread and comes back") {
  Loop loop;
  std::thread::id worked_on;
  std::thread::id resumed_on;
  run_on_loop(loop, offloaded(loop, worked_on, resumed_on));
  CHECK(worked_on != std::this_thread::get_id());
  CHECK(worked_on != std::thread::id());
  CHECK(resumed_on == std::this_thread::get_id());
}

TEST_CASE("destroying a loop wakes sleepers and drops timers without a leak") {
  std::string order;
  auto loop = std::make_unique<Loop>();
  spawn(sleep_then(*loop, Millis(3'600'000), order, 's'));
  Timer timer(*loop);
  timer.start(Millis(3'600'000), [&] { order.push_back('t'); });
  loop.reset();
  CHECK(order == "s");
  timer.stop();
  timer.start(Millis(1), [] {});
}

namespace {

Task<void> take_turn(Loop& loop, Semaphore& semaphore, std::string& order, char mark, int& inside,
                     int& most) {
  if (!co_await semaphore.acquire()) {
    order.push_back('-');
    co_return;
  }
  const Permit permit(semaphore);
  most = std::max(most, ++inside);
  co_await loop.sleep(Millis(1));
  --inside;
  order.push_back(mark);
}

}  // namespace

TEST_CASE("a semaphore lets in so many, in order, and refuses beyond its queue") {
  Loop loop;
  Semaphore semaphore(loop, 2, 3);
  std::string order;
  int inside = 0;
  int most = 0;
  std::vector<Task<void>> tasks;
  for (const char mark : {'a', 'b', 'c', 'd', 'e', 'f'}) {
    tasks.push_back(take_turn(loop, semaphore, order, mark, inside, most));
  }
  run_on_loop(loop, all_of(std::move(tasks), order));
  CHECK(order == "-abcde!");
  CHECK(most == 2);
  for (const bool free : {true, true, false}) CHECK(semaphore.acquire().await_ready() == free);
}

TEST_CASE("a worker runs its loop on its own thread until it is stopped") {
  std::promise<std::thread::id> ran;
  auto where = ran.get_future();
  std::thread::id began;
  {
    Worker worker;
    worker.start([&](Loop&) { began = std::this_thread::get_id(); });
    CHECK(began != std::this_thread::get_id());
    worker.post([&](Loop&) { ran.set_value(std::this_thread::get_id()); });
    CHECK(where.get() == began);
    worker.stop();
    worker.join();
    worker.post([](Loop&) { FAIL("the worker has ended"); });
  }
  const Worker never_started;
}

}  // namespace kage::net
