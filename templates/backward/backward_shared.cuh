// The shared memory of a backward block, and what its warpgroups tell each other.
#pragma once

#include "backward/backward_spec.cuh"
#include "backward/key_item.cuh"
#include "backward/sequences.cuh"
#include "parts/fragment.cuh"
#include "parts/stage_ring.cuh"
#include "parts/swizzled_tile.cuh"
#include "ptx/global.cuh"

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

/// Counts visits, and items.
using VisitCursor = UseCursor<1>;
using ItemCursor = UseCursor<1>;

/// A visit to a query tile, as its slot in shared memory holds it.
struct QueryVisit {
  int q_tile;
  int head, batch;  // of queries
  int flags;

  /// completes: no key tile adds to this dQ behind this one.
  static constexpr int masked = 1, last = 2, completes = 4;

  SA_DEVICE static QueryVisit load(u32 slot) {
    int4 found = load_shared(slot);
    return {found.x, found.y, found.z, found.w};
  }
  SA_DEVICE void store(u32 slot) const {
    store_shared(slot, make_int4(q_tile, head, batch, flags));
  }
};

/// The turn of a visit at its dQ, as its slot in shared memory holds it.
struct SumTurn {
  int part;      // the first one, of all tiles; negative: no more visits come
  int previous;  // key tile that adds before; -1: none
  int key_tile;  // that adds
  int flags;     // of the visit

  SA_DEVICE static SumTurn load(u32 slot) {
    int4 found = load_shared(slot);
    return {found.x, found.y, found.z, found.w};
  }
  SA_DEVICE void store(u32 slot) const {
    store_shared(slot, make_int4(part, previous, key_tile, flags));
  }
};

/// What all lanes of a warp have, where vector registers are short.
SA_DEVICE int in_uniform_register(int value) { return int(__reduce_or_sync(~0u, u32(value))); }

template <class Spec>
struct BackwardTiles {
  static constexpr BackwardTiling tiling = Spec::tiling;
  static constexpr int bytes = tiling.element_bytes;
  using Q = SwizzledTile<tiling.tile_q, tiling.head_dim, bytes>;
  using DO = SwizzledTile<tiling.tile_q, tiling.value_head_dim, bytes>;
  using K = SwizzledTile<tiling.tile_kv(), tiling.head_dim, bytes>;
  using V = SwizzledTile<tiling.tile_kv(), tiling.value_head_dim, bytes>;
  using DS = SwizzledTile<tiling.tile_q, tiling.tile_kv(), bytes>;
  using DQ = SwizzledTile<64, chunk_columns(tiling.head_dim, bytes), bytes>;  // a chunk of columns
  using DK = SwizzledTile<64, tiling.head_dim, bytes>;
  using DV = SwizzledTile<64, tiling.value_head_dim, bytes>;
};

/// Whether dS is given back through named barriers: nobody loops for these, so that math can ask
/// when its products are done. With one stage that matters; with two a barrier is only slower.
/// Other scores than products leave no register for it.
template <class Spec>
constexpr bool frees_ds_by_name = Spec::tiling.ds_stages() == 1 && !Spec::Score::changes;

/// Whether a mask hides pairs, so that what is not finite must be kept from results.
template <class Spec>
constexpr bool watches = !Spec::Score::trivial;

/// Adds to the count of results that are not finite: looks at some rows of a tile of dK or dQ,
/// those of the first warp. What is not finite in Q, or in K, is so in a column of all rows of a
/// product with it; in dO it is in all that dK has of its row, and in V in all that dQ has of its
/// key.
template <int N>
SA_DEVICE void watch(const WatchParams& params, Fragment at, const float (&rows)[N]) {
  if (!params.found || at.warp != 0) return;
  float zeros[2] = {};
#pragma unroll
  for (int i = 0; i < N; i += 4) {
    zeros[0] = fmaf(rows[i], 0, zeros[0]);
    zeros[1] = fmaf(rows[i + 1], 0, zeros[1]);
  }
  if (!(zeros[0] + zeros[1] == 0)) atomic_increment(params.found, ~0u);
}

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
  /// A chunk of columns of it.
  SA_DEVICE u32 dq(SumCursor at, int chunk) const {
    return dq(at) + chunk * (tiling.sum_rows * BackwardTiles<Spec>::DQ::padded * 4);
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
  /// The same, and its turn, which may be read until whoever does so has given back Q of the next.
  SA_DEVICE u32 visit(VisitCursor at) const {
    return base + tiling.visit_offset() + at.uses % tiling.visits * 16;
  }
  SA_DEVICE u32 turn(VisitCursor at) const {
    return base + tiling.turn_offset() + at.uses % tiling.visits * 16;
  }

  SA_DEVICE u32 item(ItemCursor at) const {
    return base + tiling.item_offset() + at.uses % tiling.items * 16;
  }
  /// Its sequence, where these differ.
  SA_DEVICE u32 sequence(ItemCursor at) const {
    return base + tiling.sequence_offset() + at.uses % tiling.items * 16;
  }
  /// Of math warp w: the number of its item.
  SA_DEVICE u32 number(int w) const { return base + tiling.number_offset() + w * 16; }

  /// Visits before the end of the item whose dK and dV are on their way.
  SA_DEVICE u32 visits() const { return base + tiling.visits_offset(); }

  /// Where dK and dV of 64 keys are on their way to memory, of math warpgroup w, behind the visit
  /// before `end`: in stages that the next one does not need; or over K and V, where one warpgroup
  /// has dK and the other dV.
  SA_DEVICE u32 d_k(VisitCursor end, int w) const {
    if constexpr (tiling.by_role()) return k();
    return q(QCursor{end.uses + tiling.q_stages() - 1 - w});
  }
  SA_DEVICE u32 d_v(VisitCursor end, int w) const {
    if constexpr (tiling.by_role()) return v();
    return d_o(DOCursor{end.uses + tiling.d_o_stages() - 1 - w});
  }

  /// Of K and V with the item: read by math, dQ and the thread that stores.
  SA_DEVICE auto keys_ring() const { return fixed_ring(0); }
  /// Of dK and dV on their way: written by math.
  SA_DEVICE auto gradient_ring() const { return fixed_ring(1); }
  SA_DEVICE auto q_ring() const { return ring<tiling.q_stages()>(0); }
  SA_DEVICE auto d_o_ring() const { return ring<tiling.d_o_stages()>(1); }
  SA_DEVICE auto ds_ring() const { return ring<tiling.ds_stages()>(2); }
  /// Of buffers of dQ: given out by who adds to memory, empty or with what others have added, and
  /// given back with sums to add, or with dQ to store.
  SA_DEVICE auto sum_ring() const { return ring<tiling.dq_buffers>(3); }
  SA_DEVICE auto weights_ring() const { return fixed_ring(2); }

 private:
  SA_DEVICE StageRing<1> fixed_ring(int n) const {
    u32 first = base + tiling.barrier_offset() + 16 * n;
    return {first, first + 8};
  }
  template <int count>
  SA_DEVICE StageRing<count> ring(int n) const {
    u32 first = base + tiling.barrier_offset() + 16 * (3 + n * tiling.most_stages);
    return {first, first + 8 * count};
  }
};

}  // namespace streamattn
