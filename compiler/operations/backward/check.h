// Validation of the arguments of a backward launch, the same on every target.
#pragma once

#include "compiler/operations/named_args.h"
#include "streamattn/backward.h"

namespace streamattn {

/// Throws Error (invalid_argument) that names the tensor or argument, what was found and what is
/// needed, unless types, sizes, offsets and ranges of `args` fit `problem` and each other. Reads no
/// address. `names` are those of the problem.
void check_backward_sizes(const Problem& problem, const NameNeeds& names, const BackwardArgs& args);

/// The same, and the memory: it must be there and aligned to its elements, and no element of a
/// gradient may share memory with another of any tensor.
void check_backward(const Problem& problem, const NameNeeds& names, const BackwardArgs& args);

/// The same for one call.
void check_backward_sizes(const Problem& problem, const BackwardArgs& args);
void check_backward(const Problem& problem, const BackwardArgs& args);

}  // namespace streamattn
