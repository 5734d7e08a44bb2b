// The tensors of an append case where kernels of one target can reach them.
#pragma once

#include <vector>

#include "measure/append_case.h"
#include "measure/operands.h"

namespace streamattn {

/// The copy of a case's tensors in a workbench's memory.
class AppendOperands {
 public:
  /// Uploads all of them.
  AppendOperands(const AppendTensors& tensors, Workbench& bench);
  AppendOperands(AppendOperands&&) = default;

  /// The launch of `kernel` on these tensors. Must not outlive the operands and the kernel.
  Enqueue launch_of(const AppendKernel& kernel) const {
    return [&kernel, this](Stream stream) { kernel.launch(args_, stream); };
  }

  /// Overwrites the cache and the turned queries of `tensors`, of the same case, with what is here.
  void download_outputs(AppendTensors& tensors) const;

 private:
  Workbench& bench_;
  Memory new_k_, new_v_, q_, k_, v_, rotated_q_, cos_, sin_;
  std::vector<Memory> arrays_;
  AppendArgs args_;
};

/// Runs `kernel` once on the tensors of a case, in memory of `bench`, and fills in the outputs.
void run_once(const AppendKernel& kernel, AppendTensors& tensors, Workbench& bench);

}  // namespace streamattn
