// Weights of the backward pass where a score is not the product.
#pragma once

#include "backward/backward_shared.cuh"
#include "parts/row_statistics.cuh"

namespace streamattn {

/// From the products `s` of a thread, (64 keys, 64 queries) of its warpgroup, to P packed, and P
/// times the slope of the score. A weight of 0 has no slope, whatever it is. Element n is hidden
/// where its bit is set; `q` is the position of the thread's first query, `k` of its two keys, and
/// `lse`, shared, where the statistics of the queries are.
template <class Spec, int N>
SA_DEVICE void change_weights(const typename Spec::Score& score, u32 hidden, int q,
                              const int (&k)[2], u32 lse, int lane, float (&s)[N], u32 (&p)[N / 2],
                              u32 (&sloped)[N / 2]) {
  using Element = typename Spec::Element;
  using Score = typename Spec::Score;
#pragma unroll
  for (int sixteen = 0; sixteen < N / 8; sixteen++) {
    LaneStatistics minus_lse(lse, sixteen, lane);
    float weights[8];
#pragma unroll
    for (int i = 0; i < 8; i++) {
      int element = 8 * sixteen + i, column = 8 * (element / 4) + i % 2;
      bool is_hidden = hidden >> element & 1;
      float& x = s[element];
      float logit = score.change(x, q, k[i / 2 % 2], column, 0);
      // The LSE may be NaN, of a row that others than hidden keys make so.
      if (!watches<Spec> && is_hidden) logit = -infinity;
      float power = fmaf(logit, score.scale_log2, minus_lse.of(i));
      if (watches<Spec> && is_hidden) power = -infinity;
      weights[i] = exp2_approx(power);
      if constexpr (Score::has_slope)
        x = weights[i] == 0 ? 0 : weights[i] * score.slope(x, q, k[i / 2 % 2], column);
    }
#pragma unroll
    for (int i = 0; i < 4; i++) {
      p[4 * sixteen + i] = pack(Element(), weights[2 * i], weights[2 * i + 1]);
      if constexpr (Score::has_slope)
        sloped[4 * sixteen + i] =
            pack(Element(), s[8 * sixteen + 2 * i], s[8 * sixteen + 2 * i + 1]);
    }
  }
}

}  // namespace streamattn
