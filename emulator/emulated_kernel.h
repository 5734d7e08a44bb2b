// A kernel's emitted source, executed on the CPU with the hardware's contracts enforced.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "compiler/plan.h"
#include "emulator/host_kernel.h"
#include "emulator/trace.h"
#include "runtime/executor.h"

namespace streamattn {

/// How one launch is emulated.
struct Emulation {
  std::uint64_t seed = 1;    ///< of the order in which warps run; equal seeds give equal runs
  int multiprocessors = 2;   ///< that blocks run on
  double slice_seconds = 2;  ///< most time that a thread may take between two instructions
  emulator::Trace* trace = nullptr;  ///< gets the timeline
  std::int64_t l2_bytes = 0;         ///< that plans are told of; 0: what the target has
};

/// The kernels of a program, compiled for the host.
class EmulatedProgram {
 public:
  /// Templates in `instead` take the place of their namesakes. Throws Error (compile_failed).
  explicit EmulatedProgram(const Program& program, std::span<const EmbeddedFile> instead = {});

  const emulator::HostKernel& operator[](std::size_t i) const { return kernels_[i]; }

 private:
  std::vector<emulator::HostKernel> kernels_;
};

/// Follows the plans of a program's family on the CPU. Takes host tensors; run() returns when it is
/// done. Throws Error (invalid_argument) as a GPU does, and (launch_failed) with a report of the
/// first broken contract; the outputs are then as they were.
class EmulatedExecutor final : public Executor {
 public:
  EmulatedExecutor(Problem problem, Schedule schedule, const Target& target,
                   std::shared_ptr<const EmulatedProgram> program, Emulation how);

  std::size_t workspace_bytes(const ResolvedCall& call) const override;
  void run(const ResolvedCall& call, const Workspace& workspace, Stream stream) const override;

 private:
  std::int64_t l2_bytes() const { return how_.l2_bytes > 0 ? how_.l2_bytes : target_.l2_bytes; }

  Problem problem_;
  Schedule schedule_;
  const Target& target_;
  std::shared_ptr<const EmulatedProgram> program_;
  Emulation how_;
};

}  // namespace streamattn
