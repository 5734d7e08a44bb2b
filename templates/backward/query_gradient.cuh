// The warpgroup of a backward block that computes dQ = dS K, and the warps that add it up in global
// memory.
#pragma once

#include "backward/backward_shared.cuh"
#include "parts/fragment.cuh"
#include "ptx/global.cuh"
#include "ptx/tma.cuh"
#include "ptx/warpgroup.cuh"
#include "ptx/wgmma.cuh"

namespace streamattn {

/// One thread for each buffer of sums, which adds them to those of all blocks, part of a tile by
/// part. Every sum is added up in the order of key tiles, whatever the order in which blocks run,
/// so that it is the same each time: a counter says which tile was added last. The first one
/// stores, so that nothing needs to be zero before.
///
/// The thread waits for its turn and for the addition to be complete, which are round trips to
/// memory; nobody else does, until both buffers are full.
template <class Spec>
struct SumTurns {
  static constexpr BackwardTiling tiling = Spec::tiling;
  using SumCursor = typename BackwardShared<Spec>::SumCursor;

  const BackwardParams& params;
  BackwardShared<Spec> shared;
  SumCursor at;  // the first use of the buffer

  SA_DEVICE void run() {
#pragma unroll 1
    while (true) {
      shared.sum_ring().wait(at);
      SumTurn turn = SumTurn::load(shared.turn(at));
      if (turn.part < 0) return;
      add(turn);
      tma_store_wait_read();
      shared.sum_ring().release(at);
      tma_store_wait();
      store_release(params.d_q.counters + turn.part, turn.key_tile + 1);
      at = {at.uses + tiling.dq_buffers};
    }
  }

 private:
  /// Adds the sums in shared memory, when their turn has come.
  SA_DEVICE void add(SumTurn turn) const {
    constexpr int elements = tiling.dq_elements();
    float* to = params.d_q.sums + (long long)turn.part * elements;
    if (turn.previous < 0) {
      bulk_store(to, shared.dq(at), elements * 4);
    } else {
#pragma unroll 1
      while (load_acquire(params.d_q.counters + turn.part) != u32(turn.previous + 1)) {
      }
      fence_global_to_async();
      bulk_add(to, shared.dq(at), elements * 4);
    }
    tma_store_commit();
  }
};

/// One thread of the warpgroup of dQ.
template <class Spec>
struct QueryGradient {
  static constexpr BackwardTiling tiling = Spec::tiling;
  using Tiles = BackwardTiles<Spec>;
  using KTile = typename Tiles::K;
  using DSTile = typename Tiles::DS;
  using SumCursor = typename BackwardShared<Spec>::SumCursor;
  using Product = Wgmma<typename Spec::Element, KTile::chunk>;
  static constexpr int steps = tiling.tile_kv() / KTile::step;
  static constexpr int column_parts = tiling.dq_parts();
  static constexpr int chunks = KTile::chunks / column_parts;  // of a part
  static constexpr int row_parts = tiling.tile_q / tiling.sum_rows;
  static constexpr int parts = row_parts * column_parts;

  const BackwardParams& params;
  BackwardShared<Spec> shared;
  Fragment at;

  VisitCursor visit = {};
  SumCursor sums = {};

  SA_DEVICE void run() {
    ItemCursor items;
#pragma unroll 1
    while (true) {
      shared.keys_ring().wait(items);
      KeyItem item = KeyItem::load(shared.item(items));
      if (item.key_tile < 0) break;
      if (item.is_seen) visit_queries(shared.item(items));
      __syncwarp();
      if (at.leads_warp()) shared.keys_ring().release(items);
      items.advance();
    }
#pragma unroll 1
    for (int i = 0; i < tiling.dq_buffers; i++) {
      begin({-1, 0, 0});
      hand_on();
    }
  }

 private:
  SA_DEVICE void visit_queries(u32 slot) {
    bool more = true;
#pragma unroll 1
    while (more) {
      shared.ds_ring().wait(shared.ds_of(visit));
      QueryVisit tile = here();
      more = !(flags_of(tile) & QueryVisit::last);
      __syncwarp();
      if (at.leads_warp()) shared.q_ring().release(shared.q_of(visit));
      KeyItem item = KeyItem::load(slot);
      int heads_before = item.batch * params.order.kv_heads * Spec::group_size;
      int first_tile = (heads_before + tile.head) * params.d_q.tiles + tile.q_tile * row_parts;
#pragma unroll 1
      for (int part = 0; part < parts; part++) {
        begin({first_tile * column_parts + part, tile.previous, item.key_tile});
        compute(part);
        hand_on();
      }
      visit.advance();
    }
  }

  SA_DEVICE QueryVisit here() const { return QueryVisit::load(shared.slot(shared.q_of(visit))); }
  SA_DEVICE static int flags_of(QueryVisit tile) { return __shfl_sync(~0u, tile.flags, 0); }

  // A part of dQ to the buffer of sums, a chunk of columns at a time.
  SA_DEVICE void compute(int part) {
#pragma unroll 1
    for (int chunk = 0; chunk < chunks; chunk++) {
      float dq[KTile::chunk / 2];  // (64, chunk) float
      multiply(dq, part / column_parts, part % column_parts * chunks + chunk);
      wgmma_wait<0>();
      pin(dq);
      bool is_last = part == parts - 1 && chunk == chunks - 1;
      if (is_last && at.leads_warp()) shared.ds_ring().release(shared.ds_of(visit));
      store(dq, shared.dq(sums) + chunk * (64 * KTile::chunk * 4));
    }
    fence_shared_to_async();
  }

  // Waits for the next buffer of sums, and says what they are added to.
  SA_DEVICE void begin(SumTurn turn) const {
    shared.sum_ring().wait_empty(sums);
    if (at.leads_warpgroup()) turn.store(shared.turn(sums));
  }

  // To the thread that adds them.
  SA_DEVICE void hand_on() {
    __syncwarp();
    if (at.leads_warp()) mbarrier_arrive(shared.sum_ring().full_of(sums.stage()));
    sums.advance();
  }

  SA_DEVICE void multiply(float (&dq)[KTile::chunk / 2], int rows, int chunk) const {
    u64 ds =
        DSTile::k_major(shared.ds(shared.ds_of(visit)) + rows * (tiling.sum_rows * DSTile::span));
    u64 k = KTile::mn_major(shared.k() + chunk * KTile::chunk_bytes);
    wgmma_fence();
    Product::template multiply_ss<1>(dq, ds, k);
#pragma unroll
    for (int step = 1; step < steps; step++)
      Product::template accumulate_ss<1>(dq, ds + DSTile::column_step(step),
                                         k + KTile::row_step(step));
    wgmma_commit();
  }

  // Four registers of every thread after the other: the order of sums.
  SA_DEVICE void store(const float (&dq)[KTile::chunk / 2], u32 to) const {
#pragma unroll
    for (int i = 0; i < KTile::chunk / 2; i += 4)
      store_shared(to + (i / 4 * 128 + at.warp * 32 + at.lane) * 16,
                   make_int4(__float_as_int(dq[i]), __float_as_int(dq[i + 1]),
                             __float_as_int(dq[i + 2]), __float_as_int(dq[i + 3])));
  }
};

}  // namespace streamattn
