// Ids of the named barriers, for none may serve two purposes of a skeleton. 0 is that of
// __syncthreads.
#pragma once

#include "ptx/types.cuh"

namespace streamattn {

/// Joins math warpgroup w and the one before it: w may issue when the other has. 1 to 3.
SA_DEVICE constexpr int turn_barrier(int warpgroup) { return 1 + warpgroup; }

/// The math warps of a decode block.
constexpr int decode_barrier = 4;

/// The warpgroup of dQ, between reading sums and writing dQ over them.
constexpr int query_sums_barrier = 5;

/// Math warpgroup w, between writing dS and multiplying it. 6 and 7.
SA_DEVICE constexpr int ds_barrier(int warpgroup) { return 6 + warpgroup; }

/// Math warpgroup w, to write the one stage of dS, and the warpgroup of dQ, when it has read what
/// was there. 8 and 9.
SA_DEVICE constexpr int ds_empty_barrier(int warpgroup) { return 8 + warpgroup; }

/// The threads of math warpgroup w on their way through the memory of O. 8 to 10.
SA_DEVICE constexpr int output_barrier(int warpgroup) { return 8 + warpgroup; }

/// The warps that screen V.
constexpr int screen_barrier = 4;

}  // namespace streamattn
