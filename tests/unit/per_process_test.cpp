// State that forked children make anew.
#include "support/per_process.h"

#include <atomic>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/forked.h"

using namespace streamattn;

namespace {

/// Counts how many of it there are.
struct Counted {
  Counted() { ++alive; }
  ~Counted() { --alive; }
  int value = 0;
  static inline std::atomic<int> alive = 0;
};

struct Guarded {
  std::mutex mutex;
  int value = 0;
};

}  // namespace

TEST_CASE("state of a process is made once and destroyed with its owner") {
  {
    PerProcess<Counted> state;
    CHECK(Counted::alive == 0);
    std::vector<std::thread> threads;
    std::atomic<Counted*> seen = nullptr;
    std::atomic<int> different = 0;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&] {
        Counted* mine = &state.get();
        Counted* first = nullptr;
        if (!seen.compare_exchange_strong(first, mine)) different += first != mine;
      });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(different == 0);
    CHECK(Counted::alive == 1);
  }
  CHECK(Counted::alive == 0);
}

TEST_CASE("a forked child has state of its own and leaves its parent's alone") {
  auto state = std::make_unique<PerProcess<Counted>>();
  state->get().value = 1;
  CHECK(exit_code_of_child([&] {
          if (state->get().value != 0 || Counted::alive != 2) return 1;
          state->get().value = 2;
          const int in_grandchild = exit_code_of_child([&] { return state->get().value; });
          if (in_grandchild != 0 || state->get().value != 2) return 2;
          state.reset();
          return Counted::alive == 1 ? 0 : 3;
        }) == 0);
  CHECK(state->get().value == 1);
}

TEST_CASE("a forked child does not wait for a lock that its parent's thread holds") {
  PerProcess<Guarded> state;
  const std::lock_guard held(state.get().mutex);
  CHECK(exit_code_of_child([&] {
          const std::lock_guard own(state.get().mutex);
          return state.get().value;
        }) == 0);
}
