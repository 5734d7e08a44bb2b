// The warpgroup of a backward block that loads, computes dQ = dS K and adds it up in global memory.
#pragma once

#include "backward/backward_loader.cuh"
#include "parts/fragment.cuh"
#include "parts/named_barriers.cuh"
#include "ptx/global.cuh"
#include "ptx/warpgroup.cuh"
#include "ptx/wgmma.cuh"

namespace streamattn {

/// What one block adds to the sums of dQ, part of a tile by part. Every sum is added up in the
/// order of key tiles, whatever the order in which blocks run, so that it is the same each time: a
/// counter says which tile was added last. The first one stores, so that nothing needs to be zero
/// before.
///
/// A tile is added while the next one is computed, and its turn passed on one later: by then the
/// turn has come and the addition is complete, and nobody waits for either. Both are round trips to
/// memory, so threads of two warps take every other tile, and one's wait runs beside the other's.
struct SumTurn {
  const QuerySumParams& params;
  int elements;  // of a part
  int part;      // of all tiles
  int previous;  // key tile that is added before; -1: none

  /// What the thread keeps of its tile in shared memory.
  SA_DEVICE void save(u32 to) const { store_shared(to, make_int4(part, previous, 0, 0)); }
  SA_DEVICE static SumTurn restored(const QuerySumParams& params, int elements, u32 from) {
    int4 found = load_shared(from);
    return {params, elements, found.x, found.y};
  }

  /// Adds the sums in shared memory at `from`, when their turn has come.
  SA_DEVICE void add(u32 from) const {
    float* to = params.sums + (long long)part * elements;
    if (previous < 0) {
      bulk_store(to, from, elements * 4);
    } else {
#pragma unroll 1
      while (load_acquire(params.counters + part) != u32(previous + 1)) {
      }
      fence_global_to_async();
      bulk_add(to, from, elements * 4);
    }
    tma_store_commit();
  }

  /// Lets the next key tile add, once this one has.
  SA_DEVICE void pass_on(int key_tile) const {
    tma_store_wait();
    store_release(params.counters + part, key_tile + 1);
  }
};

template <class Spec>
struct QueryGradient {
  static constexpr BackwardTiling tiling = Spec::tiling;
  using Tiles = BackwardTiles<Spec>;
  using KTile = typename Tiles::K;
  using DSTile = typename Tiles::DS;
  using Product = Wgmma<typename Spec::Element, KTile::chunk>;
  static constexpr int steps = tiling.tile_kv() / KTile::step;
  static constexpr int parts = tiling.dq_parts(), chunks = KTile::chunks / parts;  // of a part

  const BackwardParams& params;
  BackwardShared<Spec> shared;
  int thread;  // of the warpgroup

  SA_DEVICE void run() {
    if (loads()) begin();
    __syncwarp();
    mbarrier_wait(shared.keys_full(), 0);
    mbarrier_wait(shared.q_ring().full, 0);
    PairCursor at = {};
    if (!(__shfl_sync(~0u, QueryVisit::load(shared.slot(0)).flags, 0) & QueryVisit::none)) {
      bool last = false;
#pragma unroll 1
      do {
        shared.ds_ring().wait(at);
        last =
            __shfl_sync(~0u, QueryVisit::load(shared.slot(at.stage())).flags, 0) & QueryVisit::last;
#pragma unroll 1
        for (int part = 0; part < parts; part++) {
          compute(at, part);
          hold(at, part);
          __syncwarp();
          named_barrier_sync(query_gradient_barrier(), 128);
        }
        if (loads()) load_next();
        __syncwarp();
        at.advance();
      } while (!last);
    }
    named_barrier_arrive(keys_read_barrier(), 384);
    at = sums_of(at, 0);
    take_turns(at);
    if (at.uses > 0 && takes_turn_of(at.before()))
      turn_of(at.before()).pass_on(shared.item().key_tile);
  }

 private:
  // ---- What single threads do for all

  SA_DEVICE bool loads() const { return thread == 64; }
  SA_DEVICE bool takes_turn_of(PairCursor sums) const { return thread == int(sums.stage()) * 32; }

  /// The use of the buffers of sums of a part of a visit.
  SA_DEVICE static PairCursor sums_of(PairCursor visit, int part) {
    return {visit.uses * parts + part};
  }

  SA_DEVICE void begin() {
    BackwardLoader<Spec> loader{params, shared, key_item(params.order, blockIdx.x)};
    loader.begin();
    loader.save();
  }

  SA_DEVICE void load_next() {
    auto loader = BackwardLoader<Spec>::restored(params, shared);
    loader.load_next();
    loader.save();
  }

  SA_DEVICE SumTurn turn_of(PairCursor sums) const {
    return SumTurn::restored(params.d_q, tiling.dq_elements(), shared.turn(sums.stage()));
  }

  // Under the products of sums `at`: adds those before, passes on the turn of the ones before
  // these.
  SA_DEVICE void take_turns(PairCursor at) const {
    if (at.uses > 0 && takes_turn_of(at.before()))
      turn_of(at.before()).add(shared.dq(at.before().stage()));
    if (at.uses > 1 && takes_turn_of(at)) turn_of(at).pass_on(shared.item().key_tile);
  }

  // The sums of a part are in shared memory. Those before have left it when all have met, so that
  // it is free for the next ones.
  SA_DEVICE void hold(PairCursor at, int part) const {
    PairCursor sums = sums_of(at, part);
    if (takes_turn_of(sums)) {
      QueryVisit visit = QueryVisit::load(shared.slot(at.stage()));
      int all_head = shared.item().batch * params.order.kv_heads * Spec::group_size + visit.head;
      SumTurn{params.d_q, tiling.dq_elements(),
              (all_head * params.d_q.q_tiles + visit.q_tile) * parts + part, visit.previous}
          .save(shared.turn(sums.stage()));
    } else if (takes_turn_of(sums.before())) {
      tma_store_wait_read();
    }
  }

  // ---- dQ

  // A part of one visit to shared memory, a chunk of columns at a time.
  SA_DEVICE void compute(PairCursor at, int part) {
#pragma unroll 1
    for (int chunk = 0; chunk < chunks; chunk++) {
      float dq[KTile::chunk / 2];  // (64, chunk) float
      multiply(dq, at.stage(), part * chunks + chunk);
      if constexpr (parts == 1) {
        if (chunk == 0) take_turns(at);
      } else {
        if (chunk == 0) take_turns(sums_of(at, part));
      }
      __syncwarp();
      wgmma_wait<0>();
      pin(dq);
      bool is_last = part == parts - 1 && chunk == chunks - 1;
      if (is_last && thread % 32 == 0) shared.ds_ring().release(at);
      __syncwarp();
      store(dq, shared.dq(sums_of(at, part).stage()) + chunk * (64 * KTile::chunk * 4));
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
