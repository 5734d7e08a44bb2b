// Several users of one kernel cache share the work of compiling.
#include <atomic>
#include <thread>

#include "runtime/cache/kernel_cache.h"
#include "tests/support/forked.h"
#include "tests/unit/kernel_cache_use.h"

using namespace streamattn;
using namespace std::chrono_literals;

TEST_CASE("what compile throws reaches the caller and frees the lock") {
  const ScratchFolder folder;
  const FakeKernel kernel(1);
  KernelCache cache({.directory = folder.path(), .patience = 60s});
  const auto fail = [&]() -> Binary { throw Error(ErrorCode::compile_failed, "no"); };
  const auto attempt = [&] { cache.find_or_compile(kernel.key, kernel.source, provenance, fail); };
  CHECK(error_of(attempt) == "compile_failed: no");
  int compiles = 0;
  find_or_compile(cache, kernel, compiles);
  CHECK(compiles == 1);
  CHECK(cache.counters().wait_timeouts == 0);
}

TEST_CASE("threads that race for one kernel compile it once") {
  const ScratchFolder folder;
  const FakeKernel kernel(1);
  std::atomic<int> compiles = 0;
  std::atomic<int> wrong = 0;
  // Each with a cache of its own, as processes have.
  const auto work = [&] {
    KernelCache cache({.directory = folder.path(), .patience = 60s});
    const Binary binary = cache.find_or_compile(kernel.key, kernel.source, provenance, [&] {
      ++compiles;
      std::this_thread::sleep_for(50ms);
      return kernel.binary;
    });
    wrong += binary.cubin != kernel.binary.cubin;
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
  CHECK(compiles == 1);
  CHECK(wrong == 0);
}

TEST_CASE("a process that waits too long for another compiles by itself") {
  const ScratchFolder folder;
  const FakeKernel kernel(1);
  std::atomic<bool> done = false;
  int slow_compiles = 0, quick_compiles = 0;
  KernelCache slow({.directory = folder.path()});
  std::atomic<bool> started = false;
  std::thread holder([&] {
    slow.find_or_compile(kernel.key, kernel.source, provenance, [&] {
      started = true;
      while (!done) std::this_thread::sleep_for(1ms);
      ++slow_compiles;
      return kernel.binary;
    });
  });
  while (!started) std::this_thread::sleep_for(1ms);
  LogRecorder log;
  KernelCache quick({.directory = folder.path(), .patience = 30ms});
  find_or_compile(quick, kernel, quick_compiles);
  done = true;
  holder.join();
  CHECK(quick_compiles == 1);
  CHECK(slow_compiles == 1);
  CHECK(quick.counters().wait_timeouts == 1);
  CHECK(quick.counters().published == 1);
  CHECK(slow.counters().lost_races == 1);
  CHECK(log.has("compiling " + kernel.key.text() + " although another process is at it"));
}

TEST_CASE("a forked child uses its parent's cache and counts for itself") {
  const ScratchFolder folder;
  const FakeKernel kernel(1);
  KernelCache cache({.directory = folder.path()});
  int compiles = 0;
  find_or_compile(cache, kernel, compiles);
  CHECK(exit_code_of_child([&] {
          if (cache.counters() != CacheCounters{}) return 1;
          if (!cache.find(kernel.key)) return 2;
          return cache.counters().hits == 1 && cache.counters().published == 0 ? 0 : 3;
        }) == 0);
  CHECK(cache.counters().hits == 0);
  CHECK(cache.counters().published == 1);
}

TEST_CASE("a child forked while other threads use the cache neither waits nor fails") {
  const ScratchFolder folder;
  KernelCache cache({.directory = folder.path()});
  std::atomic<bool> done = false;
  std::vector<std::thread> users;
  for (int user = 0; user < 3; ++user) {
    users.emplace_back([&] {
      const FakeKernel kernel(1);
      int compiles = 0;
      while (!done) find_or_compile(cache, kernel, compiles);
    });
  }
  for (int child = 0; child < 50; ++child) {
    CHECK(exit_code_of_child([&] {
            const FakeKernel kernel(1);
            int compiles = 0;
            return find_or_compile(cache, kernel, compiles).cubin == kernel.binary.cubin ? 0 : 1;
          }) == 0);
  }
  done = true;
  for (std::thread& user : users) user.join();
}
