// The math warpgroups of a backward block: 64 keys each, S and dP transposed, dK and dV in
// registers.
#pragma once

#include "backward/backward_shared.cuh"
#include "backward/changed_weights.cuh"
#include "backward/dropped_weights.cuh"
#include "backward/gradient_rows.cuh"
#include "backward/row_product.cuh"
#include "parts/row_statistics.cuh"
#include "ptx/warpgroup.cuh"
#include "ptx/wgmma.cuh"

namespace streamattn {

/// One thread of a math warpgroup. Rows of its tiles are keys, columns queries: P is an operand of
/// dV as it is. dS goes through shared memory, where the warpgroup of dQ reads the keys of both,
/// and dK takes it from there too, for want of registers.
///
/// Products of two visits are in flight at a time: S of this one and dK of the one before, with the
/// exponentials under dK; then dP and dV of this one.
template <class Spec>
struct KeyGradients {
  static constexpr BackwardTiling tiling = Spec::tiling;
  using Element = typename Spec::Element;
  using Score = typename Spec::Score;
  using Tiles = BackwardTiles<Spec>;
  using KTile = typename Tiles::K;
  using VTile = typename Tiles::V;
  using QTile = typename Tiles::Q;
  using DOTile = typename Tiles::DO;
  using HalfDS = SwizzledTile<tiling.tile_q, 64, tiling.element_bytes>;  // keys of a warpgroup
  using DKTile = typename Tiles::DK;
  using DVTile = typename Tiles::DV;
  using Scores = Wgmma<Element, tiling.tile_q>;
  using DV = RowProduct<Element, DOTile>;
  using DK = RowProduct<Element, QTile>;
  static constexpr int query_steps = tiling.tile_q / QTile::step;

  const BackwardParams& params;
  BackwardShared<Spec> shared;
  Fragment at;
  int first_warp = 0;  // among the math warps, of those whose rows are the first

  VisitCursor visit = {};       // which it is, of all items
  float dk[KTile::padded / 2];  // (64, head_dim) float, not scaled
  float dv[VTile::padded / 2];  // (64, value_head_dim) float
  u32 p[tiling.tile_q / 4];     // (64, tile_q) 16-bit, as k16 steps
  DroppedColumns drop;          // of the visit, where weights are dropped

  /// P times the slope of the score, as P: what dP becomes dS by.
  using Weights = u32[tiling.tile_q / 4];

  SA_DEVICE void run() {
#pragma unroll 1
    for (ItemCursor next; take_item(next); next = {items().uses + 1}) {
      clear(dk);
      clear(dv);
      if (item().flags & KeyItem::seen)
        visit_queries();
      else
        release_keys();
      // When the other warpgroup, too, has read what gradients take the place of.
      shared.q_ring().wait_empty(shared.q_of({visit.uses + tiling.q_stages() - 1}));
      shared.gradient_ring().wait_empty(items());
      if constexpr (watches<Spec>) watch(params.watch, at, dk);
      pass_on<DKTile, tiling.head_dim>(dk, params.score.scale, params.d_k_direct,
                                       shared.d_k(visit, at.warpgroup));
      pass_on<DVTile, tiling.value_head_dim>(dv, value_scale(), params.d_v_direct,
                                             shared.d_v(visit, at.warpgroup));
      tell_passed_on();
    }
  }

 protected:
  /// Which item it is: kept in shared memory, as registers are short.
  SA_DEVICE ItemCursor items() const { return {u32(load_shared(number()).x)}; }
  SA_DEVICE KeyItem item() const { return KeyItem::load(shared.item(items())); }

  SA_DEVICE PackedSequence packed() const { return PackedSequence::load(shared.sequence(items())); }
  SA_DEVICE Sequence sequence_of(WorkItem query) const {
    if constexpr (is_packed<Spec>)
      return packed().positions(params.batch);
    else
      return {params.sequence, query};
  }

  /// Waits for the next item and its K and V.
  SA_DEVICE bool take_item(ItemCursor next) const {
    __syncwarp();
    if (at.leads_warp()) store_shared(number(), make_int4(int(next.uses), 0, 0, 0));
    __syncwarp();
    shared.keys_ring().wait(next);
    return __shfl_sync(~0u, KeyItem::load(shared.item(next)).key_tile, 0) >= 0;
  }

  /// Once K and V have been read.
  SA_DEVICE void release_keys() const {
    __syncwarp();
    if (at.leads_warp()) mbarrier_arrive(shared.keys_ring().empty);
  }

  template <int N>
  SA_DEVICE static void clear(float (&tile)[N]) {
#pragma unroll
    for (float& x : tile) x = 0;
  }

  /// Of the visit. The slot holds until Q is released.
  SA_DEVICE int flags() const {
    return __shfl_sync(~0u, QueryVisit::load(shared.slot(shared.q_of(visit))).flags, 0);
  }

  // Has addresses worked out anew: ptxas keeps them over a loop, in registers that it then lacks.
  SA_DEVICE void forget_addresses() {
    u64 base = shared.base;
    pin(base);
    shared.base = u32(base);
  }

  SA_DEVICE void visit_queries() {
    shared.q_ring().wait(shared.q_of(visit));
    int flags = this->flags();
    {
      float s[tiling.tile_q / 2];
      multiply_scores(s);
      wgmma_wait<0>();
      pin(s);
      Weights sloped;
      differentiate</*is_first=*/true>(weigh(s, sloped, flags));
    }
#pragma unroll 1
    while (!(flags & QueryVisit::last)) {
      forget_addresses();
      visit.advance();
      shared.q_ring().wait(shared.q_of(visit));
      flags = this->flags();
      float s[tiling.tile_q / 2];
      multiply_scores(s);
      add_to_dk(visit.before());
      wgmma_wait<1>();
      pin(s);
      Weights sloped;
      differentiate</*is_first=*/false>(weigh(s, sloped, flags));
    }
    release_keys();
    add_to_dk(visit);
    wgmma_wait<0>();
    pin(dk);
    __syncwarp();
    if (at.leads_warp()) shared.q_ring().release(shared.q_of(visit));
    visit.advance();
  }

  /// S of the visit, less the LSE where a score is the product: exponentials are all that it lacks.
  SA_DEVICE void multiply_scores(float (&s)[tiling.tile_q / 2]) const {
    auto q_at = shared.q_of(visit);
    if constexpr (!Score::changes) load_statistics(s, shared.lse(q_at), at.lane);
    multiply<KTile, QTile, !Score::changes>(s, shared.k(), shared.q(q_at));
  }

  /// dP - delta of the visit; dP where weights are dropped.
  SA_DEVICE void multiply_dp(float (&dp)[tiling.tile_q / 2]) const {
    auto d_o_at = shared.d_o_of(visit);
    if constexpr (!drops<Spec>) load_statistics(dp, shared.delta(d_o_at), at.lane);
    multiply<VTile, DOTile, !drops<Spec>>(dp, shared.v(), shared.d_o(d_o_at));
  }

  /// s = A B^T, or added to it, both K-major: (64 keys, columns) of the warpgroup's keys by
  /// (tile_q, columns).
  template <class ATile, class BTile, bool adds>
  SA_DEVICE void multiply(float (&s)[tiling.tile_q / 2], u32 keys, u32 queries) const {
    u64 a = ATile::k_major(keys + at.first_row() * ATile::span), b = BTile::k_major(queries);
    if constexpr (adds) pin(s);
    wgmma_fence();
    if constexpr (adds)
      Scores::template accumulate_ss<0>(s, a, b);
    else
      Scores::template multiply_ss<0>(s, a, b);
#pragma unroll
    for (int step = 1; step < ATile::padded / ATile::step; step++)
      Scores::template accumulate_ss<0>(s, a + ATile::column_step(step),
                                        b + BTile::column_step(step));
    wgmma_commit();
  }

  // Once all of the warpgroup have written dS.
  SA_DEVICE void add_to_dk(VisitCursor of) {
    named_barrier_sync(ds_barrier(at.warpgroup), 128);
    u64 a = HalfDS::mn_major(shared.ds(shared.ds_of(of)) + at.warpgroup * HalfDS::bytes);
    u64 b = QTile::mn_major(shared.q(shared.q_of(of)));
    pin(dk);
    wgmma_fence();
#pragma unroll
    for (int step = 0; step < query_steps; step++)
      DK::template accumulate_ss<1>(dk, a + HalfDS::row_step(step), b + QTile::row_step(step));
    wgmma_commit();
  }

  SA_DEVICE void add_to_dv() {
    u64 b = DOTile::mn_major(shared.d_o(shared.d_o_of(visit)));
    pin(p);
    pin(dv);
    wgmma_fence();
#pragma unroll
    for (int step = 0; step < query_steps; step++)
      DV::accumulate_rs(dv, p + 4 * step, b + DOTile::row_step(step));
    wgmma_commit();
  }

  /// From S to P. Returns the weights of dP, `sloped` where they differ.
  SA_DEVICE const Weights& weigh(float (&s)[tiling.tile_q / 2], Weights& sloped, int flags) {
    if constexpr (Score::changes) {
      weigh_changed(s, sloped, flags);
    } else {
      if (flags & QueryVisit::masked) each_hidden(s, [](float& x, int) { x = -infinity; });
#pragma unroll
      for (int i = 0; i < tiling.tile_q / 2; i++)
        s[i] = exp2_approx(s[i] * params.score.scale_log2);
      pack_tile<Element>(s, p);
    }
    if constexpr (drops<Spec>) {
      leave_kept(sloped);
      return sloped;
    }
    return Score::has_slope ? sloped : p;
  }

  /// Takes what is dropped out of P, which goes to dV. The weights of dP have all.
  SA_DEVICE void leave_kept(Weights& sloped) {
    if constexpr (!Score::has_slope)
#pragma unroll
      for (int i = 0; i < tiling.tile_q / 4; i++) sloped[i] = p[i];
    find_dropped();
    drop_weights(p, drop);
  }

  /// Of the visit, whose slot is there.
  SA_DEVICE void find_dropped() {
    static_assert(tiling.tile_q == 64, "a thread has a bit for each of 32 elements");
    KeyItem item = this->item();
    QueryVisit here = QueryVisit::load(shared.slot(shared.q_of(visit)));
    Sequence sequence = sequence_of({here.q_tile, here.head, item.batch, 0});
    int row = item.key_tile * tiling.tile_kv() + at.first_row() + at.warp * 16;
    drop = {DropoutBytes(params.dropout, item.batch, here.head),
            sequence.q_position + here.q_tile * tiling.tile_q, sequence.k_position + row, at.lane};
  }

  /// Calls hide(element, i) for every element, number i of the thread's, whose query does not see
  /// its key.
  template <class Hide>
  SA_DEVICE void each_hidden(float (&s)[tiling.tile_q / 2], Hide hide) const {
    KeyItem item = this->item();
    QueryVisit here = QueryVisit::load(shared.slot(shared.q_of(visit)));
    WorkItem query{here.q_tile, here.head, item.batch, 0};
    Sequence sequence = sequence_of(query);
    Score score = policy_of<Spec, Score>(params.score, query, sequence);
    int q = sequence.q_position + here.q_tile * tiling.tile_q + at.column();
    int row = item.key_tile * tiling.tile_kv();
    for_each(s, [&](int r, int column, float& x) {
      int key = row + at.row(r);
      bool exists = key < sequence.kv_len;
      if (!exists || !score.keeps(q + column, sequence.k_position + key, 0))
        hide(x, column / 8 * 4 + 2 * r + column % 2);
    });
  }

  // Any score: P goes on to dV, and times the slope to dS. A weight of 0 has none, whatever it is.
  SA_DEVICE void weigh_changed(float (&s)[tiling.tile_q / 2], Weights& sloped, int flags) {
    static_assert(tiling.tile_q == 64, "a thread has a bit for each of 32 elements");
    forget_addresses();
    u32 hidden = 0;
    if (flags & QueryVisit::masked) each_hidden(s, [&](float&, int i) { hidden |= 1u << i; });
    forget_addresses();
    KeyItem item = this->item();
    QueryVisit here = QueryVisit::load(shared.slot(shared.q_of(visit)));
    WorkItem query{here.q_tile, here.head, in_uniform_register(item.batch), 0};
    Sequence sequence = sequence_of(query);
    Score score = policy_of<Spec, Score>(params.score, query, sequence);
    int q = sequence.q_position + here.q_tile * tiling.tile_q + at.column();
    int row = sequence.k_position + item.key_tile * tiling.tile_kv();
    const int k[2] = {row + at.row(0), row + at.row(1)};
    change_weights<Spec>(score, hidden, q, k, shared.lse(shared.q_of(visit)), at.lane, s, p,
                         sloped);
  }

  /// dP, dV and dS of the visit. Once dK of the one before is complete, its Q is given back.
  template <bool is_first>
  SA_DEVICE void differentiate(const Weights& weights) {
    shared.d_o_ring().wait(shared.d_o_of(visit));
    // Here and no later: ptxas serialises products around a loop that they cross.
    if constexpr (!frees_ds_by_name<Spec>) shared.ds_ring().wait_empty(shared.ds_of(visit));
    float dp[tiling.tile_q / 2];
    multiply_dp(dp);
    add_to_dv();
    wgmma_wait<0>();
    pin(dp);
    pin(dv);
    pin(p);
    if constexpr (!is_first) pin(dk);
    __syncwarp();
    if (at.leads_warp()) {
      if constexpr (!drops<Spec>) shared.d_o_ring().release(shared.d_o_of(visit));
      if constexpr (!is_first) shared.q_ring().release(shared.q_of(visit.before()));
    }
    if constexpr (frees_ds_by_name<Spec>) named_barrier_sync(ds_empty_barrier(at.warpgroup), 256);
    store_ds(dp, [&](int i) { return weights[i]; });
    if constexpr (drops<Spec>)  // delta lies beside dO
      if (at.leads_warp()) shared.d_o_ring().release(shared.d_o_of(visit));
  }

  /// dS of the visit to shared memory, of dP - delta and of the thread's weights: pair(i) has those
  /// of elements 2i and 2i + 1, asked for in their order. Tells the warpgroup of dQ.
  template <class Pair>
  SA_DEVICE void store_ds(const float (&dp)[tiling.tile_q / 2], Pair pair) const {
    u32 to = shared.ds(shared.ds_of(visit)) + at.warpgroup * HalfDS::bytes + ds_place();
#pragma unroll
    for (int sixteen = 0; sixteen < tiling.tile_q / 16; sixteen++) {
      u32 ds[4];
      float of_pairs[8];
      take_sixteen(dp, sixteen, of_pairs);
#pragma unroll
      for (int i = 0; i < 8; i += 2) {
        u32 weights = pair(4 * sixteen + i / 2);
        ds[i / 2] = pack(Element(), unpack(Element(), u16(weights)) * of_pairs[i],
                         unpack(Element(), u16(weights >> 16)) * of_pairs[i + 1]);
      }
      store_matrix_x4_transposed(to + sixteen * 16 * HalfDS::span, ds[0], ds[1], ds[2], ds[3]);
    }
    fence_shared_to_async();
    __syncwarp();
    if (at.leads_warp()) mbarrier_arrive(shared.ds_ring().full_of(shared.ds_of(visit).stage()));
  }

  /// What weights of 16 columns are multiplied by: dP - delta, of what is kept.
  SA_DEVICE void take_sixteen(const float (&dp)[tiling.tile_q / 2], int sixteen,
                              float (&of_pairs)[8]) const {
    if constexpr (drops<Spec>) {
      LaneStatistics minus_delta(shared.delta(shared.d_o_of(visit)), sixteen, at.lane);
#pragma unroll
      for (int i = 0; i < 8; i++)
        of_pairs[i] = less_delta(params.dropout, dp[8 * sixteen + i], drop.of(8 * sixteen + i),
                                 minus_delta.of(i));
    } else {
#pragma unroll
      for (int i = 0; i < 8; i++) of_pairs[i] = dp[8 * sixteen + i];
    }
  }

  SA_DEVICE u32 number() const { return shared.number(first_warp + at.warpgroup * 4 + at.warp); }

  // Where the lane's row of dS begins. Worked out anew each time: there is no register to keep it.
  SA_DEVICE static u32 ds_place() {
    u64 thread = threadIdx.x;
    pin(thread);
    int lane = int(thread) % 32, warp = int(thread) / 32 % 4;
    return HalfDS::swizzled(lane % 8 + lane / 16 * 8, (warp * 16 + (lane & 8)) * 2);
  }

  // ---- dK and dV of the item's keys

  // Of dV: P is not divided by what is kept.
  SA_DEVICE float value_scale() const {
    if constexpr (drops<Spec>) return params.dropout.of_kept;
    return 1;
  }

  /// A gradient of the warpgroup's keys, scaled, to `buffer` in 16 bits, for the thread that
  /// stores; or to memory, in float.
  template <class Tile, int columns, int N>
  SA_DEVICE void pass_on(const float (&tile)[N], float scale, const DirectParams& direct,
                         u32 buffer) const {
    const float factor[2] = {scale, scale};
    if (direct.data)
      store_in_float<Spec, columns>(params, direct, item(), shared.sequence(items()), at, tile,
                                    factor);
    else
      store_packed<Element, Tile>(buffer, at, tile, factor);
  }

  SA_DEVICE void tell_passed_on() const {
    fence_shared_to_async();
    __syncwarp();
    if (!at.leads_warp()) return;
    if (!tiling.by_role() && at.warpgroup + at.warp == 0)
      store_shared(shared.visits(), make_int4(int(visit.uses), 0, 0, 0));
    mbarrier_arrive(shared.gradient_ring().full);
  }
};

}  // namespace streamattn
