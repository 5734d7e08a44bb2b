// The key tiles that a query tile visits.
#pragma once

#include "parts/masks.cuh"

namespace streamattn {

/// Tiles [begin, end), visited from the last to the first. Those in [full_begin, full_end) need no
/// element test.
struct TileRange {
  int begin, full_begin, full_end, end;

  SA_DEVICE bool empty() const { return begin >= end; }
};

/// Ranges of `tile_kv` keys for the queries at positions [q.begin, q.end). Producer and consumers
/// walk the same ones.
template <class Mask, int tile_kv>
struct KeyTiles {
  Span q;
  int k_position, kv_len;
  int visited_from = last_position;  // ranges descend and never share a tile

  SA_DEVICE TileRange range(int i) {
    Span seen = clip(Mask::ranges(i, q)), full = clip(Mask::full(i, q));
    TileRange r;
    r.begin = seen.begin / tile_kv;
    r.end = min((seen.end + tile_kv - 1) / tile_kv, visited_from);
    r.full_begin = max((full.begin + tile_kv - 1) / tile_kv, r.begin);
    r.full_end = min(full.end / tile_kv, r.end);
    if (r.full_begin >= r.full_end) r.full_begin = r.full_end = r.begin;
    if (seen.begin >= seen.end) r.end = r.begin;
    if (!r.empty()) visited_from = r.begin;
    return r;
  }

 private:
  // Positions to rows of K, inside the sequence.
  SA_DEVICE Span clip(Span positions) const {
    return {min(max(positions.begin - k_position, 0), kv_len),
            min(max(positions.end - k_position, 0), kv_len)};
  }
};

}  // namespace streamattn
