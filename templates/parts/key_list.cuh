// Walks over lists of key tiles, for masks that data decide.
#pragma once

#include "parts/scores.cuh"
#include "ptx/dependency.cuh"
#include "ptx/global.cuh"

namespace streamattn {

/// The list of an item's query tile.
SA_DEVICE const int* key_list(const KeyListParams& params, WorkItem item) {
  int batch = params.batches > 1 ? item.batch : 0, head = params.heads > 1 ? item.head : 0;
  long long list = ((long long)batch * params.heads + head) * params.q_tiles + item.q_tile;
  return params.lists + list * (1 + params.key_tiles);
}

/// What 64 rows of queries see of a key tile.
enum class TileKind { none, partial, full };

/// An entry of a list: a tile and its kind for each of up to three warpgroups, two bits each.
struct ListEntry {
  static constexpr u32 all_partial = 0x15, all_full = 0x2A;
  u32 bits;

  SA_DEVICE static ListEntry of(int tile, u32 kinds) { return {u32(tile) << 6 | kinds}; }
  SA_DEVICE int tile() const { return int(bits >> 6); }
  SA_DEVICE TileKind kind(int warpgroup) const { return TileKind(bits >> 2 * warpgroup & 3); }
  /// Whether each of the first so many sees the tile whole.
  template <int warpgroups>
  SA_DEVICE bool is_full() const {
    constexpr u32 kinds = (1u << 2 * warpgroups) - 1;
    return (bits & kinds) == (all_full & kinds);
  }
};

/// Visits the tiles of a list, or a share of them, with the contract of KeyWalk.
template <class Score, int warpgroups, bool split_keys>
struct ListWalk {
  Sequence sequence;
  Score score;
  Span own;  // positions of the queries
  int warpgroup;

  int tile;         // the one being visited
  int passed_over;  // tiles in front of the first one
  ListEntry entry, upcoming;
  const u32* rest;  // behind `upcoming`
  int left;         // entries behind the one being visited

  ListWalk() = default;
  /// With `passes`, over what the warpgroup does not see.
  SA_DEVICE ListWalk(const KeyListParams& params, WorkItem item, const Sequence& sequence,
                     const Score& score, Span own, int shares, int warpgroup, bool passes)
      : sequence(sequence), score(score), own(own), warpgroup(warpgroup) {
    const int* list = key_list(params, item);
    int first = 0, end = load_global(list);
    if (split_keys) {
      // n * share / shares in 32 bits.
      auto in_front_of = [&](int s) { return end / shares * s + end % shares * s / shares; };
      first = in_front_of(item.share);
      end = in_front_of(item.share + 1);
    }
    rest = (const u32*)list + 1 + first;
    left = end - first;
    upcoming = left > 0 ? ListEntry{load_global(rest++)}
                        : ListEntry::of(params.key_tiles, ListEntry::all_partial);
    left = max(left, 1);
    next();
    passed_over = 0;
    for (; passes && left > 0 && entry.kind(warpgroup) == TileKind::none; next()) passed_over++;
  }

  SA_DEVICE bool has_rows() const { return !own.empty(); }
  SA_DEVICE bool masked() const { return entry.kind(warpgroup) != TileKind::full; }

  /// The tile being visited, in a word.
  SA_DEVICE u32 visit() const { return entry.bits; }
  SA_DEVICE static int tile_of(u32 visit) { return ListEntry{visit}.tile(); }
  /// Whether some query of the block may not see some key of the tile.
  SA_DEVICE static bool hides_keys(u32 visit) {
    return !ListEntry{visit}.template is_full<warpgroups>();
  }

  /// Goes on to the next tile. False at the end. An entry is loaded a tile ahead of its use.
  SA_DEVICE bool next() {
    if (left == 0) return false;
    left--;
    entry = upcoming;
    tile = entry.tile();
    if (left > 0) upcoming = {load_global(rest++)};
    return true;
  }
};

}  // namespace streamattn
