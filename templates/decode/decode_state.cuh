// What a thread of the math warps accumulates of an item, and its softmax.
#pragma once

#include "decode/row_exchange.cuh"
#include "parts/named_barriers.cuh"
#include "ptx/math.cuh"
#include "ptx/warpgroup.cuh"
#include "ptx/wgmma.cuh"

namespace streamattn {

/// Products stand on their side: keys, or columns of V, are rows of an accumulator and query rows
/// its columns. Element i of a thread is of its column c = 2 (i / 4) + i % 2, and of the key, or
/// column of V, that comes 8 (i / 2 % 2) behind the thread's first.
SA_DEVICE constexpr int column_of(int i) { return 2 * (i / 4) + i % 2; }
SA_DEVICE constexpr int behind_first(int i) { return 8 * (i / 2 % 2); }

/// How far in base 2 scores may exceed their reference: P holds it with ease. Where O keeps 32 bits
/// not at all, so that the largest weight of a row is 1 and exact: rounded to 16 bits it would be
/// off by as much as O in 16 bits may be.
SA_DEVICE constexpr float reference_range(bf16, bf16) { return 64; }
SA_DEVICE constexpr float reference_range(f16, f16) { return 8; }
template <class Element>
SA_DEVICE constexpr float reference_range(Element, float) {
  return 0;
}

/// O, sums and references of the thread's columns. Scores are taken relative to a reference in base
/// 2: the largest of the first tile of which the row sees a key, until a score exceeds it by more
/// than a range that P holds with ease. So few tiles need a maximum, on which all warps must agree.
template <class Spec>
struct DecodeState {
  using Element = typename Spec::Element;
  static constexpr int rows = Spec::tiling.rows, columns = rows / 4;
  static constexpr int blocks = Spec::tiling.value_head_dim / 64;  // of columns of V
  static constexpr float range = reference_range(Element(), typename Spec::Output());

  /// A thread's weights of a tile: summed by column, and rounded, pairs of columns of its first and
  /// of its second eight keys.
  struct Weights {
    float sum[columns];
    u32 packed[columns];
  };

  float o[blocks][rows / 2];  // (value_head_dim, rows) float
  float reference[columns];
  // Of this thread's keys, until add_up(): sums of weights, and of weights as V is multiplied by
  // them, rounded. O over the second is a mean whatever the rounding; the LSE wants the first.
  float sum[columns], rounded_sum[columns];
  float limit[columns];  // of scores, relative; -inf until the reference is one of the row's scores

  SA_DEVICE void clear() {
#pragma unroll
    for (int m = 0; m < blocks; m++)
#pragma unroll
      for (int i = 0; i < rows / 2; i++) o[m][i] = 0;
#pragma unroll
    for (int c = 0; c < columns; c++)
      reference[c] = sum[c] = rounded_sum[c] = 0, limit[c] = -infinity;
  }

  /// Takes scores times `scale_log2` relative to the references; hidden ones are -inf. Returns
  /// whether a reference must move.
  SA_DEVICE bool relate(float (&s)[rows / 2], float scale_log2) const {
    bool moves = false;
#pragma unroll
    for (int i = 0; i < rows / 2; i++) s[i] = fmaf(s[i], scale_log2, -reference[column_of(i)]);
    // Without branches: one warp of a scheduler has nothing to hide them behind.
#pragma unroll
    for (int c = 0; c < columns; c++) moves |= highest(s, c) > limit[c];
    return moves;
  }

  /// Moves references to the largest scores where these are above them, and where a row has seen no
  /// key before. All math warps together.
  SA_DEVICE void move(float (&s)[rows / 2], RowExchange<rows> tops, RowExchange<rows> weights) {
    float top[columns], weight[columns];
#pragma unroll
    for (int c = 0; c < columns; c++) {
      top[c] = over_keys(highest(s, c), fmaxf_of);
      weight[c] = over_keys(sum[c], fmaxf_of);
    }
    tops.put(top);
    weights.put(weight);
    named_barrier_sync(decode_barrier, decode_math_threads);
#pragma unroll
    for (int c = 0; c < columns; c++) top[c] = -infinity, weight[c] = 0;
    tops.for_each([&](int c, float x) { top[c] = fmaxf(top[c], x); });
    weights.for_each([&](int c, float x) { weight[c] = fmaxf(weight[c], x); });
#pragma unroll
    for (int c = 0; c < columns; c++) {
      bool has_weight = weight[c] > 0;
      float by = has_weight ? fmaxf(top[c], 0) : top[c] == -infinity ? 0 : top[c];
      float shrink = has_weight ? exp2_approx(-by) : 1;
      reference[c] += by;
      sum[c] *= shrink;
      rounded_sum[c] *= shrink;
      if (has_weight || top[c] != -infinity) limit[c] = range;
      scale(c, shrink);
      int first = 4 * (c / 2) + c % 2;
      s[first] -= by;
      s[first + 2] -= by;
    }
  }

  /// Multiplies a column of O.
  SA_DEVICE void scale(int c, float factor) {
#pragma unroll
    for (int m = 0; m < blocks; m++) {
      o[m][4 * (c / 2) + c % 2] *= factor;
      o[m][4 * (c / 2) + c % 2 + 2] *= factor;
    }
  }

  /// Adds a tile's weights.
  SA_DEVICE void add(const Weights& weights) {
#pragma unroll
    for (int c = 0; c < columns; c++) {
      sum[c] += weights.sum[c];
      int high = c % 2 * 16, first = c / 2 * 2;
      rounded_sum[c] += unpack(Element(), u16(weights.packed[first] >> high)) +
                        unpack(Element(), u16(weights.packed[first + 1] >> high));
    }
  }

  /// Sums over all keys, the same in all threads. All math warps together; the memory of both
  /// exchanges is free before, and until a barrier behind.
  SA_DEVICE void add_up(RowExchange<rows> sums, RowExchange<rows> rounded_sums) {
    put_sums(sums, sum);
    put_sums(rounded_sums, rounded_sum);
    named_barrier_sync(decode_barrier, decode_math_threads);
#pragma unroll
    for (int c = 0; c < columns; c++) sum[c] = rounded_sum[c] = 0;
    sums.for_each([&](int c, float x) { sum[c] += x; });
    rounded_sums.for_each([&](int c, float x) { rounded_sum[c] += x; });
  }

 private:
  SA_DEVICE static void put_sums(RowExchange<rows> exchange, const float (&of_keys)[columns]) {
    float part[columns];
#pragma unroll
    for (int c = 0; c < columns; c++)
      part[c] = over_keys(of_keys[c], [](float a, float b) { return a + b; });
    exchange.put(part);
  }

  // Of a column's scores in this thread.
  SA_DEVICE static float highest(const float (&s)[rows / 2], int c) {
    int first = 4 * (c / 2) + c % 2;
    return fmaxf(s[first], s[first + 2]);
  }
  SA_DEVICE static float fmaxf_of(float a, float b) { return fmaxf(a, b); }
};

}  // namespace streamattn
