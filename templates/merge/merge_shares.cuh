// Merges results of attention over shares of the keys, one thread for eight columns of a row.
#pragma once

#include "merge/merge_params.h"
#include "parts/columns.cuh"
#include "parts/shares.cuh"

namespace streamattn {

/// What merge_shares asks of its Spec: Element, the 16-bit type of O and shares where they are not
/// float32, and threads of a block.
template <class Spec>
struct MergeShares {
  using Element = typename Spec::Element;

  const MergeParams& params;

  // Neighbouring threads have neighbouring columns; those behind the last whole row of a block
  // rest.
  SA_DEVICE void run() const {
    int parts = params.columns / MergedRow::width, block_rows = Spec::threads / parts;
    int thread = threadIdx.x, row_here = thread / parts;
    if (row_here == block_rows) return;
#pragma unroll 1
    for (int row = blockIdx.x * block_rows + row_here; row < params.rows;
         row += gridDim.x * block_rows)
      merge(row, (thread - row_here * parts) * MergedRow::width);
  }

 private:
  // Rows in the order of memory: heads of a query follow each other.
  SA_DEVICE void merge(int row, int column) const {
    int head = row % params.heads, rest = row / params.heads;
    int q = rest % params.q_len, batch = rest / params.q_len;
    auto place = [&](const Strides& strides) {
      return batch * strides.batch + q * strides.seq + head * strides.head;
    };
    const float* lse = (const float*)params.share_lse.data + place(params.share_lse.strides);
    auto lse_of = [&](int s) { return load_global(lse + s * params.share_lse_stride); };
    const long long first = place(params.share_o.strides) + column;
    // What a share without keys holds does not count: it may be anything.
    auto load = [&](int s, float(&x)[MergedRow::width]) {
      if (lse_of(s) == -infinity) {
#pragma unroll
        for (int i = 0; i < MergedRow::width; i++) x[i] = 0;
      } else if (params.share_is_float) {
        load_columns(float(), params.share_o.data, first + s * params.share_o_stride, x);
      } else {
        load_columns(Element(), params.share_o.data, first + s * params.share_o_stride, x);
      }
    };
    MergedRow merged(params.shares, lse_of, load);
    const OutputParams& out = params.output;
    long long at = place(out.o_strides) + column;
    if (params.o_is_float) {
      store_columns(float(), out.o, at, merged.o);
    } else {
      store_columns(Element(), out.o, at, merged.o);
    }
    if (out.lse && column == 0) store_global(out.lse + place(out.lse_strides), merged.lse);
  }
};

/// The kernel.
template <class Spec>
SA_DEVICE void merge_shares(const MergeParams& params) {
  static_assert(
      requires {
        typename Spec::Element;
        Spec::threads;
      }, "Spec needs a type Element and an int threads");
  MergeShares<Spec>{params}.run();
}

}  // namespace streamattn
