// Which work item a persistent block computes next.
#pragma once

#include "params.h"
#include "ptx/global.cuh"

namespace streamattn {

/// A work item: one tile of queries of one head, and of the keys it sees one share.
struct WorkItem {
  int q_tile, head, batch;
  int share;  // 0 where keys are not split
};

/// What a block computes behind item `index` of so many. Drawn from a counter, long items are
/// spread over blocks as these become free; each of the `items` draws of a launch adds one and the
/// last one wraps the counter to zero, so it needs no reset between launches.
SA_DEVICE int next_item(const OrderParams& params, int index, int items) {
  if (!params.item_counter) return index + gridDim.x;
  return atomic_increment(params.item_counter, items - 1) + gridDim.x;
}

/// Items in the order of OrderParams.
template <bool split_keys>
struct TileOrder {
  const OrderParams& params;

  SA_DEVICE int first() const { return blockIdx.x; }
  SA_DEVICE int end() const { return params.items; }
  SA_DEVICE bool done(int index) const { return index >= end(); }
  SA_DEVICE int next(int index) const { return next_item(params, index, end()); }

  SA_DEVICE WorkItem item(int index) const {
    int share = 0;
    if (split_keys) {
      share = index % params.splits;
      index /= params.splits;
    }
    int section = index / (params.section_heads * params.q_tiles);
    int first_head = section * params.section_heads;
    int heads_here = min(params.section_heads, params.all_heads - first_head);
    int in_section = index - first_head * params.q_tiles;
    int from_end = in_section / heads_here;
    int head = first_head + in_section - from_end * heads_here;
    int batch = head / params.heads;
    return {params.q_tiles - 1 - from_end, head - batch * params.heads, batch, share};
  }
};

}  // namespace streamattn
