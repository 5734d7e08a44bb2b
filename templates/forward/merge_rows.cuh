// What the kernels that merge shares of the keys have in common: one thread for eight columns of a
// row.
#pragma once

#include "params.h"
#include "parts/columns.cuh"
#include "parts/shares.cuh"
#include "ptx/dependency.cuh"

namespace streamattn {

/// Calls merge(row, column) for the parts of all rows: neighbouring threads have neighbouring
/// columns, and those behind the last whole row of a block rest.
template <int threads, class Merge>
SA_DEVICE void for_each_part(int rows, int columns, const Merge& merge) {
  int parts = columns / MergedRow::width, block_rows = threads / parts;
  int thread = threadIdx.x, row_here = thread / parts;
  if (row_here == block_rows) return;
  for (int row = blockIdx.x * block_rows + row_here; row < rows; row += gridDim.x * block_rows)
    merge(row, (thread - row_here * parts) * MergedRow::width);
}

/// The columns of row `row` from `column` on, of which share s is `step` rows behind share s - 1.
SA_DEVICE MergedRow merged_row(const PartialParams& partial, long long row, long long step,
                               int shares, int columns, int column) {
  const float* lse = partial.lse + row;
  const long long first = row * columns + column, o_step = step * columns;
  return {shares, [&](int s) { return load_global(lse + s * step); },
          [&](int s, float(&x)[MergedRow::width]) {
            load_columns(float(), partial.o, first + s * o_step, x);
          }};
}

/// To query `q` of a head.
template <class Output>
SA_DEVICE void store_merged(Output output, const OutputParams& out, int batch, int head, int q,
                            int column, const MergedRow& merged) {
  auto place = [&](const Strides& strides) {
    return batch * strides.batch + head * strides.head + q * strides.seq;
  };
  store_columns(output, out.o, place(out.o_strides) + column, merged.o);
  if (out.lse && column == 0) store_global(out.lse + place(out.lse_strides), merged.lse);
}

/// What they ask of their Spec.
template <class Spec>
SA_DEVICE constexpr void require_merge_spec() {
  static_assert(
      requires {
        typename Spec::Output;
        Spec::threads;
      }, "Spec needs a type Output and an int threads");
}

}  // namespace streamattn
