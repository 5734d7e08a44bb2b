// The shared memory of a backward block, its work item, and what its warpgroups tell each other.
#pragma once

#include "backward/backward_spec.cuh"
#include "parts/stage_ring.cuh"
#include "parts/swizzled_tile.cuh"
#include "ptx/shared.cuh"

namespace streamattn {

/// Counts uses of a ring of one stage or two: one register for stage and parity.
template <int stages>
struct UseCursor {
  u32 uses = 0;

  SA_DEVICE u32 stage() const { return uses & (stages - 1); }
  SA_DEVICE u32 parity() const { return uses / stages & 1; }
  SA_DEVICE void advance() { uses++; }
  SA_DEVICE UseCursor before() const { return {uses - 1}; }
  SA_DEVICE operator RingCursor<stages>() const { return {stage(), parity()}; }
};
using PairCursor = UseCursor<2>;

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
  static constexpr int stages = tiling.stages;
  using Ring = StageRing<stages>;
  using DOCursor = UseCursor<tiling.d_o_stages()>;

  u32 base;  // 1024-byte aligned

  SA_DEVICE u32 k() const { return base + tiling.k_offset(); }
  SA_DEVICE u32 v() const { return base + tiling.v_offset(); }
  SA_DEVICE u32 q(u32 stage) const { return base + tiling.q_offset() + stage * tiling.q_bytes(); }
  SA_DEVICE u32 d_o(DOCursor at) const {
    return base + tiling.d_o_offset() + at.stage() * tiling.d_o_bytes();
  }
  SA_DEVICE u32 ds(u32 buffer) const {
    return base + tiling.ds_offset() + buffer * tiling.ds_bytes();
  }
  SA_DEVICE u32 dq(u32 buffer) const {
    return base + tiling.dq_offset() + buffer * tiling.dq_bytes();
  }
  SA_DEVICE u32 lse(u32 stage) const {
    return base + tiling.lse_offset() + stage * tiling.statistic_bytes();
  }
  SA_DEVICE u32 delta(DOCursor at) const {
    return base + tiling.delta_offset() + at.stage() * tiling.statistic_bytes();
  }
  /// The use of dO of a visit.
  SA_DEVICE static DOCursor d_o_of(PairCursor visit) { return {visit.uses}; }
  SA_DEVICE u32 weights() const { return base + tiling.weights_offset(); }
  /// The visit whose Q is in the stage; written before that is announced.
  SA_DEVICE u32 slot(u32 stage) const { return base + tiling.slot_offset() + stage * 16; }

  /// What single threads keep from one visit to the next, where registers are short: the loading
  /// one, and those that take turns at sums.
  SA_DEVICE u32 leader(int part) const { return base + tiling.leader_offset() + part * 16; }
  SA_DEVICE void keep(KeyItem item) const {
    store_shared(leader(1), make_int4(item.key_tile, item.kv_head, item.batch, 0));
  }
  SA_DEVICE KeyItem item() const {
    int4 found = load_shared(leader(1));
    return {found.x, found.y, found.z};
  }
  SA_DEVICE u32 turn(int parity) const { return leader(2 + parity); }

  SA_DEVICE u32 keys_full() const { return base + tiling.barrier_offset(); }
  SA_DEVICE Ring q_ring() const { return ring<stages>(0); }
  SA_DEVICE auto d_o_ring() const { return ring<tiling.d_o_stages()>(1); }
  SA_DEVICE Ring ds_ring() const { return ring<stages>(2); }
  SA_DEVICE StageRing<1> weights_ring() const { return ring<1>(3); }

 private:
  template <int count>
  SA_DEVICE StageRing<count> ring(int n) const {
    u32 first = keys_full() + 8 + n * 16 * stages;
    return {first, first + 8 * count};
  }
};

}  // namespace streamattn
