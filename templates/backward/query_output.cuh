// dQ that is complete, out of the registers of a warpgroup.
#pragma once

#include "backward/backward_params.h"
#include "parts/fragment.cuh"
#include "ptx/global.cuh"

namespace streamattn {

/// 64 rows of a float32 d_q that goes straight to memory, from some row and column on.
struct DirectQueries {
  const BackwardParams& params;
  Fragment at;
  float* head_first;  // row 0 of the sequence
  int count;          // of its rows
  int first_row, first_column, columns;

  /// Scaled, or added to what is there.
  template <int N>
  SA_DEVICE void store(const float (&dq)[N]) const {
    long long stride = params.d_q_direct.strides.seq;
#pragma unroll
    for (int r = 0; r < 2; r++) {
      int row = first_row + at.row(r);
      if (row < count) store(head_first + first_column + row * stride + at.column(), dq, r);
    }
  }

 private:
  template <int N>
  SA_DEVICE void store(float* to, const float (&dq)[N], int r) const {
    float scale = params.score.scale;
    for_each_pair(dq, [&](int row, int behind, float left, float right) {
      if (row != r || first_column + behind >= columns) return;
      float2 before = make_float2(0, 0);
      if (params.accumulate) before = load_global((float2*)(to + behind));
      store_global((float2*)(to + behind),
                   make_float2(fmaf(left, scale, before.x), fmaf(right, scale, before.y)));
    });
  }
};

}  // namespace streamattn
