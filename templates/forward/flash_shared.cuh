// The shared memory of a forward block, and the key walks of its work items.
#pragma once

#include "forward/flash_item.cuh"
#include "parts/key_list.cuh"
#include "parts/key_walk.cuh"
#include "parts/stage_ring.cuh"

namespace streamattn {

/// Whether tiles may hide keys, V of which a FlashScreen then looks at; and whether there is any
/// tile for it.
template <class Spec>
constexpr bool hides_v = !Spec::Score::trivial;
template <class Spec>
constexpr bool has_screen = hides_v<Spec> || is_ragged<Spec>;
constexpr int screen_warps = 3;

/// Tiles that go by way of it: those of which it clears rows alone, and V that hides keys; and V
/// that it watches while products read it. `none` is behind those of all items. 0 takes no
/// register.
enum class Screened { v_rows, k, q, v, watched, none };

/// The shared memory of a block.
template <class Spec>
struct FlashShared {
  static constexpr FlashTiling tiling = Spec::tiling;
  using Ring = StageRing<tiling.stages>;
  using ScreenQueue = StageQueue<tiling.screen_places()>;

  u32 base;  // 1024-byte aligned

  SA_DEVICE u32 q() const { return base + tiling.q_offset(); }
  SA_DEVICE u32 k(u32 stage) const { return base + tiling.k_offset() + stage * tiling.k_bytes(); }
  SA_DEVICE u32 v(u32 stage) const { return base + tiling.v_offset() + stage * tiling.v_bytes(); }
  SA_DEVICE u32 o() const { return base + tiling.o_offset(); }

  /// The work item whose Q is announced by `q_full`: {q_tile, head, batch, 1 + share}, or
  /// zeros at the end. Where the last word is below zero, {.., -1 - share}, the item is complete,
  /// and what V has for it that is not finite to be added. Where sequences differ {.., 1 + kv_row},
  /// and {q_row, q_len, kv_len, q_position} beside it, and where their keys are split {share,
  /// shares, slot} too.
  SA_DEVICE u32 slot() const { return base + tiling.barrier_offset(); }
  SA_DEVICE u32 sequence_slot() const { return base + tiling.sequence_offset(); }
  SA_DEVICE u32 q_full() const { return slot() + 16; }
  SA_DEVICE u32 q_empty() const { return slot() + 24; }
  SA_DEVICE Ring k_ring() const { return {slot() + 32, slot() + 32 + 8 * tiling.stages}; }
  SA_DEVICE Ring v_ring() const {
    return {slot() + 32 + 16 * tiling.stages, slot() + 32 + 24 * tiling.stages};
  }

  /// Phase 0 is complete once the screen has found V that is not finite in a tile that hides keys.
  SA_DEVICE u32 found() const { return base + tiling.screen_offset(); }
  /// Phase 0 is complete once it has seen the tiles of all items, and no more are drawn.
  SA_DEVICE u32 all_watched() const { return found() + 8; }
  /// Counts copies of a tile that the screen makes, one of every thread.
  SA_DEVICE u32 copied() const { return found() + 16; }
  /// Items that are to be computed again: {how many, the last one}, and an index each.
  SA_DEVICE u32 repeats() const { return base + tiling.repeats_offset(); }
  /// Tiles on their way to the screen: {stage, Screened, rows that are the sequence's}. Where keys
  /// are paged, {stage, Screened + 8 * KV head of all sequences, rows, first row of the sequence}.
  /// Of those it watches, {stage, Screened, parity, index of the item}.
  SA_DEVICE ScreenQueue screen_queue() const {
    u32 notes = base + tiling.queue_offset();
    return {notes, notes + 16 * tiling.screen_places()};
  }
};

template <class Spec, bool lists = Spec::key_lists>
struct FlashWalkOf {
  using Type = KeyWalk<typename Spec::Score, Spec::tiling.tile_kv, splits_keys<Spec>>;
};
template <class Spec>
struct FlashWalkOf<Spec, true> {
  using Type = ListWalk<typename Spec::Score, Spec::tiling.tile_q / 64, splits_keys<Spec>>;
};
template <class Spec>
using FlashWalk = typename FlashWalkOf<Spec>::Type;

/// The walk of `item` for those of its queries that have the rows from `first_row` of the tile on,
/// `rows` of them.
template <class Spec>
SA_DEVICE FlashWalk<Spec> key_walk(const FlashParams& params, FlashItem<Spec> item, int first_row,
                                   int rows) {
  Sequence sequence = sequence_of<Spec>(params, item);
  auto score = score_of<Spec>(params, first_head_of<Spec>(item), sequence);
  constexpr int heads = Spec::tiling.packed_heads;
  int tile = item.q_tile * tile_queries<Spec>, first = tile + first_row / heads;
  Span own = sequence.queries(first, first + rows / heads);
  if constexpr (Spec::key_lists)
    return {params.lists,
            item,
            sequence,
            score,
            own,
            shares_of<Spec>(params, item),
            first_row / 64,
            rows == 64 && !own.empty()};
  else
    return {sequence, score,      sequence.queries(tile, tile + tile_queries<Spec>),
            own,      item.share, shares_of<Spec>(params, item)};
}

}  // namespace streamattn
