// The key tiles that some queries see, counted.
#pragma once

#include "parts/scores.cuh"

namespace streamattn {

/// The tiles of `tile_kv` keys that queries at some positions see, in the order from the last to
/// the first, each once.
template <class Score, int tile_kv>
struct SeenTiles {
  Span ranges[Score::range_count];  // of tiles, descending
  int count;

  SA_DEVICE SeenTiles(const Sequence& sequence, const Score& score, Span queries) : count(0) {
    int lowest = last_position;
#pragma unroll
    for (int i = 0; i < Score::range_count; i++) {
      Span seen = sequence.keys(score.seen(i, queries));
      Span tiles = {seen.begin / tile_kv, min((seen.end + tile_kv - 1) / tile_kv, lowest)};
      if (seen.empty() || tiles.empty()) tiles = {0, 0};
      if (!tiles.empty()) lowest = tiles.begin;
      count += tiles.end - tiles.begin;
      ranges[i] = tiles;
    }
  }

  /// Tile n of them, 0 <= n < count.
  SA_DEVICE int operator[](int n) const {
    int tile = 0;
#pragma unroll
    for (int i = 0; i < Score::range_count; i++) {
      int size = ranges[i].end - ranges[i].begin;
      if (n >= 0 && n < size) tile = ranges[i].end - 1 - n;
      n -= size;
    }
    return tile;
  }
};

}  // namespace streamattn
