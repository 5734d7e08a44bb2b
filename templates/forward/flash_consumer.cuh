// The computing side of forward attention on Hopper: warpgroups of 64 query rows each.
#pragma once

#include "forward/flash_dropout.cuh"
#include "forward/flash_epilogue.cuh"
#include "parts/products.cuh"
#include "parts/softmax.cuh"
#include "ptx/warpgroup.cuh"

namespace streamattn {

/// One thread of a math warpgroup.
template <class Spec>
struct FlashConsumer {
  static constexpr FlashTiling tiling = Spec::tiling;
  using Element = typename Spec::Element;
  using Score = typename Spec::Score;
  using Epilogue = FlashEpilogue<Spec>;
  using QTile = SwizzledTile<tiling.tile_q, tiling.head_dim, tiling.element_bytes>;
  using KTile = SwizzledTile<tiling.tile_kv, tiling.head_dim, tiling.element_bytes>;
  using VTile = SwizzledTile<tiling.tile_kv, tiling.value_head_dim, tiling.element_bytes>;
  using QK = Wgmma<Element, tiling.tile_kv>;
  using PV = Wgmma<Element, VTile::padded>;
  static constexpr int qk_steps = KTile::padded / KTile::step;
  static constexpr int pv_steps = tiling.tile_kv / VTile::step;
  static constexpr int heads = tiling.packed_heads;  // row r is of query r / heads of the tile
  static constexpr int q_registers = Spec::q_in_registers ? QTile::padded / 4 : 4;

  const FlashParams& params;
  FlashShared<Spec> shared;
  Fragment at;

  // Key tiles: the one whose K is multiplied next, and of those multiplied the last one, whose V is
  // still to come. Their descriptors lie ready, see advance().
  RingCursor<tiling.stages> next = {}, held = {};
  u64 next_k = KTile::k_major(shared.k(0)), held_v = 0;
  u32 q_parity = 0;
  bool is_complete;  // whether all tiles of the item were before, and what V hid is to be restored
  FlashItem<Spec> item;
  FlashWalk<Spec> walk;  // of the item
  RowStats stats;
  u32 q[q_registers];           // (64, head_dim) 16-bit, a warpgroup's rows as k16 steps
  float s[tiling.tile_kv / 2];  // (64, tile_kv) float: scores, then unnormalised P
  typename Score::template Elements<tiling.tile_kv / 2> elements;  // (64, tile_kv), of a tensor
  u32 p[tiling.tile_kv / 4];   // (64, tile_kv) 16-bit: P as k16 steps
  float o[VTile::padded / 2];  // (64, value_head_dim) float

  // Key tiles go with QK of the next one under the softmax of this one. With Q in registers items
  // overlap too: the first QK of the next one is issued behind the last PV of this one and runs
  // under its epilogue. Nothing may branch between the two (C7514).
  SA_DEVICE void run() {
    if (Spec::ping_pong && at.warpgroup == 0) named_barrier_arrive(turn_barrier(0), 256);
    bool more = next_item();
    for (;;) {
      for (; more && !walk.has_rows(); more = next_item()) sit_out();
      if (!more) break;
      enter();
      take_turn();
      multiply_qk();
      pass_turn();
      hold();
      FlashItem<Spec> done;
      for (;;) {
        first_softmax();
#pragma unroll 1
        while (walk.next()) step();
        leave_q();
        done = item;
        if (!Spec::q_in_registers) break;
        more = next_item();
        if (!more || !joins()) break;
        auto v_at = held;
        enter();
        shared.v_ring().wait(v_at);
        take_turn();
        accumulate_pv();
        multiply_qk();
        pass_turn();
        hold();
        wgmma_wait<1>();
        finish(done, v_at);
      }
      shared.v_ring().wait(held);
      accumulate_pv();
      wgmma_wait<0>();
      finish(done, held);
      if (!Spec::q_in_registers) more = next_item();
    }
    epilogue().finish();
  }

 private:
  // ---- Tiles of Q and O

  // Waits for Q and reads the slot, by the lane that will release both. False at the end.
  SA_DEVICE bool next_item() {
    mbarrier_wait(shared.q_full(), q_parity);
    q_parity ^= 1;
    int4 slot = {};
    if (at.leads_warp()) slot = load_shared(shared.slot());
    int word = __shfl_sync(~0u, slot.w, 0), more = hides_v<Spec> ? max(word, -word) : word;
    int share = splits_keys<Spec> ? max(more - 1, 0) : 0;
    static_cast<WorkItem&>(item) = {__shfl_sync(~0u, slot.x, 0), __shfl_sync(~0u, slot.y, 0),
                                    __shfl_sync(~0u, slot.z, 0), share};
    if constexpr (is_ragged<Spec>) item.read_rows(shared.sequence_slot(), at.leads_warp(), more);
    is_complete = word < 0;
    walk = key_walk<Spec>(params, item, at.first_row(), is_complete ? 0 : 64);
    return more != 0;
  }

  /// Takes Q into registers where it belongs there, and gives its memory back.
  SA_DEVICE void take_q() {
    if constexpr (Spec::q_in_registers) {
#pragma unroll
      for (int step = 0; step < qk_steps; step++)
        load_matrix_x4(shared.q() + QTile::place(at.matrix_row(), step, at.matrix_byte_column()),
                       q[4 * step], q[4 * step + 1], q[4 * step + 2], q[4 * step + 3]);
      release_q();
      pin(q);
    }
  }

  /// After the last QK of an item.
  SA_DEVICE void leave_q() {
    if constexpr (!Spec::q_in_registers && !Epilogue::takes_q) release_q();
  }

  SA_DEVICE void clear() {
    stats = {};
#pragma unroll
    for (int i = 0; i < VTile::padded / 2; i++) o[i] = 0;
  }

  SA_DEVICE Epilogue epilogue() const { return {params, shared, at}; }

  SA_DEVICE void store(FlashItem<Spec> done) {
    float normalise[2];
    stats.add_up();
    if constexpr (Score::has_sink) add_sinks(done);
    stats.finish(normalise);
    if constexpr (drops<Spec>)
      for (float& factor : normalise) factor *= params.dropout.of_kept;
    epilogue().store(done, o, normalise, {stats.log_sum(0), stats.log_sum(1)});
    // The warp meets again: ptxas takes a loop for divergent that lanes enter by ways of their own,
    // and computes what is uniform in it, matrix descriptors for one, in every lane.
    __syncwarp();
    if (Epilogue::takes_q) release_q();
  }

  // Once for a row: in the first share of its keys.
  SA_DEVICE void add_sinks(FlashItem<Spec> done) {
    if (splits_keys<Spec> && done.share > 0) return;
    Sequence sequence = sequence_of<Spec>(params, done);
    int first_row = first_query_of<Spec>(sequence, done);
#pragma unroll
    for (int r = 0; r < 2; r++) {
      WorkItem of_head = first_head_of<Spec>(done);
      of_head.head += at.row(r) % heads;
      Score score = score_of<Spec>(params, of_head, sequence);
      stats.add_logit(r, score.sink(first_row + at.row(r) / heads));
    }
  }

  SA_DEVICE void release_q() {
    __syncwarp();
    if (at.leads_warp()) mbarrier_arrive(shared.q_empty());
  }

  // ---- Items

  // Whether the item can begin while the last V of the one before is still held: tiles that it
  // passes over, and the first it computes, must fit into the other stages.
  SA_DEVICE bool joins() const { return walk.has_rows() && walk.passed_over < tiling.stages; }

  // An item of which this warpgroup has no rows, or none any more.
  SA_DEVICE void sit_out() {
    const bool restores = hides_v<Spec> && is_complete;
    if (restores) epilogue().restore(item);
    release_q();
    if (restores) return;
#pragma unroll 1
    do pass_over();
    while (walk.next());
  }

  // An item up to its first QK.
  SA_DEVICE void enter() {
    take_q();
#pragma unroll 1
    for (int i = 0; i < walk.passed_over; i++) pass_over();
    load_elements();
    shared.k_ring().wait(next);
  }

  // An item whose last PV is complete.
  SA_DEVICE void finish(FlashItem<Spec> done, RingCursor<tiling.stages> v_at) {
    pin(o);
    release(shared.v_ring(), v_at);
    store(done);
  }

  SA_DEVICE void first_softmax() {
    wgmma_wait<0>();
    pin(s);
    release(shared.k_ring(), held);
    clear();
    weigh</*bounded=*/true>();
    pack_p();
  }

  /// Products become weights; without `bounded` all keys of the tile exist. Returns whether what
  /// was accumulated so far is to be rescaled.
  template <bool bounded>
  SA_DEVICE bool weigh() {
    const Score& score = walk.score;
    bool is_capped = false, moved = true;
    if constexpr (!bounded && Spec::stale_reference && Score::through_tanh && !Score::changes)
      is_capped = !walk.masked() && stats.cap(s, score.tangent_factor(), score.scale_log2);
    if (!is_capped) score_tile<bounded>();
    if constexpr (Spec::stale_reference)
      moved = !is_capped && stats.stale(s, score.scale_log2);
    else
      stats.exact(s, score.scale_log2);
    if constexpr (drops<Spec>)
      FlashDropout<Spec>{params, item, first_query(), at}.drop(
          walk.sequence.k_position + walk.tile * tiling.tile_kv, s);
    return moved;
  }

  SA_DEVICE void step() {
    auto v_at = held;
    load_elements();
    shared.k_ring().wait(next);
    take_turn();
    multiply_qk();
    shared.v_ring().wait(v_at);
    accumulate_pv();
    pass_turn();
    hold();

    wgmma_wait<1>();
    pin(s);
    release(shared.k_ring(), held);
    bool moved = weigh</*bounded=*/false>();

    wgmma_wait<0>();
    pin(o);
    pin(p);
    release(shared.v_ring(), v_at);
    pack_p();
    if (moved) scale_rows(o, stats.rescale);
  }

  // ---- Pieces of a step

  // A tile that this warpgroup's rows do not see. It must have arrived before it is released: only
  // then has everybody released the tile before it.
  SA_DEVICE void pass_over() {
    shared.k_ring().wait(next);
    release(shared.k_ring(), next);
    take_turn();
    pass_turn();
    shared.v_ring().wait(next);
    release(shared.v_ring(), next);
    advance();
  }

  // The tile whose K was multiplied becomes the one that is held.
  SA_DEVICE void hold() {
    held = next;
    held_v = VTile::mn_major(shared.v(held.stage));
    pin(held_v);
    advance();
  }

  // What the next products need is computed here, while others run: between a wait or a turn and
  // the product behind it, a chain of instructions takes time of the whole block.
  SA_DEVICE void advance() {
    next.advance();
    next_k = KTile::k_major(shared.k(next.stage));
    pin(next_k);
  }

  SA_DEVICE void take_turn() {
    if constexpr (Spec::ping_pong) named_barrier_sync(turn_barrier(at.warpgroup), 256);
  }
  SA_DEVICE void pass_turn() {
    constexpr int warpgroups = tiling.tile_q / 64;
    if constexpr (Spec::ping_pong)
      named_barrier_arrive(turn_barrier(at.warpgroup + 1 == warpgroups ? 0 : at.warpgroup + 1),
                           256);
  }

  SA_DEVICE void release(StageRing<tiling.stages> ring, RingCursor<tiling.stages> use) {
    if (at.leads_warp()) ring.release(use);
  }

  /// Issues s = Q K^T of the next tile as one group.
  SA_DEVICE void multiply_qk() {
    wgmma_fence();
    if constexpr (Spec::q_in_registers)
      multiply_columns<QK, KTile>(s, q, next_k);
    else
      multiply_columns<QK, QTile, KTile>(
          s, QTile::k_major(shared.q() + at.first_row() * QTile::span), next_k);
    wgmma_commit();
  }

  /// Issues o += P V of the held tile as one group.
  SA_DEVICE void accumulate_pv() {
    pin(o);
    pin(p);
    wgmma_fence();
    accumulate_rows<PV, VTile, pv_steps>(o, p, held_v);
    wgmma_commit();
  }

  SA_DEVICE void pack_p() { pack_tile<Element>(s, p); }

  // In front of the products that it runs under.
  SA_DEVICE void load_elements() {
    const int rows[2] = {first_query() + at.row(0) / heads, first_query() + at.row(1) / heads};
    int first_key = walk.sequence.k_position + walk.tile * tiling.tile_kv;
    walk.score.load(elements, rows, first_key + at.column());
    if constexpr (Score::element_bytes > 0)
      if (walk.tile > 0) prefetch_elements(first_key - tiling.tile_kv);
  }

  // Of the next tile, most often: memory is farther away than a product takes.
  SA_DEVICE void prefetch_elements(int first_key) {
    constexpr int line = 128 / Score::element_bytes;  // elements
    constexpr int lines = (tiling.tile_kv + line - 1) / line;
#pragma unroll
    for (int i = 0; i < (64 * lines + 127) / 128; i++) {
      int index = 128 * i + threadIdx.x % 128;
      walk.score.prefetch(first_query() + at.first_row() / heads + index / lines % 64 / heads,
                          first_key + index % lines * line);
    }
  }

  // Position of the tile's first query.
  SA_DEVICE int first_query() const { return first_query_of<Spec>(walk.sequence, item); }

  /// Products become scores; of keys that are hidden or, with `bounded`, do not exist, -inf.
  template <bool bounded>
  SA_DEVICE void score_tile() {
    const Score& score = walk.score;
    int first_row = first_query();
    int first_key = walk.tile * tiling.tile_kv + at.column();
    int keys = walk.sequence.kv_len - first_key;
    int k_first = walk.sequence.k_position + first_key;
    elements.arrange();
    if constexpr (Score::through_tanh) {
      int next_element = 0;
      for_each(s, [&](int r, int column, float& x) {
        float element = Score::takes_element_in_tanh ? elements[next_element++] : 0;
        x = score.tangent_of(x, first_row + at.row(r) / heads, k_first, column, element);
      });
      tangents(s, score.tangent_factor());
    }
    int next_element = 0;
    if constexpr (Score::changes)
      for_each(s, [&](int r, int column, float& x) {
        x = score.change(x, first_row + at.row(r) / heads, k_first, column,
                         elements[next_element++]);
      });
    if ((Score::trivial && !bounded) || !walk.masked()) return;
    for_each(s, [&](int r, int column, float& x) {
      bool keep = score.keeps(first_row + at.row(r) / heads, k_first, column);
      if (bounded) keep = keep && column < keys;
      if (!keep) x = -infinity;
    });
  }
};

}  // namespace streamattn
