// Instructions that decode kernels have beside others: barriers that reduce, matrices stored with
// rows and columns exchanged.
#include <array>
#include <cstdint>
#include <cstring>

#include "tests/emulated/small_program.h"
#include "tests/support/catch.h"
#include "tests/support/scratch.h"

using namespace streamattn;
using namespace streamattn::emulator;

namespace {

constexpr Site here = Site::here("kernel.cuh", 1), there = Site::here("kernel.cuh", 2);
constexpr unsigned base = SharedMemory::first_address;

/// What the threads of a block learn from a barrier to which thread `giver` gives true.
std::array<int, 128> learnt_from(int giver) {
  std::array<int, 128> learnt = {};
  CHECK(report_of([&](Machine& m, int thread) {
          learnt[thread] = m.named_barrier_any(4, 128, thread == giver, here);
        }) == "nothing");
  return learnt;
}

}  // namespace

TEST_CASE("a barrier that reduces tells all its threads whether any gave true") {
  for (const int giver : {0, 37, 127}) {
    std::array<int, 128> all = {};
    all.fill(1);
    CHECK(learnt_from(giver) == all);
  }
  CHECK(learnt_from(-1) == std::array<int, 128>{});
}

TEST_CASE("what was given to one barrier is gone from the next") {
  std::array<int, 128> second = {};
  CHECK(report_of([&](Machine& m, int thread) {
          m.named_barrier_any(4, 128, true, here);
          second[thread] = m.named_barrier_any(4, 128, false, there);
        }) == "nothing");
  CHECK(second == std::array<int, 128>{});
}

TEST_CASE("a barrier reduces for all its threads or for none") {
  CHECK_THAT(report_of([](Machine& m, int thread) {
               if (thread < 64)
                 m.named_barrier_any(4, 128, true, here);
               else
                 m.named_barrier(4, 128, true, there);
             }),
             contains_text("one of them reduces, the other does not"));
}

TEST_CASE("a barrier that reduces orders what threads wrote before it") {
  CHECK(report_of([](Machine& m, int thread) {
          const int four[4] = {thread, 0, 0, 0};
          m.store_shared(base + 16 * static_cast<unsigned>(thread), four, here);
          m.named_barrier_any(4, 128, false, here);
          int found[4];
          m.load_shared(base + 16 * static_cast<unsigned>(127 - thread), found, there);
        }) == "nothing");
}

TEST_CASE("matrices that are stored transposed have their columns at the addresses") {
  std::array<std::uint16_t, 128> stored = {};  // 2 matrices of 8 columns of 8
  CHECK(report_of([&](Machine& m, int thread) {
          if (thread < 32) {
            // Element (row, column) of matrix n is 100 n + 10 row + column.
            unsigned registers[2];
            for (unsigned n = 0; n < 2; n++) {
              const unsigned first = 100 * n + 10 * (thread / 4) + 2 * (thread % 4);
              registers[n] = first | (first + 1) << 16;
            }
            const unsigned address = base + 16 * static_cast<unsigned>(thread % 16);
            m.store_matrix_x2_transposed(address, registers, here);
          }
          m.sync_threads(here);
          if (thread < 16)
            m.load_shared(base + 16 * static_cast<unsigned>(thread), stored.data() + 8 * thread,
                          there);
        }) == "nothing");
  for (int n = 0; n < 2; n++)
    for (int column = 0; column < 8; column++)
      for (int row = 0; row < 8; row++)
        CHECK(stored[n * 64 + column * 8 + row] == 100 * n + 10 * row + column);
}

TEST_CASE("columns of matrices that overlap what others read are named") {
  CHECK_THAT(report_of([](Machine& m, int thread) {
               if (thread < 32) {
                 const unsigned registers[2] = {};
                 m.store_matrix_x2_transposed(base + 16 * static_cast<unsigned>(thread % 16),
                                              registers, here);
               } else if (thread < 64) {
                 int found[4];
                 m.load_shared(base + 16 * static_cast<unsigned>(thread % 16), found, there);
               }
             }),
             contains_text("shared address"));
}
