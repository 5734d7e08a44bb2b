// Loops over all cores.
#include "runtime/cpu/threads.h"

#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/forked.h"
#include "tests/support/scratch.h"

namespace streamattn {
namespace {

std::vector<int> calls_per_index(int count, int max_threads) {
  std::vector<std::atomic<int>> calls(count);
  parallel_for(count, max_threads, [&](std::int64_t i) { ++calls[i]; });
  return {calls.begin(), calls.end()};
}

}  // namespace

TEST_CASE("a parallel loop calls its body once for every index") {
  for (const int count : {0, 1, 2, 7, 1000}) {
    for (const int max_threads : {0, 1, 2, 64}) {
      CHECK(calls_per_index(count, max_threads) == std::vector<int>(count, 1));
    }
  }
}

TEST_CASE("a parallel loop uses no more threads than it may") {
  CHECK(thread_count(1) == 1);
  CHECK(thread_count(1 << 20) == thread_count(0));
  for (const int max_threads : {1, 2}) {
    std::mutex mutex;
    std::set<std::thread::id> threads;
    parallel_for(64, max_threads, [&](std::int64_t) {
      std::this_thread::sleep_for(std::chrono::microseconds(200));
      const std::lock_guard lock(mutex);
      threads.insert(std::this_thread::get_id());
    });
    CHECK(static_cast<int>(threads.size()) <= max_threads);
    CHECK(threads.count(std::this_thread::get_id()) == 1);
  }
}

TEST_CASE("loops of several threads at the same time do not mix") {
  std::atomic<int> wrong = 0;
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 8; ++caller) {
    callers.emplace_back([&wrong] {
      for (int repeat = 0; repeat < 200; ++repeat) {
        wrong += calls_per_index(5, 0) != std::vector<int>(5, 1);
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK(wrong == 0);
}

TEST_CASE("what the body of a parallel loop throws reaches the caller and the workers go on") {
  for (int repeat = 0; repeat < 50; ++repeat) {
    CHECK_THROWS_WITH(parallel_for(100, 0,
                                   [](std::int64_t i) {
                                     if (i % 10 == 3) throw std::runtime_error("body failed");
                                   }),
                      "body failed");
  }
  CHECK(calls_per_index(100, 0) == std::vector<int>(100, 1));
}

TEST_CASE("a parallel loop works in a forked child, which then ends by exit") {
  SKIP_TEST_OF_THREADS_IN_CHILD();
  calls_per_index(100, 0);
  CHECK(exit_code_of_child([] {
          std::exit(calls_per_index(100, 0) == std::vector<int>(100, 1) ? 0 : 1);
          return 1;
        }) == 0);
}

TEST_CASE("a child forked in the middle of its parent's loops neither waits nor fails") {
  SKIP_TEST_OF_THREADS_IN_CHILD();
  std::atomic<bool> done = false;
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 3; ++caller) {
    callers.emplace_back([&done] {
      while (!done) calls_per_index(5, 0);
    });
  }
  for (int child = 0; child < 50; ++child) {
    CHECK(exit_code_of_child(
              [] { return calls_per_index(100, 0) == std::vector<int>(100, 1) ? 0 : 1; }) == 0);
  }
  done = true;
  for (std::thread& caller : callers) caller.join();
}

TEST_CASE("a parallel loop runs on its caller's thread where the system refuses others") {
  SKIP_TEST_OF_THREADS_IN_CHILD();
  if (thread_count(0) == 1) return;
  CHECK(exit_code_of_child([] {
          // Nothing limits root's threads.
          constexpr uid_t nobody = 65534;
          if (::geteuid() == 0 && ::setuid(nobody) != 0) return 2;
          const rlimit none{0, 0};
          if (::setrlimit(RLIMIT_NPROC, &none) != 0) return 3;
          const LogRecorder log;
          for (int repeat = 0; repeat < 3; ++repeat) {
            std::atomic<int> calls = 0;
            std::atomic<int> elsewhere = 0;
            const std::thread::id here = std::this_thread::get_id();
            parallel_for(100, 0, [&](std::int64_t) {
              ++calls;
              elsewhere += std::this_thread::get_id() != here;
            });
            if (calls != 100 || elsewhere != 0) return 4;
          }
          return log.lines.size() == 1 && log.has("the system refuses a thread") ? 0 : 5;
        }) == 0);
}

TEST_CASE("a parallel loop works while the process ends, after destructors of statics") {
  SKIP_TEST_OF_THREADS_IN_CHILD();
  CHECK(exit_code_of_child([] {
          // Registered before the workers exist, so it runs after whatever they registered.
          std::atexit([] {
            const bool right = calls_per_index(100, 0) == std::vector<int>(100, 1);
            ::_exit(right ? 7 : 1);
          });
          calls_per_index(100, 0);
          std::exit(1);
          return 1;
        }) == 7);
}

}  // namespace streamattn
