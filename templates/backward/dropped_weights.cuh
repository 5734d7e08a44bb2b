// What the backward pass makes of dropout, in tiles whose columns are queries.
#pragma once

#include "parts/dropout.cuh"

namespace streamattn {

/// dP of a pair less delta, `minus_delta` being -delta, where `is_dropped` says whether its weight
/// is. Not with 0 in the place of the factor: that takes registers that backward_wgmma lacks.
SA_DEVICE float less_delta(const DropoutParams& params, float dp, bool is_dropped,
                           float minus_delta) {
  return (is_dropped ? 0 : dp) * params.of_kept + minus_delta;
}

/// Leaves only what is kept of the packed weights of a thread.
template <int N>
SA_DEVICE void drop_weights(u32 (&packed)[N], DroppedColumns drop) {
#pragma unroll
  for (int i = 0; i < N; i++)
    packed[i] &= (drop.of(2 * i) ? 0 : 0xFFFF) | (drop.of(2 * i + 1) ? 0 : 0xFFFF0000);
}

}  // namespace streamattn
