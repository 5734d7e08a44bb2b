// Keys that lie in pages, and how the lanes of a warp load a tile of them, a box each.
#pragma once

#include "params.h"
#include "ptx/global.cuh"
#include "ptx/tma.cuh"

namespace streamattn {

/// Where a key is in a tensor. An entry below 0 is none: its rows read as zeros.
struct KeyPlace {
  int entry, row;
};

/// Of a sequence's row of K and V, one of `kv_len`: a table has no entries behind these.
SA_DEVICE KeyPlace place_in_pages(const PageParams& pages, int sequence, int row, int kv_len) {
  if (row >= kv_len) return {-1, 0};
  int page = u32(row) / u32(pages.page_size);
  return {load_global(pages.block_table + (long long)sequence * pages.block_table_stride + page),
          row - page * pages.page_size};
}

/// Starts the load of a box of a tile, from its row `row` on: whole groups of a swizzle pattern.
/// `policy` may be a CachePolicy.
template <class Tile, class... Policy>
SA_DEVICE void load_box(u32 tile, int row, const TensorMap& map, u32 full, int head, KeyPlace at,
                        Policy... policy) {
  // Unrolled, many chunks spill the few registers of a producer.
#pragma unroll(Tile::chunks <= 4 ? Tile::chunks : 1)
  for (int c = 0; c < Tile::chunks; c++)
    tma_load(tile + c * Tile::chunk_bytes + row * Tile::span, map, full, c * Tile::chunk, at.row,
             head, at.entry, policy...);
}

}  // namespace streamattn
