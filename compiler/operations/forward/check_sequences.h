// Validation of what a launch says of the sequences of its batch.
#pragma once

#include <llvm/ADT/SmallVector.h>

#include <string_view>

#include "streamattn/forward.h"

namespace streamattn {

/// Throws Error (invalid_argument) unless the sizes in args.sequences fit `problem` and the sizes
/// of q and k, which are not negative. Reads no address; arrays that the problem has may be null.
/// `q` is what messages call args.q.
void check_sequence_sizes(const Problem& problem, const ForwardArgs& args,
                          std::string_view q = "q");

/// Throws Error (invalid_argument) unless the arrays that `problem` has are there and aligned.
void check_sequence_memory(const Problem& problem, const ForwardArgs& args);

/// The batch that k and v need.
std::int64_t entries_of_k(const Problem& problem, const ForwardArgs& args);

/// The arrays of lengths and places that are given.
llvm::SmallVector<TensorArg, 5> sequence_arrays(const Problem& problem, const ForwardArgs& args);

}  // namespace streamattn
