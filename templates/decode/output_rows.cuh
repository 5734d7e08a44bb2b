// O and LSE on their way from registers to memory.
#pragma once

#include "decode/decode_rows.cuh"
#include "decode/decode_state.cuh"
#include "ptx/global.cuh"

namespace streamattn {

/// One thread of the math warps.
template <class Spec>
struct OutputRows {
  const DecodeParams& params;
  int lane;

  /// What a row's O is multiplied by, and its LSE.
  struct Normal {
    float factor, lse;
  };

  /// Of the thread's column c, from sums over all keys.
  SA_DEVICE Normal normal(const DecodeRows<Spec>& at, int c, float reference, float sum,
                          float rounded_sum) const {
    constexpr float ln_2 = 0.693147180559945f;
    float rescale = 1;
    if (sum == 0) reference = -infinity;
    if constexpr (Spec::Score::has_sink) {
      int row = at.row(c);
      float logit = at.piece.sequence.score(params.score, at.head(row)).sink(at.position(row));
      float moved = fmaxf(reference, logit);
      if (moved != -infinity) {
        rescale = exp2_approx(reference - moved);
        float weight = exp2_approx(logit - moved);
        sum = fmaf(sum, rescale, weight);
        rounded_sum = fmaf(rounded_sum, rescale, weight);
        reference = moved;
      }
    }
    return {rounded_sum == 0 ? 0 : rescale * reciprocal_approx(rounded_sum),
            sum == 0 ? -infinity : (reference + log2_approx(sum)) * ln_2};
  }

  SA_DEVICE void store_lse(const DecodeRows<Spec>& at, int c, float lse) const {
    if (params.output.lse && at.row(c) < at.count())
      store_global(params.output.lse + at.place(params.output.lse_strides, at.row(c)), lse);
  }

  /// Eight rows of 16 columns of V: those of warp `of_warp` in block `block` of 64. Lanes 4 apart
  /// hold neighbouring columns of the same two rows: each takes one row.
  SA_DEVICE void store(const DecodeRows<Spec>& at, int block, int eight, int of_warp,
                       const float* o) const {
    bool odd = lane / 4 % 2 != 0;
    int row = at.row(2 * eight + odd);
    bool exists = row < at.count();
    long long place =
        at.place(params.output.o_strides, row) + 64 * block + 16 * of_warp + lane / 4 / 2 * 2;
#pragma unroll
    for (int half = 0; half < 2; half++) {
      float mine = o[2 * half], other = o[2 * half + 1];
      float received = __shfl_xor_sync(~0u, odd ? mine : other, 4);
      if (exists)
        store_pair(typename Spec::Output(), place + 8 * half, odd ? received : mine,
                   odd ? other : received);
    }
  }

 private:
  template <class Element>
  SA_DEVICE void store_pair(Element, long long at, float left, float right) const {
    store_global((u32*)((u16*)params.output.o + at), pack(Element(), left, right));
  }
  SA_DEVICE void store_pair(float, long long at, float left, float right) const {
    store_global((float2*)((float*)params.output.o + at), make_float2(left, right));
  }
};

}  // namespace streamattn
