// The tensors of a backward case where kernels of one target can reach them.
#pragma once

#include <vector>

#include "measure/backward_case.h"
#include "measure/operands.h"

namespace streamattn {

/// The copy of a case's tensors in a workbench's memory.
class BackwardOperands {
 public:
  /// Uploads all of them, o and lse as they are.
  BackwardOperands(const BackwardTensors& tensors, Workbench& bench);
  BackwardOperands(BackwardOperands&&) = default;

  const BackwardArgs& args() const { return args_; }

  /// The launch of `kernel` on these tensors, with a workspace of its own. Must not outlive the
  /// operands and the kernel.
  Enqueue launch_of(const BackwardKernel& kernel) const;

  /// Overwrites the gradients of `tensors`, of the same case, with what is here.
  void download_gradients(BackwardTensors& tensors) const;

 private:
  Workbench& bench_;
  Operands forward_;
  Memory d_o_, d_q_, d_k_, d_v_;
  std::vector<Memory> elements_;
  std::vector<TensorGradient> gradients_;
  BackwardArgs args_;
};

/// Runs `kernel` once on the tensors of a case, in memory of `bench`, and fills in the gradients.
void run_once(const BackwardKernel& kernel, BackwardTensors& tensors, Workbench& bench);

}  // namespace streamattn
