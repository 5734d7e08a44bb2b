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

  /// Lists the tiles of `tile_rows` keys of all sequences, and that there are no more up to number
  /// `room`. By one warp.
  template <class Spec>
  SA_DEVICE void write(const BatchParams& batch, int tile_rows, int room) const {
    int lane = threadIdx.x % 32, listed = 0;
#pragma unroll 1
    for (int first = 0; first < batch.batch; first += 32) {
      PackedSequence own = {};
      if (first + lane < batch.batch)
        own = {packed_queries<Spec>(batch, first + lane), packed_keys<Spec>(batch, first + lane)};
#pragma unroll 1
      for (int i = 0; i < 32 && first + i < batch.batch; i++) {
        PackedSequence of = own.of_lane(i);
        int tiles = (of.kv.count + tile_rows - 1) / tile_rows;
#pragma unroll 1
        for (int tile = lane; tile < tiles; tile += 32) {
          set(listed + tile, tile, first + i, of);
        }
        listed += tiles;
      }
    }
    for (int i = listed + lane; i < room; i += 32) set(i, -1, 0, {});
  }

 private:
  SA_DEVICE void set(int index, int tile, int sequence, const PackedSequence& rows) const {
    store_global(words + 2 * index, make_int4(tile, sequence, rows.q.first, rows.q.count));
    store_global(words + 2 * index + 1, make_int4(rows.kv.first, rows.kv.count, 0, 0));
  }
};

}  // namespace streamattn
