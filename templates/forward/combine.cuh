// Merges the results of shares of the keys, one thread for eight columns of a row.
#pragma once

#include "params.h"
#include "ptx/dependency.cuh"
#include "ptx/global.cuh"
#include "ptx/math.cuh"

namespace streamattn {

/// What combine asks of its Spec: Output, the type of O (f16, bf16 or float), and threads of a
/// block.
template <class Spec>
struct Combine {
  static constexpr int width = 8;  // columns of a thread
  static constexpr float log2_e = 1.44269504088896f, ln_2 = 0.693147180559945f;

  const CombineParams& params;

  // Neighbouring threads have neighbouring columns; those behind the last whole row of a block
  // rest.
  SA_DEVICE void run() const {
    int parts = params.columns / width, block_rows = Spec::threads / parts;
    int thread = threadIdx.x, row_here = thread / parts;
    if (row_here == block_rows) return;
    for (int row = blockIdx.x * block_rows + row_here; row < rows(); row += gridDim.x * block_rows)
      merge(row, (thread - row_here * parts) * width);
  }

 private:
  SA_DEVICE int rows() const { return params.all_heads * params.rows; }

  // Row `row` of all, from `column` on. Shares are added in their order, so that the result is the
  // same each time. -inf - -inf is never computed: a row without keys is taken relative to 0.
  SA_DEVICE void merge(int row, int column) const {
    const long long lse_step = rows(), o_step = lse_step * params.columns;
    const float* lse = params.partial.lse + row;
    float largest = -infinity;
#pragma unroll 4
    for (int s = 0; s < params.splits; s++)
      largest = fmaxf(largest, load_global(lse + s * lse_step));
    float base = largest == -infinity ? 0 : largest;

    const float* share = params.partial.o + (long long)row * params.columns + column;
    float sum = 0, o[width] = {};
#pragma unroll 4
    for (int s = 0; s < params.splits; s++) {
      float weight = exp2_approx((load_global(lse + s * lse_step) - base) * log2_e);
      const float4* from = (const float4*)(share + s * o_step);
      float4 low = load_global(from), high = load_global(from + 1);
      float x[width] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
      sum += weight;
#pragma unroll
      for (int i = 0; i < width; i++) o[i] = fmaf(weight, x[i], o[i]);
    }
    float normalise = sum == 0 ? 0 : reciprocal_approx(sum);
#pragma unroll
    for (int i = 0; i < width; i++) o[i] *= normalise;
    store(row, column, o, sum == 0 ? -infinity : base + log2_approx(sum) * ln_2);
  }

  SA_DEVICE void store(int row, int column, const float (&o)[width], float lse) const {
    const OutputParams& out = params.output;
    int all_head = row / params.rows, in_head = row % params.rows;
    int q = in_head / params.packed_heads;
    int batch = all_head / params.heads;
    int head = all_head % params.heads * params.packed_heads + in_head % params.packed_heads;
    auto place = [&](const Strides& strides) {
      return batch * strides.batch + head * strides.head + q * strides.seq;
    };
    store_columns(typename Spec::Output(), place(out.o_strides) + column, o);
    if (out.lse && column == 0) store_global(out.lse + place(out.lse_strides), lse);
  }

  template <class Element>
  SA_DEVICE void store_columns(Element, long long at, const float (&o)[width]) const {
    u32 x[4];
#pragma unroll
    for (int i = 0; i < 4; i++) x[i] = pack(Element(), o[2 * i], o[2 * i + 1]);
    store_global((int4*)((u16*)params.output.o + at),
                 make_int4(int(x[0]), int(x[1]), int(x[2]), int(x[3])));
  }
  SA_DEVICE void store_columns(float, long long at, const float (&o)[width]) const {
    float4* to = (float4*)((float*)params.output.o + at);
    store_global(to, make_float4(o[0], o[1], o[2], o[3]));
    store_global(to + 1, make_float4(o[4], o[5], o[6], o[7]));
  }
};

/// The kernel. May be launched as a programmatic dependent of the one that writes the shares.
template <class Spec>
SA_DEVICE void combine(const CombineParams& params) {
  static_assert(
      requires {
        typename Spec::Output;
        Spec::threads;
      }, "Spec needs a type Output and an int threads");
  dependency_wait();
  Combine<Spec>{params}.run();
}

}  // namespace streamattn
