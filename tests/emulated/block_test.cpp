// The contracts of single instructions, on blocks whose kernel is a function here.
#include <cstring>

#include "tests/emulated/small_program.h"
#include "tests/support/catch.h"

using namespace streamattn;
using namespace streamattn::emulator;

namespace {

constexpr Site here = Site::here("kernel.cuh", 1), there = Site::here("kernel.cuh", 2);
constexpr unsigned base = SharedMemory::first_address;

constexpr int sixteen_bytes[4] = {1, 2, 3, 4};

/// A descriptor with the 128-byte swizzle: rows are 128 bytes apart.
constexpr unsigned long long descriptor(unsigned address) {
  return 1ULL << 62 | 64ULL << 32 | 1ULL << 16 | address >> 4;
}

/// Fills the 8 KiB of shared memory so that wgmma may read it.
void fill(Machine& machine, int thread) {
  for (int i = thread; i < 512; i += 128)
    machine.store_shared(base + static_cast<unsigned>(i) * 16, sixteen_bytes, here);
  machine.fence_shared_to_async(here);
  machine.sync_threads(here);
}

}  // namespace

TEST_CASE("lanes that are in different instructions are both named") {
  const std::string report = report_of([](Machine& m, int thread) {
    if (thread % 32 < 16)
      m.sync_warp(here);
    else
      m.any(true, there);
  });
  CHECK_THAT(report, contains_text("all lanes must come to the same instruction"));
  CHECK_THAT(report, contains_text("kernel.cuh:1"));
  CHECK_THAT(report, contains_text("kernel.cuh:2"));
}

TEST_CASE("a lane that exits before its warp synchronises is a deadlock") {
  const std::string report = report_of([](Machine& m, int thread) {
    if (thread != 5) m.sync_warp(here);
  });
  CHECK_THAT(report, contains_text("kernel, block 0: deadlock"));
  CHECK_THAT(report, contains_text("warp 0: lanes 0-4 waits for the other lanes at kernel.cuh:1; "
                                   "lane 5 exited"));
}

TEST_CASE("a report names kernel, block, warp, lane and line") {
  const std::string report = report_of([](Machine& m, int thread) {
    int value[4];
    if (thread == 70) m.load_shared(base + 16, value, there);
  });
  CHECK(
      report ==
      "kernel, block 0, warp 2, lane 6, kernel.cuh:2: reads shared address 1040, which nothing has "
      "written");
}

TEST_CASE("shared memory has an alignment and an end") {
  auto store_to = [](unsigned address) {
    return report_of([=](Machine& m, int thread) {
      if (thread == 0) m.store_shared(address, sixteen_bytes, here);
    });
  };
  CHECK(store_to(base + 8176) == "nothing");
  CHECK_THAT(store_to(base + 8), contains_text("is not a multiple of 16"));
  CHECK_THAT(store_to(base + 8192), contains_text("is outside of the block's [1024, 9216)"));
  CHECK_THAT(store_to(base - 16), contains_text("is outside of the block's [1024, 9216)"));
}

TEST_CASE("what one thread writes another may read only behind a barrier") {
  auto hand_over = [](const std::function<void(Machine&)>& in_between) {
    return report_of([=](Machine& m, int thread) {
      int value[4];
      if (thread == 0) m.store_shared(base, sixteen_bytes, here);
      in_between(m);
      if (thread == 33) m.load_shared(base, value, there);
      if (thread == 33) CHECK(std::memcmp(value, sixteen_bytes, 16) == 0);
    });
  };
  CHECK(hand_over([](Machine& m) { m.sync_threads(here); }) == "nothing");
  CHECK_THAT(hand_over([](Machine& m) { m.sync_warp(here); }),
             contains_text("shared address 1024"));
}

TEST_CASE("shuffles and named barriers have limits") {
  CHECK_THAT(report_of([](Machine& m, int) { m.shuffle(1, 32, here); }),
             contains_text("shuffles from lane 32"));
  CHECK_THAT(report_of([](Machine& m, int) { m.named_barrier(16, 128, true, here); }),
             contains_text("uses named barrier 16 with 128 threads"));
  CHECK_THAT(report_of([](Machine& m, int) { m.named_barrier(1, 100, true, here); }),
             contains_text("uses named barrier 1 with 100 threads"));
  CHECK_THAT(report_of([](Machine& m, int thread) {
               for (int i = 0; i < 2 && thread < 32; i++) m.named_barrier(1, 128, false, here);
             }),
             contains_text("arrives twice at named barrier 1"));
}

TEST_CASE("mbarriers are initialised once, at a multiple of 8, and not over-arrived") {
  auto by_one = [](const std::function<void(Machine&)>& body) {
    return report_of([=](Machine& m, int thread) {
      if (thread == 0) body(m);
    });
  };
  CHECK_THAT(by_one([](Machine& m) { m.mbarrier_init(base + 4, 1, here); }),
             contains_text("initialises an mbarrier at 1028 with 1 arrivals"));
  CHECK_THAT(by_one([](Machine& m) { m.mbarrier_init(base, 0, here); }),
             contains_text("initialises an mbarrier at 1024 with 0 arrivals"));
  CHECK_THAT(by_one([](Machine& m) {
               m.mbarrier_init(base, 1, here);
               m.mbarrier_init(base, 1, there);
             }),
             contains_text("initialises the mbarrier at 1024 once more"));
  CHECK_THAT(
      by_one([](Machine& m) { m.mbarrier_wait(base, 0, here); }),
      contains_text("uses shared address 1024 as an mbarrier, which nothing has initialised"));
  CHECK_THAT(
      by_one([](Machine& m) {
        m.mbarrier_init(base, 1, here);
        m.mbarrier_arrive(base, 16, here);
        m.mbarrier_arrive(base, 0, there);
      }),
      contains_text("arrives once more than the 1 times of a phase on the mbarrier at 1024"));
  // A shuffle keeps the lanes together but orders no memory.
  CHECK_THAT(report_of([](Machine& m, int thread) {
               if (thread == 0) m.mbarrier_init(base, 1, here);
               m.shuffle(0, 0, here);
               if (thread == 5) m.mbarrier_wait(base, 1, there);
             }),
             contains_text("no barrier orders its initialisation before this"));
}

TEST_CASE("TMA needs an encoded map and aligned shared memory, and is waited for") {
  std::uint16_t data[64] = {};
  auto load = [&](bool encoded, unsigned to) {
    SmallProgram program;
    const TensorMap map = encoded ? program.map("k", data, Role::input) : TensorMap{};
    return program
        .add([&](Machine& m, int thread) {
          if (thread != 0) return;
          m.mbarrier_init(base, 1, here);
          m.fence_mbarrier_init(here);
          m.mbarrier_arrive(base, 1024, here);
          m.tma_load(to, map, base, {0, 0, 0, 0}, there);
        })
        .report();
  };
  CHECK_THAT(load(false, base + 1024), contains_text("uses a tensor map that was never encoded"));
  CHECK_THAT(load(true, base + 1040),
             contains_text("loads a box to shared address 2064, not a multiple of 128"));
  CHECK_THAT(load(true, base + 1024),
             contains_text("the block exits and nobody has waited for this TMA load"));
  SmallProgram program;
  const TensorMap map = program.map("o", data, Role::output);
  program.add([&](Machine& m, int thread) {
    if (thread == 0) m.tma_store(map, base + 16, {0, 0, 0, 0}, here);
  });
  CHECK_THAT(program.report(),
             contains_text("stores a box from shared address 1040, not a multiple of 128"));
}

TEST_CASE("stores are committed before the exit") {
  std::uint16_t data[64] = {};
  SmallProgram program;
  const TensorMap map = program.map("o", data, Role::output);
  program.add([&](Machine& m, int thread) {
    fill(m, thread);
    if (thread != 0) return;
    m.tma_store(map, base, {0, 0, 0, 0}, here);
    m.tma_store_wait_read(here);
  });
  CHECK_THAT(program.report(), contains_text("exits without tma_store_commit for this TMA store"));
}

TEST_CASE("register counts are what setmaxnreg takes") {
  CHECK_THAT(report_of([](Machine& m, int) { m.set_registers(20, false, here); }),
             contains_text("asks for 20 registers; multiples of 8 from 24 to 256 exist"));
  CHECK_THAT(report_of([](Machine& m, int) { m.set_registers(240, false, here); }, 384),
             contains_text("gives registers back to keep 240 of 168"));
  CHECK_THAT(report_of([](Machine& m, int) { m.set_registers(160, true, here); }, 384),
             contains_text("grows to 160 registers from 168"));
}

TEST_CASE("wgmma descriptors, widths and registers are checked") {
  auto multiply = [](const std::function<void(WgmmaCall&, int thread)>& change,
                     const std::function<void(Machine&, float*, unsigned*)>& then) {
    return report_of([&](Machine& m, int thread) {
      float d[8];
      unsigned a[4] = {};
      fill(m, thread);
      m.touch_registers(a, 16, here);
      m.wgmma_fence(here);
      WgmmaCall call{true, false, false, false, 8, d, a, 0, descriptor(base)};
      change(call, thread);
      m.wgmma(call, there);
      then(m, d, a);
      m.wgmma_commit(here);
      m.wgmma_wait(0, here);
    });
  };
  auto unchanged = [](WgmmaCall&, int) {};
  auto nothing_more = [](Machine&, float*, unsigned*) {};
  CHECK(multiply(unchanged, nothing_more) == "nothing");
  CHECK_THAT(multiply([](WgmmaCall& c, int) { c.b_descriptor &= ~(3ULL << 62); }, nothing_more),
             contains_text("a descriptor without swizzle, which the emulator does not model"));
  CHECK_THAT(multiply([](WgmmaCall& c, int) { c.b_descriptor |= 1ULL << 49; }, nothing_more),
             contains_text("a descriptor with a base offset, which the emulator does not model"));
  CHECK_THAT(multiply([](WgmmaCall& c, int thread) { c.b_descriptor += thread == 3 ? 2 : 0; },
                      nothing_more),
             contains_text("lanes disagree about a wgmma's descriptors"));
  CHECK_THAT(multiply(unchanged,
                      [](Machine& m, float* d, unsigned* a) {
                        m.wgmma({true, true, false, false, 16, d, a, 0, descriptor(base)}, here);
                      }),
             contains_text("issues a wgmma of width 16 into one of width 8"));
  CHECK_THAT(
      multiply(unchanged, [](Machine& m, float*, unsigned* a) { m.touch_registers(a, 16, here); }),
      contains_text("changes registers of A of the wgmma at kernel.cuh:2"));
}

TEST_CASE("warps of a warpgroup come to the same matrix instructions") {
  CHECK_THAT(report_of([](Machine& m, int thread) { m.wgmma_fence(thread < 96 ? here : there); }),
             contains_text("where another warp of the warpgroup was in wgmma.fence"));
}

TEST_CASE("a warp does not exit under a wgmma") {
  float d[128][4];
  unsigned a[4] = {};
  CHECK_THAT(report_of([&](Machine& m, int thread) {
               fill(m, thread);
               m.touch_registers(a, 16, here);
               m.wgmma_fence(here);
               m.wgmma({true, false, false, false, 8, d[thread], a, 0, descriptor(base)}, there);
             }),
             contains_text("exits while the wgmma at kernel.cuh:2 is in flight"));
}

TEST_CASE("an operand whose parts belong to different tensors is named") {
  std::uint16_t data[2][64] = {};
  SmallProgram program;
  const TensorMap first = program.map("k", data[0], Role::input),
                  second = program.map("v", data[1], Role::input);
  program.add([&](Machine& m, int thread) {
    if (thread == 0) {
      m.mbarrier_init(base + 4096, 1, here);
      m.fence_mbarrier_init(here);
      m.mbarrier_arrive(base + 4096, 2048, here);
      m.tma_load(base, first, base + 4096, {0, 0, 0, 0}, here);
      m.tma_load(base + 1024, second, base + 4096, {0, 0, 0, 0}, here);
    }
    m.sync_threads(here);
    m.mbarrier_wait(base + 4096, 0, here);
    float d[8];
    unsigned a[4] = {};
    m.touch_registers(a, 16, here);
    m.wgmma_fence(here);
    m.wgmma({true, false, false, false, 16, d, a, 0, descriptor(base)}, there);
  });
  CHECK_THAT(program.report(), contains_text("they are of different tiles"));
}

TEST_CASE("equal seeds give equal runs and other seeds other ones") {
  auto order = [](std::uint64_t seed) {
    std::vector<int> threads;
    report_of(
        [&](Machine& m, int thread) {
          m.sync_warp(here);
          threads.push_back(thread);
        },
        128, seed);
    return threads;
  };
  CHECK(order(1) == order(1));
  CHECK(order(1) != order(2));
}

TEST_CASE("registers are pinned between their last change and a wgmma, and behind the wait") {
  auto report = [](const std::function<void(Machine&, float*, unsigned*)>& before,
                   const std::function<void(Machine&, float*)>& after) {
    return report_of([&](Machine& m, int thread) {
      float d[4] = {1, 1, 1, 1};
      unsigned a[4] = {};
      fill(m, thread);
      before(m, d, a);
      m.wgmma_fence(here);
      m.wgmma({true, true, false, false, 8, d, a, 0, descriptor(base)}, there);
      m.wgmma_commit(here);
      m.wgmma_wait(0, here);
      after(m, d);
    });
  };
  auto pin_both = [](Machine& m, float* d, unsigned* a) {
    m.touch_registers(d, 16, here);
    m.touch_registers(a, 16, here);
  };
  auto pin_d = [](Machine& m, float* d) { m.touch_registers(d, 16, here); };
  CHECK(report(pin_both, pin_d) == "nothing");
  CHECK_THAT(
      report([](Machine& m, float*, unsigned* a) { m.touch_registers(a, 16, here); }, pin_d),
      contains_text("kernel.cuh:2: issues a wgmma whose registers of D were not pinned before"));
  CHECK_THAT(report(
                 [&](Machine& m, float* d, unsigned* a) {
                   pin_both(m, d, a);
                   a[1] = 7;
                 },
                 pin_d),
             contains_text("whose registers of A were changed after their last pin"));
  CHECK_THAT(report(pin_both,
                    [&](Machine& m, float* d) {
                      d[0] *= 2;
                      pin_d(m, d);
                    }),
             contains_text("behind the wait for it and in front of a pin"));
  CHECK_THAT(report(pin_both, [](Machine& m, float*) { m.in_flight_used(here); }),
             contains_text("was waited for, but its accumulators not pinned since"));
}

TEST_CASE("memory that holds an mbarrier is out of bounds for everything else") {
  auto use = [](const std::function<void(Machine&)>& access) {
    return report_of([=](Machine& m, int thread) {
      if (thread != 0) return;
      m.mbarrier_init(base, 1, here);
      m.mbarrier_init(base + 8, 1, here);
      access(m);
    });
  };
  CHECK(use([](Machine& m) { m.mbarrier_arrive(base + 8, 0, there); }) == "nothing");
  CHECK_THAT(use([](Machine& m) { m.store_shared(base, sixteen_bytes, there); }),
             contains_text("overwrites shared address 1024, which holds an mbarrier"));
  CHECK_THAT(use([](Machine& m) {
               int value[4];
               m.load_shared(base, value, there);
             }),
             contains_text("reads shared address 1024, which holds an mbarrier"));
}

TEST_CASE("who arrives at an mbarrier has waited for the phase before") {
  auto arrive_twice = [](bool waits) {
    return report_of([=](Machine& m, int thread) {
      if (thread == 0) m.mbarrier_init(base, 1, here);
      m.sync_threads(here);
      if (thread != 40) return;
      m.mbarrier_arrive(base, 0, here);
      if (waits) m.mbarrier_wait(base, 0, here);
      m.mbarrier_arrive(base, 0, there);
    });
  };
  CHECK(arrive_twice(true) == "nothing");
  CHECK_THAT(arrive_twice(false), contains_text("it has not waited for the phase before"));
}

TEST_CASE("the fence that shows mbarriers to TMA is one of the thread that initialises them") {
  std::uint16_t data[64] = {};
  auto load = [&](bool fence_in_time) {
    SmallProgram program;
    const TensorMap map = program.map("k", data, Role::input);
    program.add([&](Machine& m, int thread) {
      if (thread == 0) m.mbarrier_init(base, 1, here);
      if (thread == 0 && fence_in_time) m.fence_mbarrier_init(here);
      m.sync_threads(here);
      m.fence_mbarrier_init(here);
      if (thread != 40) return;
      m.mbarrier_arrive(base, 1024, here);
      m.tma_load(base + 1024, map, base, {0, 0, 0, 0}, there);
      m.mbarrier_wait(base, 0, here);
    });
    return program.report();
  };
  CHECK(load(true) == "nothing");
  CHECK_THAT(load(false), contains_text("fence_mbarrier_init is missing"));
}
