// cp.async: what its bytes wait for, and who may read them.
#include <cstdint>
#include <cstring>
#include <functional>
#include <numeric>
#include <vector>

#include "tests/emulated/small_program.h"
#include "tests/support/catch.h"
#include "tests/support/scratch.h"

using namespace streamattn;
using namespace streamattn::emulator;

namespace {

constexpr Site here = Site::here("kernel.cuh", 1), there = Site::here("kernel.cuh", 2);
constexpr unsigned base = SharedMemory::first_address, barrier = base + 4096;

/// Warp 0 copies 512 bytes of a tensor to shared memory, 16 a lane, but for the last lane's, which
/// are zeros; all threads then wait for them.
struct Copied {
  std::vector<float> memory = std::vector<float>(128);
  std::function<void(Machine&, int thread)> behind = [](Machine&, int) {};
  bool arrives = true, waits = true;
  int misaligned = 0;  // bytes

  std::string report(std::uint64_t seed) {
    std::iota(memory.begin(), memory.end(), 1.F);
    SmallProgram p;
    const Tensor x = p.memory.add_tensor("x", Tensor::bshd(memory.data(), DType::f32, 1, 1, 1, 128),
                                         Role::input);
    p.add([&](Machine& m, int thread) {
      if (thread == 0) m.mbarrier_init(barrier, 32, here);
      m.sync_threads(here);
      if (thread < 32) {
        const char* from = static_cast<const char*>(x.data) + 16 * thread + misaligned;
        m.copy_async(base + 16 * static_cast<unsigned>(thread), from, thread < 31, there);
        if (arrives) m.copy_async_arrive(barrier, here);
      }
      if (waits) m.mbarrier_wait(barrier, 0, here);
      behind(m, thread);
    });
    return p.report(seed);
  }
};

}  // namespace

TEST_CASE("bytes of cp.async are there for all who wait, and zeros where nothing is copied") {
  for (std::uint64_t seed = 1; seed < 6; seed++) {
    std::vector<float> found(128, -1.F);
    Copied copied{.behind = [&](Machine& m, int thread) {
      if (thread >= 32) return;
      m.load_shared(base + 16 * static_cast<unsigned>(thread), found.data() + 4 * thread, here);
    }};
    CHECK(copied.report(seed) == "nothing");
    for (int i = 0; i < 128; i++) CHECK(found[i] == (i < 124 ? copied.memory[i] : 0.F));
  }
}

TEST_CASE("who reads bytes of cp.async without a wait is named") {
  Copied copied{.behind =
                    [](Machine& m, int thread) {
                      float four[4];
                      if (thread == 40) m.load_shared(base, four, here);
                    },
                .waits = false};
  CHECK_THAT(copied.report(1), contains_text("reads shared address 1024, which"));
}

TEST_CASE("matrix instructions see what cp.async wrote behind a fence") {
  const auto multiply = [](bool fence) {
    float d[128][4];
    Copied copied{.behind = [&](Machine& m, int thread) {
      if (fence) m.fence_shared_to_async(here);
      unsigned a[4] = {};
      const unsigned long long rows_of_32 = 3ULL << 62 | 16ULL << 32 | 1ULL << 16 | base >> 4;
      m.touch_registers(a, 16, here);
      m.wgmma_fence(here);
      m.wgmma({true, false, false, false, 8, d[thread], a, 0, rows_of_32}, here);
      m.wgmma_commit(here);
      m.wgmma_wait(0, here);
    }};
    return copied.report(1);
  };
  CHECK(multiply(true) == "nothing");
  CHECK_THAT(multiply(false), contains_text("which the cp.async of warp 0 at kernel.cuh:2 wrote: "
                                            "fence_shared_to_async is missing in between"));
}

TEST_CASE("copies that nobody can wait for are named") {
  Copied copied{.arrives = false, .waits = false};
  CHECK_THAT(copied.report(1), contains_text("exits without copy_async_arrive for this copy"));
}

TEST_CASE("cp.async copies 16 aligned bytes that exist") {
  Copied copied{.misaligned = 4};
  CHECK_THAT(copied.report(1), contains_text("which is not aligned to them"));
  Copied behind{.misaligned = 512};
  CHECK_THAT(behind.report(1), contains_text("which is behind it"));
}
