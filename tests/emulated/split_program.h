// The two kernels of a schedule that splits keys, on the emulator.
#pragma once

#include <span>

#include "emulator/host_kernel.h"
#include "streamattn/tensor.h"
#include "tests/support/golden_cases.h"

namespace streamattn {

/// Templates that take the place of their namesakes.
using Overlay = std::span<const EmbeddedFile>;

class SplitProgram {
 public:
  explicit SplitProgram(const GoldenCase& golden, Overlay instead = {});
  /// The same with another source of the first kernel.
  SplitProgram(const GoldenCase& golden, const Source& shares, Overlay instead);

  /// Computes `splits` shares of the keys of every query tile and merges them. Every element of the
  /// workspace is NaN before. Throws Error (launch_failed) with a report.
  void run(const ForwardArgs& args, int splits, std::uint64_t seed, int multiprocessors = 2) const;

 private:
  GoldenCase golden_;
  emulator::HostKernel shares_, combine_;
};

}  // namespace streamattn
