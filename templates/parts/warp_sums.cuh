// Sums over the lanes of a warp.
#pragma once

#include "ptx/types.cuh"

namespace streamattn {

/// Sum over the lanes of a warp.
template <class T>
SA_DEVICE T warp_sum(T x) {
#pragma unroll
  for (int lanes = 16; lanes > 0; lanes /= 2) x += __shfl_xor_sync(~0u, x, lanes);
  return x;
}

/// Sum over this lane and those before it.
SA_DEVICE int warp_prefix_sum(int x, int lane) {
#pragma unroll
  for (int lanes = 1; lanes < 32; lanes *= 2) {
    int before = __shfl_sync(~0u, x, max(lane - lanes, 0));
    if (lane >= lanes) x += before;
  }
  return x;
}

}  // namespace streamattn
