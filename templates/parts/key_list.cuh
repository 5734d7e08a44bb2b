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

/// Visits the tiles of a list, or a share of them, with the contract of KeyWalk. Every warpgroup
/// visits all.
template <class Score, bool split_keys>
struct ListWalk {
  static constexpr int passed_over = 0;

  Sequence sequence;
  Score score;
  Span own;  // positions of the queries

  int tile;  // the one being visited
  int entry, upcoming;
  const int* rest;  // behind `upcoming`
  int left;         // entries behind the one being visited

  ListWalk() = default;
  SA_DEVICE ListWalk(const KeyListParams& params, WorkItem item, const Sequence& sequence,
                     const Score& score, Span own, int shares)
      : sequence(sequence), score(score), own(own) {
    const int* list = key_list(params, item);
    int first = 0, end = load_global(list);
    if (split_keys) {
      // n * share / shares in 32 bits.
      auto in_front_of = [&](int s) { return end / shares * s + end % shares * s / shares; };
      first = in_front_of(item.share);
      end = in_front_of(item.share + 1);
    }
    rest = list + 1 + first;
    left = end - first;
    upcoming = left > 0 ? load_global(rest++) : 2 * params.key_tiles + 1;
    left = max(left, 1);
    next();
  }

  SA_DEVICE bool has_rows() const { return !own.empty(); }
  SA_DEVICE bool masked() const { return entry & 1; }

  /// Goes on to the next tile. False at the end. An entry is loaded a tile ahead of its use.
  SA_DEVICE bool next() {
    if (left == 0) return false;
    left--;
    entry = upcoming;
    tile = entry >> 1;
    if (left > 0) upcoming = load_global(rest++);
    return true;
  }
};

}  // namespace streamattn
