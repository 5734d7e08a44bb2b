// The walk of a work item over its key tiles.
#pragma once

#include "parts/scores.cuh"

namespace streamattn {

/// Visits the tiles of `tile_kv` keys that a block of queries sees, from the last to the first. The
/// producer and every warpgroup walk the same tiles, each with the queries of its own: a warpgroup
/// passes over the tiles in front that its own do not see. There is one tile at least, and one at
/// least that a warpgroup with rows computes: where no query sees a key, it is the tile past the
/// last one, which reads as zero and is hidden whole.
///
/// With `split_keys` it is one of so many shares of the walk, tiles [n * share / shares,
/// n * (share + 1) / shares) of the n in the order of visits. One without tiles goes as where no
/// query sees a key.
template <class Score, int tile_kv, bool split_keys>
struct KeyWalk {
  static constexpr bool several = Score::range_count > 1;  // ranges

  Sequence sequence;
  Score score;
  Span block, own;  // positions of the queries

  int tile;              // the one being visited
  int passed_over;       // tiles in front of the first one, all of the first range
  int begin;             // of the range being visited
  Span full;             // tiles that need no element test
  int next_range;        // index of the one after it
  int lowest;            // tiles from here on are behind: ranges descend and never share a tile
  int to_skip, to_take;  // tiles of the ranges to come, those in front of the share and its own

  KeyWalk() = default;
  SA_DEVICE KeyWalk(const Sequence& sequence, const Score& score, Span block, Span own, int share,
                    int shares)
      : sequence(sequence), score(score), block(block), own(own) {
    next_range = 0;
    lowest = last_position;
    if (split_keys) find_share(share, shares);
    if (!open()) {
      begin = tile = tiles_up_to(sequence.kv_len);
      full = {0, 0};
    }
    pass_over_unseen();
  }

  SA_DEVICE bool has_rows() const { return !own.empty(); }

  /// Whether some query of its own may not see some key of the tile, or the tile has keys that do
  /// not exist.
  SA_DEVICE bool masked() const { return tile < full.begin || tile >= full.end; }

  /// Goes on to the next tile. False at the end.
  SA_DEVICE bool next() { return --tile >= begin || (several && open()); }

  /// The tile being visited, in a word.
  SA_DEVICE u32 visit() const {
    int first = sequence.k_position + tile * tile_kv;
    Span whole = score.full(block, {first, first + tile_kv});
    bool hides = whole.begin > first || whole.end < first + tile_kv;
    return u32(tile) << 1 | (!Score::trivial && hides);
  }
  SA_DEVICE static int tile_of(u32 visit) { return int(visit >> 1); }
  /// Whether some query of the block may not see some key of the tile, by its policy.
  SA_DEVICE static bool hides_keys(u32 visit) { return visit & 1; }

 private:
  SA_DEVICE static int tiles_up_to(int key) { return (key + tile_kv - 1) / tile_kv; }

  // Tiles of the next range that has any; none at the end.
  SA_DEVICE Span next_tiles() {
    while (next_range < Score::range_count) {
      Span seen = sequence.keys(score.seen(next_range++, block));
      Span tiles = {seen.begin / tile_kv, min(tiles_up_to(seen.end), lowest)};
      if (seen.empty() || tiles.empty()) continue;
      lowest = tiles.begin;
      return tiles;
    }
    return {0, 0};
  }

  // Goes on to the next range that has tiles. False at the end.
  SA_DEVICE bool open() {
    Span tiles = next_tiles();
    if constexpr (split_keys) {
      Span share = in_share(tiles);
      for (; share.empty() && !tiles.empty(); share = in_share(tiles)) tiles = next_tiles();
      tiles = share;
    }
    begin = tiles.begin;
    tile = tiles.end - 1;
    int first_key = sequence.k_position + begin * tile_kv;
    Span whole = sequence.keys(
        score.full(own, {first_key, first_key + (tiles.end - tiles.begin) * tile_kv}));
    full = {tiles_up_to(whole.begin), whole.end / tile_kv};
    return !tiles.empty();
  }

  // In the first range alone: later ones are entered with a product under way.
  SA_DEVICE void pass_over_unseen() {
    int seen_end = 0;
#pragma unroll
    for (int i = 0; i < Score::range_count; i++) {
      Span seen = sequence.keys(score.seen(i, own));
      if (!seen.empty() || !several) seen_end = max(seen_end, seen.end);
    }
    int first = max(min(tiles_up_to(seen_end) - 1, tile), begin);
    passed_over = has_rows() ? tile - first : 0;
    tile -= passed_over;
  }

  SA_DEVICE void find_share(int share, int shares) {
    KeyWalk whole = *this;
    int n = 0;
    for (Span tiles = whole.next_tiles(); !tiles.empty(); tiles = whole.next_tiles())
      n += tiles.end - tiles.begin;
    // n * s / shares in 32 bits.
    auto in_front_of = [&](int s) { return n / shares * s + n % shares * s / shares; };
    to_skip = in_front_of(share);
    to_take = in_front_of(share + 1) - to_skip;
  }

  // What the share has of the next range.
  SA_DEVICE Span in_share(Span tiles) {
    int skipped = min(to_skip, tiles.end - tiles.begin);
    int taken = min(to_take, tiles.end - tiles.begin - skipped);
    to_skip -= skipped;
    to_take -= taken;
    return {tiles.end - skipped - taken, tiles.end - skipped};
  }
};

}  // namespace streamattn
