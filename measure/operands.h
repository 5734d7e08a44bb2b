// The tensors of a call: random inputs, poisoned outputs.
#pragma once

#include <cstddef>
#include <vector>

#include "measure/call.h"
#include "measure/random_inputs.h"
#include "measure/workbench.h"

namespace streamattn {

/// Dense contents of the tensors of one call, on the host.
struct HostTensors {
  std::vector<std::byte> q, k, v, o, lse;
};

/// Independent random Q, K and V; O and LSE stay empty.
HostTensors random_inputs(const Call& call, Distribution distribution, std::uint64_t seed);

/// The launch arguments of `call` on `tensors`, for code that runs on the host.
ForwardArgs host_args(const Call& call, HostTensors& tensors);

/// The tensors of one call in a workbench's memory.
class Operands {
 public:
  /// Uploads Q, K and V. O and LSE hold NaN throughout, so that what a kernel leaves out shows.
  Operands(const Call& call, const HostTensors& inputs, Workbench& bench);

  const ForwardArgs& args() const { return args_; }

  /// The launch of `kernel` on these tensors, with a poisoned workspace of its own. Must not
  /// outlive the operands and the kernel.
  Enqueue launch_of(const ForwardKernel& kernel) const;

  /// Fills in O and LSE.
  void download_outputs(HostTensors& tensors) const;

 private:
  Workbench& bench_;
  std::size_t o_bytes_, lse_bytes_;
  Memory q_, k_, v_, o_, lse_;
  ForwardArgs args_;
};

}  // namespace streamattn
