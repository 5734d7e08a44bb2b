// The warpgroup of a backward block that loads, computes dQ = dS K and adds it up in global memory.
#pragma once

#include "backward/backward_loader.cuh"
#include "parts/fragment.cuh"
#include "parts/named_barriers.cuh"
#include "ptx/global.cuh"
#include "ptx/warpgroup.cuh"
#include "ptx/wgmma.cuh"

namespace streamattn {

/// What one block adds to the sums of dQ, tile by tile. Every sum is added up in the order of key
/// tiles, whatever the order in which blocks run, so that it is the same each time: a counter says
/// which tile was added last. The first one stores, so that nothing needs to be zero before.
///
/// A tile is added while the next one is computed, and its turn passed on one later: by then the
/// turn has come and the addition is complete, and nobody waits for either.
struct SumTurns {
  const QuerySumParams& params;
  int elements;  // of a tile

  int held = -1, issued = -1;  // tiles; -1: none
  int held_previous = 0;
  u32 held_from = 0;  // shared

  /// To shared memory and back.
  SA_DEVICE void save(u32 to) const {
    store_shared(to, make_int4(held, issued, held_previous, int(held_from)));
  }
  SA_DEVICE static SumTurns restored(const QuerySumParams& params, int elements, u32 from) {
    int4 found = load_shared(from);
    return {params, elements, found.x, found.y, found.z, u32(found.w)};
  }

  /// Holds the sums of a tile in shared memory, ready to be added.
  SA_DEVICE void hold(int tile, u32 from, int previous) {
    held = tile, held_from = from, held_previous = previous;
  }

  /// Passes on the turn of what was added, then adds what is held.
  SA_DEVICE void step(int key_tile) {
    if (issued >= 0) {
      tma_store_wait();
      store_release(params.counters + issued, key_tile + 1);
    }
    issued = held;
    if (held < 0) return;
    float* to = params.sums + (long long)held * elements;
    if (held_previous < 0) {
      bulk_store(to, held_from, elements * 4);
    } else {
#pragma unroll 1
      while (load_acquire(params.counters + held) != u32(held_previous + 1)) {
      }
      fence_global_to_async();
      bulk_add(to, held_from, elements * 4);
    }
    tma_store_commit();
    held = -1;
  }
};

template <class Spec>
struct QueryGradient {
  static constexpr BackwardTiling tiling = Spec::tiling;
  using Tiles = BackwardTiles<Spec>;
  using KTile = typename Tiles::K;
  using DSTile = typename Tiles::DS;
  using Product = Wgmma<typename Spec::Element, KTile::chunk>;
  static constexpr int steps = tiling.tile_kv / KTile::step;

  const BackwardParams& params;
  BackwardShared<Spec> shared;
  int thread;  // of the warpgroup

  SA_DEVICE void run() {
    if (leads()) begin();
    __syncwarp();
    mbarrier_wait(shared.keys_full(), 0);
    mbarrier_wait(shared.q_ring().full, 0);
    if (!(__shfl_sync(~0u, QueryVisit::load(shared.slot(0)).flags, 0) & QueryVisit::none)) {
      PairCursor at = {};
      bool last = false;
#pragma unroll 1
      do {
        shared.ds_ring().wait(at);
        last =
            __shfl_sync(~0u, QueryVisit::load(shared.slot(at.stage())).flags, 0) & QueryVisit::last;
        compute(at);
        if (leads()) hold(at);
        __syncwarp();
        named_barrier_sync(query_gradient_barrier(), 128);
        if (leads()) load_next();
        __syncwarp();
        at.advance();
      } while (!last);
    }
    named_barrier_arrive(keys_read_barrier(), 384);
    if (leads()) {
      take_turn();
      take_turn();
    }
  }

 private:
  SA_DEVICE bool leads() const { return thread == 0; }

  // ---- What one thread does for all

  SA_DEVICE void begin() {
    BackwardLoader<Spec> loader{params, shared, key_item(params.order, blockIdx.x)};
    loader.begin();
    loader.save();
    SumTurns{params.d_q, tiling.dq_elements()}.save(shared.leader(2));
  }

  SA_DEVICE void load_next() {
    auto loader = BackwardLoader<Spec>::restored(params, shared);
    loader.load_next();
    loader.save();
  }

  SA_DEVICE void take_turn() {
    SumTurns turns = SumTurns::restored(params.d_q, tiling.dq_elements(), shared.leader(2));
    turns.step(load_shared(shared.leader(1)).x);
    turns.save(shared.leader(2));
  }

  // The sums of a visit, once the other buffer is free for the next one.
  SA_DEVICE void hold(PairCursor at) {
    tma_store_wait_read();
    QueryVisit visit = QueryVisit::load(shared.slot(at.stage()));
    int batch = load_shared(shared.leader(1)).z;
    int all_head = batch * params.order.kv_heads * Spec::group_size + visit.head;
    SumTurns turns = SumTurns::restored(params.d_q, tiling.dq_elements(), shared.leader(2));
    turns.hold(all_head * params.d_q.q_tiles + visit.q_tile, shared.dq(at.stage()), visit.previous);
    turns.save(shared.leader(2));
  }

  // ---- dQ

  // Of one visit to shared memory, a chunk of columns at a time.
  SA_DEVICE void compute(PairCursor at) {
#pragma unroll 1
    for (int chunk = 0; chunk < KTile::chunks; chunk++) {
      float dq[KTile::chunk / 2];  // (64, chunk) float
      multiply(dq, at.stage(), chunk);
      if (chunk == 0 && leads()) take_turn();
      __syncwarp();
      wgmma_wait<0>();
      pin(dq);
      if (chunk == KTile::chunks - 1 && thread % 32 == 0) shared.ds_ring().release(at);
      __syncwarp();
      store(dq, shared.dq(at.stage()) + chunk * (64 * KTile::chunk * 4));
    }
    fence_shared_to_async();
  }

  SA_DEVICE void multiply(float (&dq)[KTile::chunk / 2], u32 buffer, int chunk) const {
    u64 ds = DSTile::k_major(shared.ds(buffer));
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
      store_shared(to + (i / 4 * 128 + thread) * 16,
                   make_int4(__float_as_int(dq[i]), __float_as_int(dq[i + 1]),
                             __float_as_int(dq[i + 2]), __float_as_int(dq[i + 3])));
  }
};

}  // namespace streamattn
