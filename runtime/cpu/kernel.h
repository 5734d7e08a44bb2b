// The kernel of the host CPU.
#pragma once

#include "compiler/operations/forward_check.h"
#include "runtime/cpu/forward.h"
#include "streamattn/kernel.h"

namespace streamattn {

class CpuKernel final : public Kernel {
 public:
  CpuKernel(const Problem& problem, const Choice& choice, const Target& target)
      : Kernel(problem, choice, target, {}, /*from_cache=*/false) {}

  void launch(const ForwardArgs& args, Stream) const override {
    check_args(problem(), args, /*device=*/false);
    cpu_forward(problem(), schedule(), args);
  }
};

}  // namespace streamattn
