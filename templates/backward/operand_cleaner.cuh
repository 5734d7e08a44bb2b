// The thread of a backward block that keeps what is not finite from pairs that do not see it.
#pragma once

#include "backward/backward_shared.cuh"
#include "parts/finite.cuh"

namespace streamattn {

/// A hidden pair has a weight of 0, and 0 times NaN is NaN. So a launch that takes operands as they
/// are may have results that are not finite though all that they depend on is. Where there are any,
/// another launch follows, in which this thread makes zeros of what is not finite in operands of
/// visits that hide pairs before anybody gets these: slowly, but where all is well it costs
/// nothing. What does depend on them is NaN by the statistics of its rows (backward/row_sums.cuh).
template <class Spec>
struct OperandCleaner {
  static constexpr BackwardTiling tiling = Spec::tiling;
  using Tiles = BackwardTiles<Spec>;

  BackwardShared<Spec> shared;
  VisitCursor visit = {};

  SA_DEVICE void run() {
#pragma unroll 1
    for (ItemCursor items;; items.advance()) {
      mbarrier_wait(shared.keys_ring().full + tiling.landed, items.parity());
      KeyItem item = KeyItem::load(shared.item(items));
      if (item.key_tile < 0) return;
      clean(shared.k(), Tiles::K::bytes);
      clean(shared.v(), Tiles::V::bytes);
      announce(shared.keys_ring().full);
      if (item.flags & KeyItem::seen) visit_queries();
    }
  }

 private:
  SA_DEVICE void visit_queries() {
    int flags = 0;
#pragma unroll 1
    for (; !(flags & QueryVisit::last); visit.advance()) {
      auto q_at = shared.q_of(visit);
      u32 q_full = shared.q_ring().full_of(q_at.stage());
      mbarrier_wait(q_full + tiling.landed, q_at.parity());
      flags = QueryVisit::load(shared.slot(q_at)).flags;
      if (flags & QueryVisit::masked) clean(shared.q(q_at), Tiles::Q::bytes);
      announce(q_full);
      auto d_o_at = shared.d_o_of(visit);
      u32 d_o_full = shared.d_o_ring().full_of(d_o_at.stage());
      mbarrier_wait(d_o_full + tiling.landed, d_o_at.parity());
      if (flags & QueryVisit::masked) clean(shared.d_o(d_o_at), Tiles::DO::bytes);
      announce(d_o_full);
    }
  }

  SA_DEVICE static void clean(u32 tile, int bytes) {
    typename Spec::Element element;
#pragma unroll 4
    for (int i = 0; i < bytes; i += 16) {
      int4 found = load_shared(tile + i);
      if (times_zero(element, found)) store_shared(tile + i, finite_of(element, found));
    }
  }

  SA_DEVICE static void announce(u32 full) {
    fence_shared_to_async();
    mbarrier_arrive(full);
  }
};

}  // namespace streamattn
