// Running small programs.
#include "tests/emulated/small_program.h"

#include "emulator/host_kernel.h"
#include "tests/support/catch.h"

namespace streamattn {

using namespace emulator;

SmallProgram& SmallProgram::add(const SmallKernel& kernel, const SmallLaunch& launch) {
  auto machine = std::make_shared<Machine*>();
  auto thread = [machine, kernel] {
    Machine& mine = **machine;  // others are selected when this thread is not running
    kernel(mine, static_cast<int>(mine.thread_index().x));
  };
  steps_.push_back(GridLaunch{.kernel = "kernel",
                              .code = {[machine](Machine* now) { *machine = now; }, thread},
                              .grid = {launch.blocks, 1, 1},
                              .threads = launch.threads,
                              .smem_bytes = 8192,
                              .registers = LaunchBounds{launch.threads, 1}.registers(),
                              .cluster = launch.cluster,
                              .dependent = launch.dependent});
  return *this;
}

SmallProgram& SmallProgram::clear(void* address, std::size_t bytes) {
  steps_.push_back(Zeroing{address, bytes});
  return *this;
}

TensorMap SmallProgram::map(const char* name, std::uint16_t* row, Role role) {
  const Tensor placed = memory.add_tensor(name, Tensor::bshd(row, DType::bf16, 1, 1, 1, 64), role);
  return encode(name, {placed.data, {64, 1, 1, 1}, {128, 128, 128}, DType::bf16, 8, 64});
}

std::string SmallProgram::report(std::uint64_t seed) {
  options.seed = seed;
  try {
    Device(memory, options).run(steps_);
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::launch_failed);
    return error.what();
  }
  return "nothing";
}

std::string report_of(const SmallKernel& kernel, int threads, std::uint64_t seed) {
  return SmallProgram().add(kernel, {.threads = threads}).report(seed);
}

}  // namespace streamattn
