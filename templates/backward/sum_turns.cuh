// The threads of a backward block that add dQ up in global memory.
#pragma once

#include "backward/backward_shared.cuh"
#include "ptx/bulk.cuh"
#include "ptx/global.cuh"
#include "ptx/tma.cuh"

namespace streamattn {

/// One thread for each buffer of sums. Every part of dQ is added up in the order of key tiles,
/// whatever the order in which blocks run, so that it is the same each time: a counter says which
/// tile was added last. The first one stores, so that nothing needs to be zero before; for the last
/// one the sums of others are fetched, as dQ is then complete.
///
/// The thread waits for its turn, and for what it adds to be there for others, which are round
/// trips to memory; nobody else does, until both buffers are in use.
template <class Spec>
struct SumTurns {
  static constexpr BackwardTiling tiling = Spec::tiling;
  using SumCursor = typename BackwardShared<Spec>::SumCursor;
  using DQTile = typename BackwardTiles<Spec>::DQ;
  static constexpr int parts = tiling.visit_parts();
  static constexpr int chunks = BackwardTiles<Spec>::K::chunks / tiling.dq_parts();  // of a part
  /// Threads that have a part of each visit, and visits of which the first parts that do not come
  /// would be.
  static constexpr int readers = parts > 1 ? tiling.dq_buffers : 1;
  static constexpr int ends = parts > 1 ? 1 : tiling.dq_buffers;

  const BackwardParams& params;
  BackwardShared<Spec> shared;
  SumCursor at;  // the first use of the buffer

  SA_DEVICE void run() {
#pragma unroll 1
    for (SumCursor next; true; at = next) {
      next = {at.uses + tiling.dq_buffers};
      VisitCursor here = {at.uses / parts};
      auto q_at = shared.q_of(here);
      shared.q_ring().wait(q_at);
      SumTurn turn = SumTurn::load(shared.turn(here));
      if (turn.part < 0) return;
      QueryVisit visit = QueryVisit::load(shared.visit(here));
      if (next.uses / parts != here.uses) shared.q_ring().release(q_at);
      int part = turn.part + at.uses % parts;
      if (turn.flags & QueryVisit::completes)
        complete(turn, visit, part, next);
      else
        add(turn, part, next);
      store_release(params.d_q_sums.counters + part, turn.key_tile + 1);
    }
  }

 private:
  /// Gives the buffer out with what others have added, and stores the dQ that comes back.
  SA_DEVICE void complete(SumTurn turn, QueryVisit visit, int part, SumCursor next) const {
    MapRows rows = {0, visit.batch};
    if constexpr (is_packed<Spec>)
      rows = packed_queries<Spec>(params.batch, visit.batch).in_map(params.batch.q_len);
    u32 given = shared.sum_ring().full_of(at.stage());
    if (turn.previous < 0) {
      mbarrier_arrive(given);
    } else {
      wait_for_turn(turn, part);
      mbarrier_arrive_expect(given, tiling.dq_bytes());
      bulk_load(shared.dq(at), sums(part), tiling.dq_bytes(), given);
    }
    shared.sum_ring().wait_empty(next);
    if (params.d_q_direct.data) return;
    int in_visit = at.uses % parts, row_part = in_visit / tiling.dq_parts();
    int first_chunk = in_visit % tiling.dq_parts() * chunks;
#pragma unroll 1
    for (int c = 0; c < chunks; c++)
      tma_store(params.d_q, shared.dq(at, c), (first_chunk + c) * DQTile::padded,
                rows.first + visit.q_tile * tiling.tile_q + row_part * tiling.sum_rows, visit.head,
                rows.entry);
    tma_store_commit();
    tma_store_wait_read();
  }

  /// Gives the buffer out, and adds the sums that come back when their turn has come.
  SA_DEVICE void add(SumTurn turn, int part, SumCursor next) const {
    mbarrier_arrive(shared.sum_ring().full_of(at.stage()));
    if (turn.previous >= 0) wait_for_turn(turn, part);
    shared.sum_ring().wait_empty(next);
    if (turn.previous < 0)
      bulk_store(sums(part), shared.dq(at), tiling.dq_bytes());
    else
      bulk_add(sums(part), shared.dq(at), tiling.dq_bytes());
    tma_store_commit();
    tma_store_wait();
  }

  SA_DEVICE float* sums(int part) const {
    return params.d_q_sums.sums + (long long)part * tiling.dq_elements();
  }

  SA_DEVICE void wait_for_turn(SumTurn turn, int part) const {
#pragma unroll 1
    while (load_acquire(params.d_q_sums.counters + part) != u32(turn.previous + 1)) {
    }
    fence_global_to_async();
  }
};

}  // namespace streamattn
