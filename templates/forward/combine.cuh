// Merges the results of shares of the keys, one thread for eight columns of a row.
#pragma once

#include "params.h"
#include "parts/columns.cuh"
#include "parts/shares.cuh"
#include "ptx/dependency.cuh"

namespace streamattn {

/// What combine asks of its Spec: Output, the type of O (f16, bf16 or float), and threads of a
/// block.
template <class Spec>
struct Combine {
  const CombineParams& params;

  // Neighbouring threads have neighbouring columns; those behind the last whole row of a block
  // rest.
  SA_DEVICE void run() const {
    int parts = params.columns / MergedRow::width, block_rows = Spec::threads / parts;
    int thread = threadIdx.x, row_here = thread / parts;
    if (row_here == block_rows) return;
    for (int row = blockIdx.x * block_rows + row_here; row < rows(); row += gridDim.x * block_rows)
      merge(row, (thread - row_here * parts) * MergedRow::width);
  }

 private:
  SA_DEVICE int rows() const { return params.all_heads * params.rows; }

  // Row `row` of all, from `column` on.
  SA_DEVICE void merge(int row, int column) const {
    const long long lse_step = rows(), o_step = lse_step * params.columns;
    const float* lse = params.partial.lse + row;
    const long long first = (long long)row * params.columns + column;
    MergedRow merged(
        params.splits, [&](int s) { return load_global(lse + s * lse_step); },
        [&](int s, float(&x)[MergedRow::width]) {
          load_columns(float(), params.partial.o, first + s * o_step, x);
        });
    store(row, column, merged);
  }

  SA_DEVICE void store(int row, int column, const MergedRow& merged) const {
    const OutputParams& out = params.output;
    int all_head = row / params.rows, in_head = row % params.rows;
    int q = in_head / params.packed_heads;
    int batch = all_head / params.heads;
    int head = all_head % params.heads * params.packed_heads + in_head % params.packed_heads;
    auto place = [&](const Strides& strides) {
      return batch * strides.batch + head * strides.head + q * strides.seq;
    };
    store_columns(typename Spec::Output(), out.o, place(out.o_strides) + column, merged.o);
    if (out.lse && column == 0) store_global(out.lse + place(out.lse_strides), merged.lse);
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
