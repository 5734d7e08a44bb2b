// Emulated programs whose kernels are functions of a test.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "emulator/device.h"
#include "emulator/global_memory.h"

namespace streamattn {

/// A thread of a kernel: the machine, and the thread's number in its block.
using SmallKernel = std::function<void(emulator::Machine&, int)>;

/// How a small kernel is launched.
struct SmallLaunch {
  unsigned blocks = 1;
  int threads = 128;
  bool dependent = false;
  int cluster = 1;
};

/// Kernels have 8 KiB of shared memory.
class SmallProgram {
 public:
  emulator::GlobalMemory memory;
  emulator::DeviceOptions options = {};

  SmallProgram& add(const SmallKernel& kernel, const SmallLaunch& launch = {});
  SmallProgram& clear(void* address, std::size_t bytes);

  /// A map of one row of 64 16-bit elements in host memory, with boxes of 8 rows.
  TensorMap map(const char* name, std::uint16_t* row, emulator::Role role);

  /// Runs it once; what the emulator reports, or "nothing". `seed` is that of the order.
  std::string report(std::uint64_t seed = 1);

 private:
  std::vector<emulator::Command> steps_;
};

/// The same for one block of one kernel without global memory.
std::string report_of(const SmallKernel& kernel, int threads = 128, std::uint64_t seed = 1);

}  // namespace streamattn
