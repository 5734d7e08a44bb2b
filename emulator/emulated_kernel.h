// A kernel's emitted source, executed on the CPU with the hardware's contracts enforced.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "emulator/host_kernel.h"
#include "emulator/trace.h"
#include "streamattn/kernel.h"

namespace streamattn {

/// How one launch is emulated.
struct Emulation {
  std::uint64_t seed = 1;    ///< of the order in which warps run; equal seeds give equal runs
  int multiprocessors = 2;   ///< blocks that run at a time
  double slice_seconds = 2;  ///< most time that a thread may take between two instructions
  emulator::Trace* trace = nullptr;  ///< gets the timeline
};

class EmulatedKernel final : public Kernel {
 public:
  /// Compiles `source`, emitted from `problem` with `choice`, for the host; templates in `instead`
  /// take the place of their namesakes. Throws Error (compile_failed).
  EmulatedKernel(const Problem& problem, const Choice& choice, const Source& source,
                 std::span<const EmbeddedFile> instead = {});

  /// Takes host tensors and returns when it is done. Throws Error (invalid_argument) as on a GPU,
  /// and (launch_failed) with a report of the first broken contract; o and lse are as they were.
  void emulate(const ForwardArgs& args, const Emulation& how) const;

  /// emulate() with the defaults.
  void launch(const ForwardArgs& args, Stream stream = nullptr) const override;

 private:
  std::string entry_;
  emulator::HostKernel kernel_;
};

}  // namespace streamattn
