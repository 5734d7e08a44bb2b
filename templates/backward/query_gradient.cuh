// The warpgroup of a backward block that computes dQ = dS K.
#pragma once

#include "backward/gradient_rows.cuh"
#include "backward/query_output.cuh"
#include "parts/named_barriers.cuh"
#include "ptx/warpgroup.cuh"
#include "ptx/wgmma.cuh"

namespace streamattn {

/// One thread of the warpgroup of dQ.
template <class Spec>
struct QueryGradient {
  static constexpr BackwardTiling tiling = Spec::tiling;
  using Tiles = BackwardTiles<Spec>;
  using KTile = typename Tiles::K;
  using DSTile = typename Tiles::DS;
  using SumCursor = typename BackwardShared<Spec>::SumCursor;
  using Element = typename Spec::Element;
  using Product = Wgmma<Element, KTile::chunk>;
  using Chunk = float[KTile::chunk / 2];  // of dQ: 64 rows, a chunk of columns
  static constexpr int steps = tiling.tile_kv() / KTile::step;
  static constexpr int parts = tiling.visit_parts(), column_parts = tiling.dq_parts();
  static constexpr int chunks = KTile::chunks / column_parts;  // of a part

  const BackwardParams& params;
  BackwardShared<Spec> shared;
  Fragment at;

  ItemCursor items = {};
  VisitCursor visit = {};

  SA_DEVICE void run() {
    if constexpr (frees_ds_by_name<Spec>) free_ds();
#pragma unroll 1
    while (true) {
      shared.keys_ring().wait(items);
      KeyItem item = KeyItem::load(shared.item(items));
      if (item.key_tile < 0) return;
      if (item.flags & KeyItem::seen)
        visit_queries();
      else
        release_keys();
      items.advance();
    }
  }

 private:
  SA_DEVICE void visit_queries() {
    bool more = true;
#pragma unroll 1
    for (; more; visit.advance()) {
      shared.ds_ring().wait(shared.ds_of(visit));
      int flags = __shfl_sync(~0u, here().flags, 0);
      more = !(flags & QueryVisit::last);
      if (at.leads_warp()) shared.q_ring().release(shared.q_of(visit));
#pragma unroll 1
      for (int part = 0; part < parts; part++) {
        SumCursor sums = {visit.uses * parts + part};
#pragma unroll 1
        for (int chunk = 0; chunk < chunks; chunk++) {
          Chunk dq;
          multiply(dq, part / column_parts, part % column_parts * chunks + chunk);
          wgmma_wait<0>();
          pin(dq);
          if (part == parts - 1 && chunk == chunks - 1) release_operands(!more);
          shared.sum_ring().wait(sums);
          if (flags & QueryVisit::completes)
            complete(dq, shared.dq(sums, chunk), part, chunk);
          else
            store(dq, shared.dq(sums, chunk));
        }
        hand_back(sums);
      }
    }
  }

  SA_DEVICE QueryVisit here() const { return QueryVisit::load(shared.visit(visit)); }

  // Adds what others have, which is in the buffer, and makes it dQ, in the buffer or in memory.
  SA_DEVICE void complete(Chunk& dq, u32 buffer, int part, int chunk) const {
    bool is_alone = SumTurn::load(shared.turn(visit)).previous < 0;
    if (!is_alone) add(dq, buffer);
    if constexpr (watches<Spec>) watch(params.watch, at, dq);
    if (params.d_q_direct.data) {
      QueryVisit tile = here();
      int row = tile.q_tile * tiling.tile_q + part / column_parts * tiling.sum_rows;
      int column = (part % column_parts * chunks + chunk) * KTile::chunk;
      const Strides& strides = params.d_q_direct.strides;
      long long first = u32(tile.batch) * strides.batch;
      int count = params.sequence.q_len;
      if constexpr (is_packed<Spec>) {
        PackedRange q = PackedSequence::load(shared.sequence(items)).q;
        first = q.first * strides.seq, count = q.count;
      }
      float* head_first = params.d_q_direct.data + first + u32(tile.head) * strides.head;
      DirectQueries{params, at, head_first, count, row, column, tiling.head_dim}.store(dq);
      return;
    }
    if (!is_alone) named_barrier_sync(query_sums_barrier, 128);
    float scale[2] = {params.score.scale, params.score.scale};
    store_packed<Element, typename Tiles::DQ>(buffer, at, dq, scale);
  }

  SA_DEVICE void release_operands(bool is_last) const {
    if constexpr (frees_ds_by_name<Spec>)
      free_ds();
    else if (at.leads_warp())
      shared.ds_ring().release(shared.ds_of(visit));
    if (is_last) release_keys();
  }

  SA_DEVICE void free_ds() const {
    for (int w = 0; w < tiling.ds_writers(); w++) named_barrier_arrive(ds_empty_barrier(w), 256);
  }

  SA_DEVICE void release_keys() const {
    __syncwarp();
    if (at.leads_warp()) shared.keys_ring().release(items);
  }

  // The buffer of sums, to the thread that adds them.
  SA_DEVICE void hand_back(SumCursor sums) const {
    fence_shared_to_async();
    __syncwarp();
    if (at.leads_warp()) shared.sum_ring().release(sums);
  }

  SA_DEVICE void multiply(Chunk& dq, int rows, int chunk) const {
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
  SA_DEVICE u32 place(u32 buffer) const { return buffer + (at.warp * 32 + at.lane) * 16; }

  SA_DEVICE void store(const Chunk& dq, u32 buffer) const {
#pragma unroll
    for (int i = 0; i < KTile::chunk / 2; i += 4)
      store_shared(place(buffer) + 512 * i,
                   make_int4(__float_as_int(dq[i]), __float_as_int(dq[i + 1]),
                             __float_as_int(dq[i + 2]), __float_as_int(dq[i + 3])));
  }

  SA_DEVICE void add(Chunk& dq, u32 buffer) const {
#pragma unroll
    for (int i = 0; i < KTile::chunk / 2; i += 4) {
      int4 four = load_shared(place(buffer) + 512 * i);
      dq[i] += __int_as_float(four.x), dq[i + 1] += __int_as_float(four.y);
      dq[i + 2] += __int_as_float(four.z), dq[i + 3] += __int_as_float(four.w);
    }
  }
};

}  // namespace streamattn
