// Validation of the arguments of an append launch, the same on every target.
#pragma once

#include "streamattn/append.h"

namespace streamattn {

/// Throws Error (invalid_argument) that names the tensor or argument, what was found and what is
/// needed, unless types, sizes and offsets of `args` fit `problem` and each other, memory is there
/// and aligned to its elements, and no element of an output shares memory with another of any
/// tensor. rotated_q may be q.
void check_append(const Problem& problem, const AppendArgs& args);

}  // namespace streamattn
