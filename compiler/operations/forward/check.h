// Validation of the arguments of a forward launch, the same on every target.
#pragma once

#include "compiler/operations/named_args.h"
#include "streamattn/forward.h"

namespace streamattn {

/// Throws Error (invalid_argument) that names the tensor or argument, what was found and what is
/// needed, unless types, sizes, offsets and ranges of `args` fit `problem` and each other. Reads no
/// address. `names` are those of the problem.
void check_forward_sizes(const Problem& problem, const NameNeeds& names, const ForwardArgs& args);

/// The same, and the memory: it must be there and aligned to its elements, and no element of an
/// output may share memory with another of any tensor. Strides of dimensions of size 1 and
/// everything in tensors without elements may be anything.
void check_forward(const Problem& problem, const NameNeeds& names, const ForwardArgs& args);

/// The same for one call.
void check_forward_sizes(const Problem& problem, const ForwardArgs& args);
void check_forward(const Problem& problem, const ForwardArgs& args);

}  // namespace streamattn
