// Online softmax over tiles of scores in wgmma accumulator layout.
//
// After Milakov and Gimelshein, "Online normalizer calculation for softmax" (2018), in base 2.
#pragma once

#include "parts/expressions.cuh"
#include "parts/fragment.cuh"

namespace streamattn {

SA_DEVICE float quad_max(float x) {
  x = fmaxf(x, __shfl_xor_sync(~0u, x, 1));
  return fmaxf(x, __shfl_xor_sync(~0u, x, 2));
}

SA_DEVICE float quad_sum(float x) {
  x += __shfl_xor_sync(~0u, x, 1);
  return x + __shfl_xor_sync(~0u, x, 2);
}

/// Running statistics of a thread's two rows.
struct RowStats {
  float reference[2] = {-infinity, -infinity};  // what scores * scale_log2 are taken relative to
  float sum[2] = {0, 0};  // of this thread's columns; the quad's are added at the end
  float rescale[2];       // what the last tile makes of everything accumulated before it

  /// s becomes 2^(s * scale_log2 - reference); the reference becomes the true maximum.
  template <int N>
  SA_DEVICE void exact(float (&s)[N], float scale_log2) {
    // Two maxima a row: one alone is a chain of twice as many instructions, each of which waits for
    // the one before.
    float left_max[2] = {s[0], s[2]}, right_max[2] = {s[1], s[3]};
    for_each_pair(s, [&](int r, int, float left, float right) {
      left_max[r] = fmaxf(left_max[r], left);
      right_max[r] = fmaxf(right_max[r], right);
    });
    float base[2];
#pragma unroll
    for (int r = 0; r < 2; r++) {
      float largest = quad_max(fmaxf(left_max[r], right_max[r]));
      float moved = fmaxf(reference[r], largest * scale_log2);
      base[r] = moved == -infinity ? 0 : moved;  // a row that has seen no key yet
      rescale[r] = exp2_approx(reference[r] - base[r]);
      reference[r] = moved;
      sum[r] *= rescale[r];
    }
    for_each(s, [&](int r, int, float& x) { x = fmaf(x, scale_log2, -base[r]); });
    exponentiate(s);
  }

  /// The same against a stale reference: it stays where it is unless a score exceeds it by 2^8,
  /// which P and the sums hold with ease, or a row has none yet. So the common path has no shuffles
  /// and no rescaling, and the test for the rest is one vote. Returns whether (in any row of the
  /// warp) the reference moved, and then `rescale` is to be applied.
  template <int N>
  SA_DEVICE bool stale(float (&s)[N], float scale_log2) {
    // Floats above zero order as their bit patterns do, and negative ones are negative integers:
    // integer maxima from 0 find the largest excess in half the instructions.
    bool unset[2] = {reference[0] == -infinity, reference[1] == -infinity};
    float base[2] = {unset[0] ? 0 : reference[0], unset[1] ? 0 : reference[1]};
    int excess[2] = {0, 0};
    for_each_pair(s, [&](int r, int, float& left, float& right) {
      left = fmaf(left, scale_log2, -base[r]);
      right = fmaf(right, scale_log2, -base[r]);
      excess[r] = max(max(excess[r], __float_as_int(left)), __float_as_int(right));
    });
    bool moved =
        __any_sync(~0u, unset[0] || unset[1] || max(excess[0], excess[1]) > __float_as_int(8.f));
    if (moved) move_reference(s, unset, base);
    exponentiate(s);
    return moved;
  }

  /// s becomes 2^(scale_log2 * tanh(factor * s) / factor - reference) in one pass with nothing to
  /// wait for, where in the warp all |factor * s| are below 0.25 and no score exceeds a reference,
  /// which all rows have, by 2^8. Otherwise nothing changes, and the answer is no. The polynomial
  /// is fitted for the least largest error.
  template <int N>
  SA_DEVICE bool cap(float (&s)[N], float factor, float scale_log2) {
    float largest = largest_magnitude(s);
    float excess = fmaf(largest, scale_log2, -fminf(reference[0], reference[1]));
    bool is_small = largest * fabsf(factor) <= 0.25f && excess <= 8;
    if (__any_sync(~0u, !is_small)) return false;
    float f2 = factor * factor;
    float c1 = scale_log2 * 0.9999996f, c3 = scale_log2 * f2 * -0.33321908f,
          c5 = scale_log2 * f2 * f2 * 0.12841613f;
    for_each(s, [&](int r, int, float& x) {
      float square = x * x;
      x = fmaf(x, fmaf(fmaf(c5, square, c3), square, c1), -reference[r]);
    });
    exponentiate(s);
    return true;
  }

  /// Adds up the quad. After the last tile, as the rest.
  SA_DEVICE void add_up() {
#pragma unroll
    for (int r = 0; r < 2; r++) {
      sum[r] = quad_sum(sum[r]);
      rescale[r] = 1;
    }
  }

  /// Adds 2^logit to the sum of row r. What the row has accumulated is then relative to another
  /// reference.
  SA_DEVICE void add_logit(int r, float logit) {
    float moved = fmaxf(reference[r], logit);
    if (moved == -infinity) return;
    rescale[r] = exp2_approx(reference[r] - moved);
    sum[r] = fmaf(sum[r], rescale[r], exp2_approx(logit - moved));
    reference[r] = moved;
  }

  /// The factors that normalise the accumulator, 0 for rows without keys.
  SA_DEVICE void finish(float (&normalise)[2]) const {
#pragma unroll
    for (int r = 0; r < 2; r++)
      normalise[r] = sum[r] == 0 ? 0 : rescale[r] * reciprocal_approx(sum[r]);
  }

  /// Natural logarithm of the sum of exponentials of row r, after finish().
  SA_DEVICE float log_sum(int r) const {
    constexpr float ln_2 = 0.693147180559945f;
    return sum[r] == 0 ? -infinity : (reference[r] + log2_approx(sum[r])) * ln_2;
  }

 private:
  // Makes the references true maxima of what the rows have seen and s relative to them; `s` is
  // relative to `base`, the reference where there is one and else 0. A row without a key stays
  // unset.
  template <int N>
  SA_DEVICE void move_reference(float (&s)[N], const bool (&unset)[2], const float (&base)[2]) {
    float largest[2] = {unset[0] ? -infinity : 0, unset[1] ? -infinity : 0};
    for_each(s, [&](int r, int, float x) { largest[r] = fmaxf(largest[r], x); });
    float by[2];
#pragma unroll
    for (int r = 0; r < 2; r++) {
      float moved_by = quad_max(largest[r]);
      by[r] = moved_by == -infinity ? 0 : moved_by;
      reference[r] = moved_by == -infinity ? -infinity : base[r] + by[r];
      rescale[r] = unset[r] ? 1 : exp2_approx(-by[r]);  // nothing was accumulated yet
      sum[r] *= rescale[r];
    }
    for_each(s, [&](int r, int, float& x) { x -= by[r]; });
  }

  template <int N>
  SA_DEVICE void exponentiate(float (&s)[N]) {
    for_each_pair(s, [&](int r, int, float& left, float& right) {
      left = exp2_approx(left);
      right = exp2_approx(right);
      sum[r] += left + right;
    });
  }
};

}  // namespace streamattn
