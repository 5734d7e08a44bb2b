// Programs of several kernels and blocks: what they may see of each other.
#include "emulator/device.h"

#include "tests/emulated/small_program.h"
#include "tests/support/catch.h"

using namespace streamattn;
using namespace streamattn::emulator;

namespace {

constexpr Site here = Site::here("kernel.cuh", 1), there = Site::here("kernel.cuh", 2);

/// A program with 16 words of workspace and as many counters.
struct Words : SmallProgram {
  unsigned* words = static_cast<unsigned*>(memory.add_bytes("words", 64, Role::workspace));
  unsigned* counters = static_cast<unsigned*>(memory.add_bytes("counters", 64, Role::counter));
};

void store(Machine& m, unsigned* to, unsigned value) { m.store_global(to, &value, 4, here); }

unsigned load(Machine& m, const unsigned* from) {
  unsigned value;
  m.load_global(from, &value, 4, there);
  return value;
}

/// Every block writes its word; the last one to arrive adds them up in `sum`.
SmallKernel last_arriver(Words& p, bool with_barrier, unsigned& sum) {
  return [&p, with_barrier, &sum](Machine& m, int thread) {
    const unsigned block = m.block_index().x, blocks = m.grid_size().x;
    if (thread == 40) store(m, p.words + block, block + 1);
    if (with_barrier) m.sync_threads(here);
    if (thread != 0) return;
    if (m.atomic_add(p.counters, 1, here) + 1 < blocks) return;
    for (unsigned b = 0; b < blocks; b++) sum += load(m, p.words + b);
    m.store_release(p.counters, 0, here);
  };
}

}  // namespace

TEST_CASE("the last block to arrive at a counter sees what the others wrote") {
  for (std::uint64_t seed : {1, 2, 3, 4, 5}) {
    Words p;
    unsigned sum = 0;
    p.options.multiprocessors = 3;
    p.add(last_arriver(p, true, sum), {.blocks = 4});
    CHECK(p.report(seed) == "nothing");
    CHECK(sum == 10);
    CHECK(p.memory.unfinished() == "");
  }
}

TEST_CASE("a write that its block's barrier does not order before the arrival is a race") {
  for (std::uint64_t seed : {1, 2, 3, 4, 5}) {
    Words p;
    unsigned sum = 0;
    p.clear(p.words, 64);  // else it is a read of what nothing has written, under some seeds
    p.add(last_arriver(p, false, sum), {.blocks = 2});
    CHECK_THAT(p.report(seed), contains_text("of words, which warp"));
  }
}

TEST_CASE("relaxed atomics order nothing without a fence on both sides") {
  auto report = [](bool release, bool acquire) {
    Words p;
    p.add(
        [&](Machine& m, int thread) {
          if (thread != 0) return;
          store(m, p.words + m.block_index().x, 5);
          if (release) m.fence_gpu(here);
          if (m.atomic_inc(p.counters, 1, here) == 0) return;
          if (acquire) m.fence_gpu(here);
          const unsigned other = load(m, p.words + 1 - m.block_index().x);
          CHECK(other == 5);
        },
        {.blocks = 2});
    return p.report();
  };
  CHECK(report(true, true) == "nothing");
  CHECK_THAT(report(false, true), contains_text("of words, which warp 0, lane 0 of block"));
  CHECK_THAT(report(true, false), contains_text("no barrier, release and acquire"));
}

TEST_CASE("a block that waits for a later one sees it run, and what it released") {
  Words p;
  p.clear(p.words, 64);
  p.add(
      [&](Machine& m, int thread) {
        if (thread != 0) return;
        if (m.block_index().x == 1) {
          store(m, p.words + 1, 7);
          m.store_release(p.words, 1, here);
        } else {
          while (m.load_acquire(p.words, here) == 0) {
          }
          const unsigned value = load(m, p.words + 1);
          CHECK(value == 7);
        }
      },
      {.blocks = 2});
  for (std::uint64_t seed : {1, 2, 3}) CHECK(p.report(seed) == "nothing");
}

TEST_CASE("threads that wait for what never comes are a livelock") {
  Words p;
  p.add([&](Machine& m, int thread) {
    while (thread == 33 && m.load_acquire(p.counters, there) == 0) {
    }
  });
  const std::string report = p.report();
  CHECK_THAT(report, contains_text("kernel, block 0: livelock, threads run and nothing changes"));
  CHECK_THAT(report, contains_text("warp 1: lane 0 exited; lane 1 was last at kernel.cuh:2"));
}

TEST_CASE("workspace is undefined until it is written or cleared") {
  Words p;
  p.add([&](Machine& m, int thread) {
    if (thread == 0) load(m, p.words + 3);
  });
  CHECK_THAT(p.report(), contains_text("reads byte 12 of words, which nothing has written"));
  Words cleared;
  cleared.clear(cleared.words, 64).add([&](Machine& m, int thread) {
    if (thread == 0) CHECK(load(m, cleared.words + 3) == 0);
  });
  CHECK(cleared.report() == "nothing");
}

TEST_CASE("two blocks that write one word are a race") {
  Words p;
  p.add(
      [&](Machine& m, int thread) {
        if (thread == 0) store(m, p.words, 1);
      },
      {.blocks = 2});
  CHECK_THAT(p.report(),
             contains_text("overwrites byte 0 of words, which warp 0, lane 0 of block"));
}

TEST_CASE("a kernel sees what the one before it wrote") {
  Words p;
  auto write = [&](Machine& m, int thread) {
    if (thread < 16) store(m, p.words + thread, thread);
  };
  auto read = [&](Machine& m, int thread) {
    if (thread < 16) CHECK(load(m, p.words + 15 - thread) == 15U - thread);
  };
  p.add(write).add(read);
  CHECK(p.report() == "nothing");
}

TEST_CASE("a dependent kernel touches nothing of the one before until it has waited for it") {
  auto report = [](bool signals, bool waits, bool only_one_waits) {
    Words p;
    p.add(
        [&](Machine& m, int thread) {
          if (signals && thread == 0) m.launch_dependents(here);
          if (thread == 0) store(m, p.words + m.block_index().x, 3);
        },
        {.blocks = 3});
    p.add(
        [&](Machine& m, int thread) {
          if (waits && (thread == 0 || !only_one_waits)) m.dependency_wait(here);
          if (thread != 64) return;
          const unsigned written = load(m, p.words + 2);
          CHECK(written == 3);
        },
        {.dependent = true});
    return p.report();
  };
  CHECK(report(true, true, false) == "nothing");
  CHECK(report(false, true, false) == "nothing");
  CHECK_THAT(report(true, true, true), contains_text("of words"));
  CHECK_THAT(report(false, false, false), contains_text("no thread has called dependency_wait"));
}

TEST_CASE("a dependent kernel that never waits is named") {
  SmallProgram p;
  p.add([](Machine&, int) {}).add([](Machine&, int) {}, {.dependent = true});
  CHECK_THAT(p.report(), contains_text("no thread has called dependency_wait"));
}

TEST_CASE("a bulk store is in global memory behind the wait that is not for reading") {
  auto report = [](bool complete) {
    Words p;
    std::uint16_t row[64] = {};
    const TensorMap map = p.map("rows", row, Role::output);
    const auto* stored = static_cast<const unsigned*>(decode(map).data);
    p.add([&](Machine& m, int thread) {
      constexpr int bytes[4] = {1, 2, 3, 4};
      constexpr unsigned base = SharedMemory::first_address;
      if (thread != 0) return;
      for (unsigned i = 0; i < 64; i++) m.store_shared(base + 16 * i, bytes, here);
      m.fence_shared_to_async(here);
      m.tma_store(map, base, {0, 0, 0, 0}, here);
      m.tma_store_commit(here);
      complete ? m.tma_store_wait(here) : m.tma_store_wait_read(here);
      const unsigned found = load(m, stored);
      CHECK(found == 1);
    });
    return p.report();
  };
  CHECK(report(true) == "nothing");
  CHECK_THAT(report(false), contains_text("reads byte 0 of rows, which the TMA store of warp 0 of "
                                          "block 0 at kernel.cuh:1 writes: tma_store_wait"));
}

TEST_CASE("what threads wrote to global memory needs a fence before TMA reads it") {
  auto report = [](bool fence) {
    Words p;
    alignas(16) std::uint16_t row[64] = {};
    auto* placed = static_cast<std::byte*>(p.memory.add_bytes("rows", 128, Role::workspace));
    const TensorMap map =
        encode("rows", {placed, {64, 1, 1, 1}, {128, 128, 128}, DType::bf16, 8, 64});
    p.add([&](Machine& m, int thread) {
      constexpr unsigned base = SharedMemory::first_address;
      if (thread != 0) return;
      for (int i = 0; i < 8; i++) m.store_global(placed + 16 * i, row, 16, here);
      if (fence) m.fence_global_to_async(here);
      m.mbarrier_init(base, 1, here);
      m.fence_mbarrier_init(here);
      m.mbarrier_arrive(base, 1024, here);
      m.tma_load(base + 1024, map, base, {0, 0, 0, 0}, there);
      m.mbarrier_wait(base, 0, here);
    });
    return p.report();
  };
  CHECK(report(true) == "nothing");
  CHECK_THAT(report(false), contains_text("fence_global_to_async is missing in between"));
}

TEST_CASE("a program has no more blocks than the emulator can tell apart") {
  SmallProgram p;
  p.add([](Machine&, int) {}, {.blocks = 65537});
  CHECK_THAT(p.report(), contains_text("the emulator runs at most 65536 blocks of a program"));
}
