// The host CPU as a workbench.
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <new>
#include <thread>

#include "measure/workbench.h"
#include "streamattn/error.h"

namespace streamattn {
namespace {

class CpuWorkbench final : public Workbench {
 public:
  std::string name() const override {
    return "CPU, " + std::to_string(std::thread::hardware_concurrency()) + " threads";
  }

  Memory allocate(std::size_t bytes) override {
    constexpr std::align_val_t alignment{256};  // what a workspace needs
    return Memory(::operator new(bytes, alignment),
                  [](void* memory) { ::operator delete(memory, alignment); });
  }

  void upload(void* to, const void* from, std::size_t bytes) override {
    if (bytes != 0) std::memcpy(to, from, bytes);  // an empty tensor may have no memory
  }

  void download(void* to, const void* from, std::size_t bytes) override {
    if (bytes != 0) std::memcpy(to, from, bytes);  // an empty tensor may have no memory
  }

  void fill(void* to, unsigned char value, std::size_t bytes) override {
    std::memset(to, value, bytes);
  }

  void run(const Enqueue& enqueue) override { enqueue(nullptr); }

  TimingPolicy policy() const override { return {CacheState::warm, LaunchMode::eager}; }

  Enqueue prepared(const Enqueue& enqueue) override { return enqueue; }

  std::vector<double> time(const Enqueue& enqueue, int runs) override {
    using Clock = std::chrono::steady_clock;
    std::vector<double> milliseconds;
    for (int i = 0; i < runs; ++i) {
      const auto begin = Clock::now();
      enqueue(nullptr);
      milliseconds.push_back(
          std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
    }
    return milliseconds;
  }

  double overhead_milliseconds() const override { return 0; }
};

}  // namespace

std::unique_ptr<Workbench> cpu_workbench() { return std::make_unique<CpuWorkbench>(); }

std::unique_ptr<Workbench> workbench_for(int device, const TimingWish& wish) {
  if (device >= 0)
    return gpu_workbench(
        device, {wish.l2.value_or(CacheState::cold), wish.launch.value_or(LaunchMode::eager)});
  if (wish.l2 == CacheState::cold)
    throw Error(ErrorCode::invalid_argument, "a cold L2 is for GPUs: the CPU's caches are warm");
  if (wish.launch == LaunchMode::graph)
    throw Error(ErrorCode::invalid_argument, "graphs are for GPUs: calls on the CPU have none");
  return cpu_workbench();
}

}  // namespace streamattn
