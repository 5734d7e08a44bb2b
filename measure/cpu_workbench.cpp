// The host CPU as a workbench.
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <new>
#include <thread>

#include "measure/workbench.h"

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

std::unique_ptr<Workbench> workbench_for(int device) {
  return device < 0 ? cpu_workbench() : gpu_workbench(device);
}

}  // namespace streamattn
