// Angles of rotary position embeddings.
#pragma once

#include <llvm/ADT/SmallVector.h>

#include <cstdint>

#include "streamattn/append.h"

namespace streamattn {

/// How much each pair turns from one position to the next: turns in 64 bits behind the point. A
/// product with a position, of which the whole turns fall off above, is its angle.
using RopeSteps = llvm::SmallVector<std::uint64_t, 128>;

/// Of the `dim` / 2 pairs, dim > 0.
RopeSteps rope_steps(const Rope& rope, std::int64_t dim);

/// The angle of a pair at a position, in radians within +-pi.
double rope_angle(std::uint64_t step, std::int64_t position);

}  // namespace streamattn
