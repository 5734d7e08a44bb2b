// The functions of templates/ptx/ by which blocks and kernels agree: ptxas takes every one of them,
// also those that no kernel uses yet.
#include <algorithm>

#include "compiler/toolchain/flatten.h"
#include "streamattn/compiler.h"
#include "tests/support/catch.h"
#include "tests/support/skip.h"

using namespace streamattn;

namespace {

constexpr const char* every_function = R"(
#include "ptx/dependency.cuh"
#include "ptx/global.cuh"
#include "ptx/tma.cuh"
using namespace streamattn;
extern "C" __global__ void streamattn_every(float* f, float2* f2, float4* f4, u32* w, int* i,
                                            int4* i4) {
  dependency_wait();
  launch_dependents();
  store_global(f, load_global(f + 1));
  store_global(f2, load_global(f2 + 1));
  store_global(f4, load_global(f4 + 1));
  store_global(w, load_global(w + 1));
  store_global(i, load_global(i + 1));
  store_global(i4, load_global(i4 + 1));
  fence_gpu();
  fence_global_to_async();
  tma_store_wait();
  if (atomic_add(w + 2, 1) == 3) atomic_increment(w + 3, 7);
  while (load_acquire(w + 4) < 3) {
  }
  store_release(w + 5, 1);
}
)";

}  // namespace

TEST_CASE("ptxas takes every function of global memory and of dependent kernels") {
  if (std::ranges::none_of(find_nvrtc(), &NvrtcCandidate::usable)) SKIP_TEST("there is no NVRTC");
  const Source source{.text = every_function,
                      .flat = flatten(every_function),
                      .entry = "streamattn_every",
                      .target = "sm_90a"};
  const Binary binary = compile(source);
  CHECK(binary.resources.spill_store_bytes == 0);
  CHECK(binary.advisories.empty());
}
