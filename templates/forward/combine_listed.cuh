// Merges the results of shares of the keys where sequences differ: those of the query tiles of a
// list.
#pragma once

#include "forward/merge_rows.cuh"
#include "forward/query_list.cuh"

namespace streamattn {

/// Its Spec is that of combine. The shares of a tile follow each other in the list; whoever has a
/// row of the first one's merges it.
template <class Spec>
struct CombineListed {
  const ListedCombineParams& params;
  QueryList list;

  SA_DEVICE void run() const {
    int rows = list.count() * params.heads * params.tile_q;
    for_each_part<Spec::threads>(rows, params.columns,
                                 [&](int row, int column) { merge(row, column); });
  }

 private:
  // Row `row` of all results, from `column` on.
  SA_DEVICE void merge(int row, int column) const {
    int slot = row / params.tile_q, in_tile = row % params.tile_q;
    ShareItem item;
    list.get(slot / params.heads, item);
    int packed = params.packed_heads;
    int q = item.q_tile * (params.tile_q / packed) + in_tile / packed;
    if (item.share > 0 || q >= item.q_len) return;
    MergedRow merged = merged_row(params.partial, row, params.heads * params.tile_q, item.shares,
                                  params.columns, column);
    int head = slot % params.heads * packed + in_tile % packed;
    store_merged(typename Spec::Output(), params.output, item.batch, head, item.q_row + q, column,
                 merged);
  }
};

/// The kernel. May be launched as a programmatic dependent of the one that writes the shares, which
/// has waited for the one that writes the list.
template <class Spec>
SA_DEVICE void combine_listed(const ListedCombineParams& params) {
  require_merge_spec<Spec>();
  dependency_wait();
  CombineListed<Spec>{params, QueryList(params.queries)}.run();
}

}  // namespace streamattn
