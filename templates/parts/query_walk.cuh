// The query tiles that see some key of a key tile: the ranges of a mask, transposed.
#pragma once

#include "parts/scores.cuh"

namespace streamattn {

/// A tile of queries of one head, or some in a row, and a tile of keys.
template <class Score, int tile_q, int tile_kv>
struct QueryWalk {
  Sequence sequence;
  Score score;
  int key_tile;
  int tile;       // of queries
  int tiles = 1;  // from it on, where more than one is asked for

  /// Whether some query of the tile does not see some key of the key tile, or that has keys that
  /// do not exist.
  SA_DEVICE bool is_masked() const {
    if (key_rows().end - key_rows().begin < tile_kv) return true;
    if constexpr (Score::trivial) {
      return false;
    } else {
      Span all = keys(), full = score.full(queries(), all);
      return full.begin > all.begin || full.end < all.end;
    }
  }

  /// Whether some query of the tile may see some key of the key tile.
  SA_DEVICE bool sees() const {
    if constexpr (Score::trivial) return true;
    Span all = keys();
    bool found = false;
#pragma unroll
    for (int i = 0; i < Score::range_count; i++) {
      Span seen = score.seen(i, queries());
      found = found || max(seen.begin, all.begin) < min(seen.end, all.end);
    }
    return found;
  }

  /// The key tile before this one that the queries see the nearest; -1: none.
  SA_DEVICE int previous_key_tile() const {
    if constexpr (Score::trivial) {
      return key_tile - 1;
    } else {
      int nearest = -1;
#pragma unroll
      for (int i = 0; i < Score::range_count; i++) {
        Span rows = sequence.keys(score.seen(i, queries()));
        if (rows.empty()) continue;
        int candidate = min((rows.end - 1) / tile_kv, key_tile - 1);
        if (candidate >= rows.begin / tile_kv) nearest = max(nearest, candidate);
      }
      return nearest;
    }
  }

  /// The key tile behind this one that the queries see the nearest; -1: none.
  SA_DEVICE int next_key_tile() const {
    int behind = key_tile + 1;
    if constexpr (Score::trivial) {
      return behind * tile_kv < sequence.kv_len ? behind : -1;
    } else {
      int nearest = -1;
#pragma unroll
      for (int i = 0; i < Score::range_count; i++) {
        Span rows = sequence.keys(score.seen(i, queries()));
        int candidate = max(rows.begin / tile_kv, behind);
        if (rows.empty() || candidate * tile_kv >= rows.end) continue;
        nearest = nearest < 0 ? candidate : min(nearest, candidate);
      }
      return nearest;
    }
  }

 private:
  SA_DEVICE Span queries() const {
    return sequence.queries(tile * tile_q, (tile + tiles) * tile_q);
  }

  SA_DEVICE Span key_rows() const {
    return {key_tile * tile_kv, min(key_tile * tile_kv + tile_kv, sequence.kv_len)};
  }

  SA_DEVICE Span keys() const {
    return {sequence.k_position + key_rows().begin, sequence.k_position + key_rows().end};
  }
};

}  // namespace streamattn
