// Validation of the arguments of a merge launch, the same on every target.
#pragma once

#include "streamattn/merge.h"

namespace streamattn {

/// Throws Error (invalid_argument) that names the tensor or argument, what was found and what is
/// needed, unless types and sizes of `args` fit `problem` and each other, memory is there and
/// aligned to its elements, and no element of an output shares memory with another of any tensor.
void check_merge(const Problem& problem, const MergeArgs& args);

}  // namespace streamattn
