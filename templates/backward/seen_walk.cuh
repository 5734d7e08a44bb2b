// The query tiles that see some key of a key tile, by the bits that seen_tiles has written.
#pragma once

#include "backward/backward_params.h"
#include "parts/scores.cuh"
#include "ptx/global.cuh"

namespace streamattn {

/// A tile of queries of one head, or some in a row, and a tile of keys, with the contract of
/// QueryWalk.
struct SeenWalk {
  const SeenTilesParams& seen;
  int list;  // of the head
  int key_tile;
  int tile;       // of queries
  int tiles = 1;  // from it on, where more than one is asked for

  SA_DEVICE SeenWalk(const SeenTilesParams& seen, WorkItem query, int key_tile, int tile, int tiles)
      : seen(seen),
        list((seen.batches > 1 ? query.batch : 0) * seen.heads + (seen.heads > 1 ? query.head : 0)),
        key_tile(key_tile),
        tile(tile),
        tiles(tiles) {}

  SA_DEVICE bool is_masked() const {
    return !(load_global(of_key(seen.whole_by_key) + tile / 32) >> tile % 32 & 1);
  }

  SA_DEVICE bool sees() const {
    const u32* row = of_key(seen.by_key);
    int end = min(tile + tiles, seen.q_tiles);
#pragma unroll 1
    for (int at = tile; at < end; at = (at / 32 + 1) * 32) {
      u32 word = load_global(row + at / 32) >> at % 32;
      int count = end - at;
      if (count < 32) word &= (1u << count) - 1;
      if (word != 0) return true;
    }
    return false;
  }

  /// The key tile before this one that the queries see the nearest; -1: none.
  SA_DEVICE int previous_key_tile() const {
    const u32* row = of_query();
    u32 within = (1u << key_tile % 32) - 1;
#pragma unroll 1
    for (int word = key_tile / 32; word >= 0; word--, within = ~0u)
      if (u32 found = load_global(row + word) & within) return 32 * word + 31 - __clz(int(found));
    return -1;
  }

  /// The key tile behind this one that the queries see the nearest; -1: none.
  SA_DEVICE int next_key_tile() const {
    const u32* row = of_query();
    u32 within = ~1u << key_tile % 32;
#pragma unroll 1
    for (int word = key_tile / 32; word < seen.key_words(); word++, within = ~0u)
      if (u32 found = load_global(row + word) & within) return 32 * word + __ffs(int(found)) - 1;
    return -1;
  }

 private:
  SA_DEVICE const u32* of_key(const unsigned* rows) const {
    return rows + ((long long)list * seen.key_tiles + key_tile) * seen.q_words();
  }
  SA_DEVICE const u32* of_query() const {
    return seen.by_query + ((long long)list * seen.q_tiles + tile) * seen.key_words();
  }
};

}  // namespace streamattn
