// Eight columns of a row of O, from its results over shares of the keys.
#pragma once

#include "ptx/math.cuh"

namespace streamattn {

/// A merged row: O and LSE, natural logarithm.
struct MergedRow {
  static constexpr int width = 8;  // columns of a thread
  static constexpr float log2_e = 1.44269504088896f, ln_2 = 0.693147180559945f;

  float o[width] = {}, lse;

  /// lse_of(s) is the LSE of share s, load(s, x) reads its columns. Shares are added in their
  /// order, so that the result is the same each time. -inf - -inf is never computed: a row without
  /// keys is taken relative to 0.
  template <class LseOf, class Load>
  SA_DEVICE MergedRow(int shares, const LseOf& lse_of, const Load& load) {
    float largest = -infinity;
#pragma unroll 4
    for (int s = 0; s < shares; s++) largest = fmaxf(largest, lse_of(s));
    float base = largest == -infinity ? 0 : largest, sum = 0;
#pragma unroll 4
    for (int s = 0; s < shares; s++) {
      float weight = exp2_approx((lse_of(s) - base) * log2_e), x[width];
      load(s, x);
      sum += weight;
#pragma unroll
      for (int i = 0; i < width; i++) o[i] = fmaf(weight, x[i], o[i]);
    }
    float normalise = sum == 0 ? 0 : reciprocal_approx(sum);
#pragma unroll
    for (int i = 0; i < width; i++) o[i] *= normalise;
    lse = sum == 0 ? -infinity : base + log2_approx(sum) * ln_2;
  }
};

}  // namespace streamattn
