// The key tiles that a query tile visits.
#pragma once

#include "parts/masks.cuh"

namespace streamattn {

/// Tiles [begin, block_end), visited from the last to the first. A warpgroup computes [begin, end)
/// and passes over those in front; those in [full_begin, full_end) need no element test.
struct TileRange {
  int begin, full_begin, full_end, end, block_end;

  SA_DEVICE bool empty() const { return begin >= block_end; }
  SA_DEVICE int passed_over() const { return block_end - end; }
};

/// Ranges of `tile_kv` keys for a block of queries and, among these, one warpgroup's own, given by
/// their positions. The producer and every warpgroup walk the same tiles. There is one at least,
/// and one at least that a warpgroup with rows computes: where no query sees a key, it is the tile
/// past the last one, which reads as zero and is hidden whole.
template <class Mask, int tile_kv>
struct KeyTiles {
  Span block, own;
  int k_position, kv_len;
  int visited_from = last_position;  // ranges descend and never share a tile

  SA_DEVICE bool has_rows() const { return own.begin < own.end; }

  SA_DEVICE TileRange range(int i) {
    Span seen = clip(Mask::ranges(i, block)), own_seen = clip(Mask::ranges(i, own));
    Span full = clip(Mask::full(i, own));
    bool first = visited_from == last_position;
    TileRange r;
    r.begin = seen.begin / tile_kv;
    r.block_end = min(tiles_up_to(seen.end), visited_from);
    if (seen.begin >= seen.end || r.begin >= r.block_end) {
      bool nothing = first && i + 1 == Mask::range_count;
      r.begin = nothing ? tiles_up_to(kv_len) : r.begin;
      r.block_end = r.begin + nothing;
    }
    r.end = r.block_end;
    if (!has_rows())
      r.end = r.begin;
    else if (first)  // later ranges are entered with a product under way
      r.end = max(min(tiles_up_to(own_seen.end), r.block_end), r.begin + 1);
    r.full_begin = max(tiles_up_to(full.begin), r.begin);
    r.full_end = min(full.end / tile_kv, r.end);
    if (r.full_begin >= r.full_end) r.full_begin = r.full_end = r.begin;
    if (r.begin < r.block_end) visited_from = r.begin;
    return r;
  }

 private:
  SA_DEVICE static int tiles_up_to(int key) { return (key + tile_kv - 1) / tile_kv; }

  // Positions to rows of K, inside the sequence.
  SA_DEVICE Span clip(Span positions) const {
    return {min(max(positions.begin - k_position, 0), kv_len),
            min(max(positions.end - k_position, 0), kv_len)};
  }
};

}  // namespace streamattn
