// Merges the results of shares of the keys.
#pragma once

#include "forward/merge_rows.cuh"

namespace streamattn {

/// What combine asks of its Spec: Output, the type of O (f16, bf16 or float), and threads of a
/// block.
template <class Spec>
struct Combine {
  const CombineParams& params;

  SA_DEVICE void run() const {
    for_each_part<Spec::threads>(rows(), params.columns,
                                 [&](int row, int column) { merge(row, column); });
  }

 private:
  SA_DEVICE int rows() const { return params.all_heads * params.rows; }

  // Row `row` of all, from `column` on.
  SA_DEVICE void merge(int row, int column) const {
    MergedRow merged =
        merged_row(params.partial, row, rows(), params.splits, params.columns, column);
    int all_head = row / params.rows, in_head = row % params.rows;
    int q = in_head / params.packed_heads;
    int batch = all_head / params.heads;
    int head = all_head % params.heads * params.packed_heads + in_head % params.packed_heads;
    store_merged(typename Spec::Output(), params.output, batch, head, q, column, merged);
  }
};

/// The kernel. May be launched as a programmatic dependent of the one that writes the shares.
template <class Spec>
SA_DEVICE void combine(const CombineParams& params) {
  require_merge_spec<Spec>();
  dependency_wait();
  Combine<Spec>{params}.run();
}

}  // namespace streamattn
