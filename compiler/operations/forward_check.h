// Validation of the arguments of a launch, shared by the GPU and the CPU.
#pragma once

#include "streamattn/problem.h"
#include "streamattn/tensor.h"

namespace streamattn {

/// Throws Error (invalid_argument) that names the tensor or argument, what was found and what is
/// needed, unless `args` fit `problem` and each other. With `device`, also what the GPU asks for:
/// 16-byte alignment of q, k, v and o, strides in [0, 2^40) bytes, and lengths, positions and
/// batch x heads below 2^29. Strides of dimensions of size 1 and everything in tensors without
/// elements may be anything.
void check_args(const Problem& problem, const ForwardArgs& args, bool device);

}  // namespace streamattn
