// The shared memory of a forward block, and the key tiles of its work items.
#pragma once

#include "parts/key_tiles.cuh"
#include "parts/stage_ring.cuh"
#include "parts/tile_order.cuh"

namespace streamattn {

/// The shared memory of a block.
template <class Spec>
struct FlashShared {
  static constexpr FlashTiling tiling = Spec::tiling;
  using Ring = StageRing<tiling.stages>;

  u32 base;  // 1024-byte aligned

  SA_DEVICE u32 q() const { return base + tiling.q_offset(); }
  SA_DEVICE u32 k(u32 stage) const { return base + tiling.k_offset() + stage * tiling.k_bytes(); }
  SA_DEVICE u32 v(u32 stage) const { return base + tiling.v_offset() + stage * tiling.v_bytes(); }
  SA_DEVICE u32 o() const { return base + tiling.o_offset(); }

  /// The work item whose Q is announced by `q_full`: {q_tile, head, batch, 1}, or zeros at the end.
  SA_DEVICE u32 slot() const { return base + tiling.barrier_offset(); }
  SA_DEVICE u32 q_full() const { return slot() + 16; }
  SA_DEVICE u32 q_empty() const { return slot() + 24; }
  SA_DEVICE Ring k_ring() const { return {slot() + 32, slot() + 32 + 8 * tiling.stages}; }
  SA_DEVICE Ring v_ring() const {
    return {slot() + 32 + 16 * tiling.stages, slot() + 32 + 24 * tiling.stages};
  }
};

/// Key tiles of the block's queries in `item`, and those of its own that begin at `first_row` of
/// the tile and are `rows`.
template <class Spec>
SA_DEVICE KeyTiles<typename Spec::Mask, Spec::tiling.tile_kv> key_tiles(
    const SequenceParams& params, WorkItem item, int first_row, int rows) {
  auto positions = [&](int begin, int end) -> Span {
    return {params.q_position + begin, params.q_position + min(end, params.q_len)};
  };
  int tile = item.q_tile * Spec::tiling.tile_q;
  return {positions(tile, tile + Spec::tiling.tile_q),
          positions(tile + first_row, tile + first_row + rows), params.k_position, params.kv_len};
}

}  // namespace streamattn
