// The tensors of a case where kernels of one target can reach them.
#pragma once

#include <string>
#include <vector>

#include "measure/forward_case.h"
#include "measure/workbench.h"

namespace streamattn {

/// A copy of a tensor's memory in a workbench, and back.
Memory uploaded(Workbench& bench, const HostTensor& tensor);
void download(Workbench& bench, const Memory& memory, HostTensor& tensor);

/// Copies of the arrays of `sequences`, which it then points to.
std::vector<Memory> upload_arrays(Sequences& sequences, Workbench& bench);

/// Workspace for a launch that needs `bytes`: poisoned.
Memory poisoned_workspace(Workbench& bench, std::size_t bytes);

/// The launch of `kernel` with `args`, in the memory of `bench`, and a poisoned workspace of its
/// own of the size that the kernel asks for. Must not outlive the kernel, the tensors and the
/// bench.
Enqueue with_workspace(const ForwardKernel& kernel, const ForwardArgs& args, Workbench& bench);

/// The copy of a case's tensors in a workbench's memory.
class Operands {
 public:
  /// Uploads all of them: outputs and gaps hold poison, so that what a kernel leaves out, and what
  /// it may not read, shows.
  Operands(const ForwardTensors& tensors, Workbench& bench);
  Operands(Operands&&) = default;

  const ForwardArgs& args() const { return args_; }

  /// The launch of `kernel` on these tensors. Must not outlive the operands and the kernel.
  Enqueue launch_of(const ForwardKernel& kernel) const {
    return with_workspace(kernel, args_, bench_);
  }

  /// Fills o and lse with poison again.
  void poison_outputs() const;

  /// Overwrites o and lse of `tensors`, of the same case, with what is here.
  void download_outputs(ForwardTensors& tensors) const;

 private:
  Workbench& bench_;
  Memory q_, k_, v_, o_, lse_;
  std::size_t o_bytes_, lse_bytes_;
  std::vector<Memory> named_, arrays_;
  std::vector<std::string> names_;  // what scalars_ and tensors_ point to
  std::vector<ScalarArg> scalars_;
  std::vector<TensorArg> tensors_;
  ForwardArgs args_;
};

/// Runs `kernel` once on the tensors of a case, in memory of `bench`, and fills in o and lse.
void run_once(const ForwardKernel& kernel, ForwardTensors& tensors, Workbench& bench);

}  // namespace streamattn
