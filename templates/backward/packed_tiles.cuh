// The tiles of keys of packed sequences, as one kernel lists them for another.
#pragma once

#include "backward/key_item.cuh"
#include "backward/sequences.cuh"

namespace streamattn {

/// The list in global memory.
struct PackedTiles {
  int4* words;

  SA_DEVICE explicit PackedTiles(const PackedTilesParams& params) : words((int4*)params.words) {}

  /// Puts tile `index` of a head into the item: its number in its sequence, negative where there is
  /// none, and that. Returns the sequence.
  SA_DEVICE PackedSequence get(int index, KeyItem& item) const {
    int4 tile = load_global(words + 2 * index), keys = load_global(words + 2 * index + 1);
    item.key_tile = tile.x, item.batch = tile.y;
    return {{tile.z, tile.w}, {keys.x, keys.y}};
  }

  /// Lists the tiles of `tile_rows` keys of all sequences, and that there are no more up to the end
  /// of the list. By one warp.
  template <class Spec>
  SA_DEVICE void write(const BatchParams& batch, int tile_rows,
                       const PackedTilesParams& params) const {
    int lane = threadIdx.x % 32, listed = 0;
#pragma unroll 1
    for (int first = 0, end; first < batch.batch; first = end) {
      end = end_of_group(batch, first, params.group_rows);
      listed = write_group<Spec>(batch, tile_rows, first, end, listed);
    }
#pragma unroll 1
    for (int i = listed + lane; i < params.room; i += 32) set(i, -1, 0, {});
  }

 private:
  // Sequences from `first` on that begin within the same so many rows.
  SA_DEVICE int end_of_group(const BatchParams& batch, int first, int rows) const {
    int group = load_global(batch.kv_begins + first) / rows;
#pragma unroll 1
    for (int end = first + 1;; end += 32) {
      int index = end + threadIdx.x % 32;
      bool is_in = index < batch.batch && load_global(batch.kv_begins + index) / rows == group;
      if (u32 behind = ~lanes_where(is_in)) return end + __ffs(int(behind)) - 1;
    }
  }

  // First tiles of all, then second ones, ... Returns how many tiles are listed then.
  template <class Spec>
  SA_DEVICE int write_group(const BatchParams& batch, int tile_rows, int first, int end,
                            int listed) const {
    int lane = threadIdx.x % 32, before;
    int tile = 0;
    do {
      before = listed;
#pragma unroll 1
      for (int chunk = first; chunk < end; chunk += 32) {
        PackedRange keys = {0, 0};
        if (chunk + lane < end) keys = packed_keys<Spec>(batch, chunk + lane);
        bool has = tile * tile_rows < keys.count;
        u32 all = lanes_where(has);
        if (has)
          set(listed + __popc(all & ~(~0u << lane)), tile, chunk + lane,
              {packed_queries<Spec>(batch, chunk + lane), keys});
        listed += __popc(all);
      }
      tile++;
    } while (listed > before);
    return listed;
  }

  SA_DEVICE static u32 lanes_where(bool is_true) {
    return __reduce_or_sync(~0u, is_true ? 1u << threadIdx.x % 32 : 0);
  }

  SA_DEVICE void set(int index, int tile, int sequence, const PackedSequence& rows) const {
    store_global(words + 2 * index, make_int4(tile, sequence, rows.q.first, rows.q.count));
    store_global(words + 2 * index + 1, make_int4(rows.kv.first, rows.kv.count, 0, 0));
  }
};

}  // namespace streamattn
