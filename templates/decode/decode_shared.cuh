// Places in the shared memory of a decode kernel.
#pragma once

#include "decode/decode_params.h"
#include "parts/stage_ring.cuh"
#include "parts/swizzled_tile.cuh"

namespace streamattn {

/// Tiles as the kernel's instructions see them, and their addresses.
template <class Spec>
struct DecodeShared {
  static constexpr DecodeTiling tiling = Spec::tiling;
  using KTile = SwizzledTile<tiling.tile_kv, tiling.head_dim, tiling.element_bytes>;
  using VTile = SwizzledTile<tiling.tile_kv, tiling.value_head_dim, tiling.element_bytes>;
  using QTile = SwizzledTile<tiling.rows, tiling.head_dim, tiling.element_bytes>;
  using PTile = SwizzledTile<tiling.rows, tiling.tile_kv, tiling.element_bytes>;
  using Ring = StageRing<tiling.stages>;
  using Cursor = RingCursor<tiling.stages>;

  u32 base;

  SA_DEVICE u32 k(u32 stage) const { return base + tiling.k_offset() + stage * KTile::bytes; }
  SA_DEVICE u32 v(u32 stage) const { return base + tiling.v_offset() + stage * VTile::bytes; }
  SA_DEVICE u32 q() const { return base + tiling.q_offset(); }
  SA_DEVICE u32 p(u32 buffer) const { return base + tiling.p_offset() + buffer * PTile::bytes; }
  /// The n-th of two exchanges between warps, in a buffer of P that nobody reads or writes.
  SA_DEVICE u32 exchange(u32 buffer, int n) const {
    return p(buffer) + n * tiling.exchange_bytes();
  }
  /// Of the n-th of this block's units, the part of the cluster's block `source`.
  SA_DEVICE u32 received(int n, int source) const {
    return base + tiling.received_offset() + (n * tiling.cluster + source) * tiling.unit_bytes;
  }
  /// Reference and sums of a row, from block `source`.
  SA_DEVICE u32 received_sums(int source, int row) const {
    return base + tiling.received_sums_offset() + 16 * (source * tiling.rows + row);
  }
  SA_DEVICE u32 received_barrier() const { return base + tiling.received_barrier_offset(); }
  SA_DEVICE Ring k_ring() const { return ring(0); }
  SA_DEVICE Ring v_ring() const { return ring(1); }

 private:
  SA_DEVICE Ring ring(int n) const {
    u32 first = base + tiling.barrier_offset() + n * 16 * tiling.stages;
    return {first, first + 8 * tiling.stages};
  }
};

/// The warps that multiply, and all of a block's threads on their way to the barriers.
constexpr int decode_math_threads = 128;

}  // namespace streamattn
