// The shared memory of a backward block, its work item, and what its warpgroups tell each other.
#pragma once

#include "backward/backward_spec.cuh"
#include "parts/stage_ring.cuh"
#include "parts/swizzled_tile.cuh"
#include "ptx/shared.cuh"

namespace streamattn {

/// Counts uses of a ring: one register for stage and parity, and for those of rings with other
/// numbers of stages that are used as often.
template <int stages>
struct UseCursor {
  u32 uses = 0;

  SA_DEVICE u32 stage() const { return uses % stages; }
  SA_DEVICE u32 parity() const { return uses / stages & 1; }
  SA_DEVICE void advance() { uses++; }
  SA_DEVICE UseCursor before() const { return {uses - 1}; }
  SA_DEVICE operator RingCursor<stages>() const { return {stage(), parity()}; }
};

/// Counts visits.
using VisitCursor = UseCursor<1>;

/// One tile of keys of one key-value head.
struct KeyItem {
  int key_tile, kv_head, batch;
};

/// Block `index` of the order.
SA_DEVICE KeyItem key_item(const KeyOrderParams& order, int index) {
  int section = index / (order.section_heads * order.key_tiles);
  int first_head = section * order.section_heads;
  int heads_here = min(order.section_heads, order.all_kv_heads - first_head);
  int in_section = index - first_head * order.key_tiles;
  int key_tile = in_section / heads_here;
  int head = first_head + in_section - key_tile * heads_here;
  int batch = head / order.kv_heads;
  return {key_tile, head - batch * order.kv_heads, batch};
}

/// A visit to a query tile, as its slot in shared memory holds it.
struct QueryVisit {
  int q_tile;
  int head;      // of queries
  int previous;  // key tile that adds to this dQ before; -1: none
  int flags;

  static constexpr int masked = 1, last = 2, none = 4;  // none: there is no visit at all

  SA_DEVICE static QueryVisit load(u32 slot) {
    int4 found = load_shared(slot);
    return {found.x, found.y, found.z, found.w};
  }
  SA_DEVICE void store(u32 slot) const {
    store_shared(slot, make_int4(q_tile, head, previous, flags));
  }
};

/// A buffer of sums of dQ and what they are added to, as its slot in shared memory says.
struct SumTurn {
  int part;      // of all tiles; negative: no more come
  int previous;  // key tile that adds before; -1: none

  SA_DEVICE static SumTurn load(u32 slot) {
    int4 found = load_shared(slot);
    return {found.x, found.y};
  }
  SA_DEVICE void store(u32 slot) const { store_shared(slot, make_int4(part, previous, 0, 0)); }
};

template <class Spec>
struct BackwardTiles {
  static constexpr BackwardTiling tiling = Spec::tiling;
  static constexpr int bytes = tiling.element_bytes;
  using Q = SwizzledTile<tiling.tile_q, tiling.head_dim, bytes>;
  using DO = SwizzledTile<tiling.tile_q, tiling.value_head_dim, bytes>;
  using K = SwizzledTile<tiling.tile_kv(), tiling.head_dim, bytes>;
  using V = SwizzledTile<tiling.tile_kv(), tiling.value_head_dim, bytes>;
  using DS = SwizzledTile<tiling.tile_q, tiling.tile_kv(), bytes>;
};

/// The shared memory of a block.
template <class Spec>
struct BackwardShared {
  static constexpr BackwardTiling tiling = Spec::tiling;
  using QCursor = UseCursor<tiling.q_stages()>;
  using DOCursor = UseCursor<tiling.d_o_stages()>;
  using DSCursor = UseCursor<tiling.ds_stages()>;
  using SumCursor = UseCursor<tiling.dq_buffers>;

  u32 base;  // 1024-byte aligned

  SA_DEVICE u32 k() const { return base + tiling.k_offset(); }
  SA_DEVICE u32 v() const { return base + tiling.v_offset(); }
  SA_DEVICE u32 q(QCursor at) const {
    return base + tiling.q_offset() + at.stage() * tiling.q_bytes();
  }
  SA_DEVICE u32 d_o(DOCursor at) const {
    return base + tiling.d_o_offset() + at.stage() * tiling.d_o_bytes();
  }
  SA_DEVICE u32 ds(DSCursor at) const {
    return base + tiling.ds_offset() + at.stage() * tiling.ds_bytes();
  }
  SA_DEVICE u32 dq(SumCursor at) const {
    return base + tiling.dq_offset() + at.stage() * tiling.dq_bytes();
  }
  SA_DEVICE u32 lse(QCursor at) const {
    return base + tiling.lse_offset() + at.stage() * tiling.statistic_bytes();
  }
  SA_DEVICE u32 delta(DOCursor at) const {
    return base + tiling.delta_offset() + at.stage() * tiling.statistic_bytes();
  }
  /// The uses of rings of a visit.
  SA_DEVICE static QCursor q_of(VisitCursor visit) { return {visit.uses}; }
  SA_DEVICE static DOCursor d_o_of(VisitCursor visit) { return {visit.uses}; }
  SA_DEVICE static DSCursor ds_of(VisitCursor visit) { return {visit.uses}; }
  SA_DEVICE u32 weights() const { return base + tiling.weights_offset(); }
  /// The visit whose Q is in the stage; written before that is announced.
  SA_DEVICE u32 slot(QCursor at) const { return base + tiling.slot_offset() + at.stage() * 16; }

  /// Whose sums are in the buffer.
  SA_DEVICE u32 turn(SumCursor at) const { return base + tiling.turn_offset() + at.stage() * 16; }

  SA_DEVICE u32 keys_full() const { return base + tiling.barrier_offset(); }
  SA_DEVICE auto q_ring() const { return ring<tiling.q_stages()>(0); }
  SA_DEVICE auto d_o_ring() const { return ring<tiling.d_o_stages()>(1); }
  SA_DEVICE auto ds_ring() const { return ring<tiling.ds_stages()>(2); }
  SA_DEVICE auto sum_ring() const { return ring<tiling.dq_buffers>(3); }
  SA_DEVICE auto weights_ring() const { return ring<1>(4); }

 private:
  template <int count>
  SA_DEVICE StageRing<count> ring(int n) const {
    u32 first = keys_full() + 8 + n * 16 * tiling.most_stages;
    return {first, first + 8 * count};
  }
};

}  // namespace streamattn
