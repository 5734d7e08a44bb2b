// Clusters: their barrier, stores to other blocks' shared memory, and when blocks may exit.
#include <cstring>
#include <vector>

#include "emulator/shared_memory.h"
#include "tests/emulated/small_program.h"
#include "tests/support/catch.h"
#include "tests/support/scratch.h"

using namespace streamattn;
using namespace streamattn::emulator;

namespace {

constexpr Site here = Site::here("kernel.cuh", 1), there = Site::here("kernel.cuh", 2);
constexpr unsigned base = SharedMemory::first_address, counter = base + 4096;

/// Blocks of a warp in clusters of four, each of which gives every block of its cluster 16 bytes
/// that say who it is, and reads what it got.
struct Exchange {
  std::vector<int> found = std::vector<int>(8 * 4, -1);  // [block, source]
  unsigned expected_bytes = 64;
  bool shows = true, joins = true, waits = true, of_cluster = true, arrives_again = true;
  int rounds = 1;

  void operator()(Machine& m, int thread) {
    const unsigned block = m.block_index().x, rank = block % 4;
    if (thread == 0) {
      m.mbarrier_init(counter, 1, here);
      m.mbarrier_arrive(counter, expected_bytes, here);
      if (shows) m.fence_mbarrier_init(here);
    }
    m.sync_warp(here);
    m.cluster_arrive(/*relaxed=*/true, here);
    for (int round = 0; round < rounds; round++) {
      if (round == 0 ? joins : arrives_again) m.cluster_wait(here);
      if (thread < 4) give(m, static_cast<unsigned>(thread), rank);
      if (!waits) return;
      if (of_cluster)
        m.mbarrier_wait_cluster(counter, round % 2, there);
      else
        m.mbarrier_wait(counter, round % 2, there);
      if (thread < 4) found[block * 4 + thread] = read(m, thread);
      if (round + 1 == rounds) return;
      if (thread == 0) m.mbarrier_arrive(counter, expected_bytes, here);
      if (arrives_again) m.cluster_arrive(/*relaxed=*/false, here);
    }
  }

  std::string report(std::uint64_t seed = 1) {
    SmallProgram p;
    p.options.multiprocessors = 4;
    p.add([this](Machine& m, int thread) { (*this)(m, thread); },
          {.blocks = 8, .threads = 32, .cluster = 4});
    return p.report(seed);
  }

 private:
  static void give(Machine& m, unsigned to, unsigned rank) {
    const int value[4] = {static_cast<int>(10 * rank + to), 0, 0, 0};
    m.store_async(m.shared_of_peer(base + 16 * rank, to, here), value,
                  m.shared_of_peer(counter, to, here), here);
  }
  static int read(Machine& m, int source) {
    int value[4];
    m.load_shared(base + 16 * static_cast<unsigned>(source), value, there);
    return value[0];
  }
};

/// What is reported of a cluster of two blocks of a warp.
std::string report_of_two(const SmallKernel& kernel) {
  SmallProgram p;
  p.add(kernel, {.blocks = 2, .threads = 32, .cluster = 2});
  return p.report();
}

}  // namespace

TEST_CASE("blocks of a cluster get what the others store to them") {
  for (std::uint64_t seed = 1; seed < 6; seed++)
    for (const int rounds : {1, 3}) {
      Exchange exchange;
      exchange.rounds = rounds;
      CHECK(exchange.report(seed) == "nothing");
      for (int block = 0; block < 8; block++)
        for (int source = 0; source < 4; source++)
          CHECK(exchange.found[block * 4 + source] == 10 * source + block % 4);
    }
}

TEST_CASE("stores to blocks that may not have initialised their barriers are named") {
  Exchange exchange;
  exchange.joins = false;
  CHECK_THAT(exchange.report(), contains_text("which nothing has initialised") ||
                                    contains_text("no barrier orders its initialisation"));
  Exchange hidden;
  hidden.shows = false;
  CHECK_THAT(hidden.report(), contains_text("no barrier orders its initialisation"));
}

TEST_CASE("stores to what another block may still read are named") {
  Exchange exchange;
  exchange.rounds = 2;
  exchange.arrives_again = false;
  for (std::uint64_t seed = 1; seed < 6; seed++)
    CHECK_THAT(exchange.report(seed), contains_text("overwrites shared address"));
}

TEST_CASE("a block that exits before it has what others store to it is named") {
  Exchange exchange;
  exchange.waits = false;
  for (std::uint64_t seed = 1; seed < 6; seed++)
    CHECK_THAT(exchange.report(seed),
               contains_text("nobody has waited for this store of its cluster") ||
                   contains_text("of the cluster, which has exited"));
}

TEST_CASE("bytes of other blocks are waited for with the scope of the cluster") {
  Exchange exchange;
  exchange.of_cluster = false;
  CHECK_THAT(exchange.report(), contains_text("without mbarrier_wait_cluster"));
}

TEST_CASE("bytes that do not add up to what is expected are named") {
  Exchange more, fewer;
  more.expected_bytes = 48;
  fewer.expected_bytes = 80;
  for (std::uint64_t seed = 1; seed < 6; seed++)
    CHECK_THAT(more.report(seed), contains_text("on the mbarrier at 5120") ||
                                      contains_text("of a cluster exited before the store at"));
  CHECK_THAT(fewer.report(), contains_text("deadlock"));
}

TEST_CASE("a warp that a cluster waits for in vain is named by who waits") {
  CHECK_THAT(report_of_two([](Machine& m, int) {
               if (m.block_index().x == 1) return;
               m.cluster_arrive(false, here);
               m.cluster_wait(there);
             }),
             contains_text("waits for the cluster, of which 1 of 2 warps have arrived"));
}

TEST_CASE("arrivals and waits of a cluster's barrier take turns") {
  CHECK_THAT(report_of_two([](Machine& m, int) {
               m.cluster_arrive(false, here);
               m.cluster_arrive(false, there);
             }),
             contains_text("twice without a cluster_wait in between"));
  CHECK_THAT(report_of_two([](Machine& m, int) { m.cluster_wait(there); }),
             contains_text("at whose barrier it has not arrived"));
}

TEST_CASE("addresses of other blocks are for stores to them, and within the cluster") {
  CHECK_THAT(report_of_two([](Machine& m, int) { m.shared_of_peer(base, 2, here); }),
             contains_text("maps a shared address to block 2 of a cluster of 2"));
  CHECK_THAT(report_of_two([](Machine& m, int) {
               int value[4] = {};
               m.store_shared(m.shared_of_peer(base, 1, here), value, there);
             }),
             contains_text("is outside of the block's"));
  CHECK_THAT(report_of_two([](Machine& m, int) {
               int value[4] = {};
               m.store_async(base, value, counter, there);
             }),
             contains_text("address 1024 is not one of shared_of_peer"));
  CHECK_THAT(report_of_two([](Machine& m, int) {
               int value[4] = {};
               m.store_async(m.shared_of_peer(base, 0, here), value,
                             m.shared_of_peer(counter, 1, here), there);
             }),
             contains_text("counts the bytes on an mbarrier of another"));
}

TEST_CASE("a grid is whole clusters, which run on however few multiprocessors") {
  SmallProgram p;
  p.options.multiprocessors = 1;
  int ran = 0;
  p.add([&](Machine&, int) { ran++; }, {.blocks = 8, .threads = 32, .cluster = 4});
  CHECK(p.report() == "nothing");
  CHECK(ran == 8 * 32);
  SmallProgram odd;
  odd.add([](Machine&, int) {}, {.blocks = 6, .threads = 32, .cluster = 4});
  CHECK_THAT(odd.report(), contains_text("kernel: 6 blocks are no whole clusters of 4"));
}
