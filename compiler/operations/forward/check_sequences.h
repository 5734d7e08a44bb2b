// Validation of what a launch says of the sequences of its batch.
#pragma once

#include "streamattn/forward.h"

namespace streamattn {

/// Throws Error (invalid_argument) unless the sizes in args.sequences fit `problem` and the sizes
/// of q and k, which are not negative. Reads no address; arrays that the problem has may be null.
void check_sequence_sizes(const Problem& problem, const ForwardArgs& args);

/// Throws Error (invalid_argument) unless the arrays that `problem` has are there and aligned.
void check_sequence_memory(const Problem& problem, const ForwardArgs& args);

}  // namespace streamattn
