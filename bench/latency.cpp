// Host-side costs of the library: a disk-cache hit, a repeated request, a launch.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "compiler/plan.h"
#include "runtime/gpu/loaded_kernel.h"
#include "runtime/gpu/tensor_maps.h"
#include "streamattn/compiler.h"
#include "streamattn/jit.h"

using namespace streamattn;

namespace {

double microseconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin)
      .count();
}

// Median over `runs` of the time of a call; `settle` runs before each, untimed.
template <class Call, class Settle>
double median_microseconds(int runs, int calls_per_run, Call&& call, Settle&& settle) {
  std::vector<double> times;
  for (int run = 0; run < runs; run++) {
    settle();
    auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < calls_per_run; i++) call();
    times.push_back(microseconds_since(begin) / calls_per_run);
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

// Few enough launches that the queue never fills, which would time the device.
template <class Launch>
double launch_microseconds(Launch&& launch) {
  return median_microseconds(41, 100, launch, [] { driver().cuCtxSynchronize(); });
}

// What the driver takes of a launch: the same kernel with the same parameters, planned once.
double driver_microseconds(const ForwardKernel& kernel, const ForwardArgs& args,
                           GpuDevice& device) {
  const Problem& problem = kernel.problem();
  const Source source =
      emit(Operation::forward, problem, kernel.schedule(), kernel.target()).front();
  const LoadedKernel loaded(source, compile(source), false, device);
  const auto zero_words = [&](int count) { return device.zero_words(nullptr, count); };
  WorkspaceSlices slices;
  const Plan steps = plan(problem, kernel.schedule(), resolve(problem, args),
                          {device.sms(), device.l2_bytes(), tensor_map, zero_words}, slices);
  const auto& step = std::get<KernelLaunch>(steps.front());
  return launch_microseconds(
      [&] { loaded.launch(step.blocks, step.parameters(), step.overlaps_previous, nullptr); });
}

}  // namespace

// Run it twice: the first run fills the cache, the second finds its kernel there.
int main() try {
  Problem problem{.head_dim = 128, .mask = causal()};
  Shape shape{.batch = 1, .kv_heads = 16, .q_len = 128, .kv_len = 128};
  auto start = std::chrono::steady_clock::now();
  GpuDevice& device = GpuDevice::get();
  std::printf("driver, device and context: %.2f ms\n", microseconds_since(start) / 1e3);

  auto begin = std::chrono::steady_clock::now();
  Jit jit = Jit::create();
  const ForwardKernel& kernel = jit.forward(problem, shape);
  std::printf("from a fresh process to the loaded kernel, %s: %.2f ms\n",
              kernel.from_cache() ? "found in the disk cache" : "compiled",
              microseconds_since(begin) / 1e3);

  std::printf("a repeated request: %.3f us\n",
              median_microseconds(21, 10000, [&] { jit.forward(problem, shape); }, [] {}));

  ContextScope scope(device.context());
  CUdeviceptr memory = 0;
  std::size_t bytes = 16 * 128 * 128 * 2;
  check(driver().cuMemAlloc(&memory, 4 * bytes), "cuMemAlloc");
  auto tensor = [&](int i) {
    return Tensor::bshd(reinterpret_cast<void*>(memory + i * bytes), DType::bf16, 1, 128, 16, 128);
  };
  ForwardArgs args{.q = tensor(0), .k = tensor(1), .v = tensor(2), .o = tensor(3)};
  std::printf("a launch: %.2f us of host time", launch_microseconds([&] { kernel.launch(args); }));
  std::printf(", %.2f us of it in cuLaunchKernelEx\n", driver_microseconds(kernel, args, device));
  return 0;
} catch (const Error& error) {
  std::fprintf(stderr, "latency: %s\n", error.what());
  return 4;
}
