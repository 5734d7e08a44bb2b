// Which key tiles the tiles of queries see, for masks that data decide: what the main kernel of the
// backward pass walks by.
#pragma once

#include "backward/backward_params.h"
#include "forward/key_lists.cuh"

namespace streamattn {

/// A block for every square of 32 tiles of queries and 32 of keys: a warp has a tile of queries, a
/// lane one of keys. Its Spec is that of a Listing, with 1,024 threads.
template <class Spec>
struct SeenTiles {
  static constexpr int side = 32;

  const SeenListingParams& params;
  int warp = threadIdx.x / 32, lane = threadIdx.x % 32;

  SA_DEVICE void run() const {
    const SeenTilesParams& seen = params.seen;
    int squares = seen.q_words() * seen.key_words(), all = seen.batches * seen.heads * squares;
#pragma unroll 1
    for (int i = blockIdx.x; i < all; i += gridDim.x) {
      int list = i / squares, square = i % squares;
      write(list, square / seen.key_words(), square % seen.key_words());
    }
  }

 private:
  SA_DEVICE void write(int list, int q_word, int key_word) const {
    extern __shared__ __align__(16) unsigned char memory[];
    const SeenTilesParams& seen = params.seen;
    u32 rows = shared_address(memory);
    int q_tile = q_word * side + warp;
    int4 row = row_of(list, q_tile, key_word * side + lane);
    if (lane == 0) {
      store_shared(rows + 16 * warp, row);
      if (q_tile < seen.q_tiles)
        store_global(
            seen.by_query + ((long long)list * seen.q_tiles + q_tile) * seen.key_words() + key_word,
            u32(row.x));
    }
    __syncthreads();
    int key_tile = key_word * side + lane;
    if (warp == 0 && key_tile < seen.key_tiles) {
      long long at = ((long long)list * seen.key_tiles + key_tile) * seen.q_words() + q_word;
      u32 seen_by = 0, seen_whole_by = 0;
#pragma unroll 4
      for (int i = 0; i < side; i++) {
        int4 row = load_shared(rows + 16 * i);
        seen_by |= (u32(row.x) >> lane & 1) << i;
        seen_whole_by |= (u32(row.y) >> lane & 1) << i;
      }
      store_global(seen.by_key + at, seen_by);
      store_global(seen.whole_by_key + at, seen_whole_by);
    }
    __syncthreads();
  }

  // Bits of the warp's key tiles: those of which some query of the tile sees some key, and those
  // that all see whole.
  SA_DEVICE int4 row_of(int list, int q_tile, int key_tile) const {
    Listing<Spec> listing{params.listing};
    WorkItem item = listing.owner(list);
    item.q_tile = q_tile;
    bool exists = q_tile < params.seen.q_tiles, sees = false, sees_whole = true;
#pragma unroll 1
    for (int part = 0; part < Listing<Spec>::slices && exists; part++) {
      if (listing.queries(listing.sequence(item), item, part).empty()) continue;
      TileKind kind = listing.kind(item, part, list, key_tile);
      sees = sees || kind != TileKind::none;
      sees_whole = sees_whole && kind == TileKind::full;
    }
    u32 bit = 1u << lane;
    return make_int4(int(__reduce_or_sync(~0u, sees ? bit : 0)),
                     int(__reduce_or_sync(~0u, sees && sees_whole ? bit : 0)), 0, 0);
  }
};

/// The kernel: a programmatic dependent of tile_bounds.
template <class Spec>
SA_DEVICE void seen_tiles(const SeenListingParams& params) {
  static_assert(Spec::threads == SeenTiles<Spec>::side * 32, "a warp for each tile of queries");
  dependency_wait();
  SeenTiles<Spec>{params}.run();
}

}  // namespace streamattn
