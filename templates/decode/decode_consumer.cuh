// The computing side of decode: one warpgroup.
#pragma once

#include "decode/cluster_merge.cuh"
#include "decode/decode_output.cuh"
#include "decode/hidden_values.cuh"

namespace streamattn {

/// One thread of the math warps.
template <class Spec>
struct DecodeConsumer {
  static constexpr DecodeTiling tiling = Spec::tiling;
  using Element = typename Spec::Element;
  using Score = typename Spec::Score;
  using Shared = DecodeShared<Spec>;
  using KTile = typename Shared::KTile;
  using VTile = typename Shared::VTile;
  using QTile = typename Shared::QTile;
  using PTile = typename Shared::PTile;
  using State = DecodeState<Spec>;
  static constexpr int rows = tiling.rows, columns = rows / 4, tile_kv = tiling.tile_kv;
  using Multiply = Wgmma<Element, rows>;

  const DecodeParams& params;
  Shared shared;
  int warp, lane;

  typename Shared::Cursor stage = {};
  u32 p_buffer = 0;
  Score score[columns];  // of the heads of the thread's columns
  int query[columns];    // positions
  Span queries;          // of all columns of the item
  State state;
  float s[rows / 2];  // (keys, rows) float: scores, relative to the references

  SA_DEVICE void run() {
    DecodeStream<Spec> stream(params, lane);
    if constexpr (tiling.cluster == 1)
      run(stream, DecodeOutput<Spec>{params, warp, lane});
    else
      run(stream, ClusterMerge<Spec>{params, shared, warp, lane});
  }

 private:
  template <class Output>
  SA_DEVICE void run(DecodeStream<Spec>& stream, Output output) {
#pragma unroll 1
    while (!stream.done()) {
      DecodePiece<Spec> piece = stream.next();
      DecodeRows<Spec> at{params, piece, lane};
      Span tiles = piece.tiles_of_block();
      begin(at);
#pragma unroll 1
      for (int n = tiles.begin; n < tiles.end; n++) visit(piece.sequence, piece.tiles[n]);
      state.add_up(exchange(0), exchange(1));
      output.finish(stream, piece, at, state);
      __syncwarp();
    }
  }

  // In the P of the tile before, which all warps have read behind the barrier of this one.
  SA_DEVICE RowExchange<rows> exchange(int n) const {
    return {shared.exchange(p_buffer ^ 1, n), warp, lane};
  }
  SA_DEVICE void sync() const { named_barrier_sync(decode_barrier, decode_math_threads); }

  SA_DEVICE void begin(const DecodeRows<Spec>& at) {
    // Nobody reads the Q of the piece before: all have been through the barrier of its sums.
    at.load_q(shared);
    queries = at.positions();
#pragma unroll
    for (int c = 0; c < columns; c++) {
      score[c] = at.piece.sequence.score(params.score, at.head(at.row(c)));
      query[c] = at.position(at.row(c));
    }
    state.clear();
    sync();
  }

  SA_DEVICE void visit(const Sequence& sequence, int tile) {
    int first_key = tile * tile_kv;
    p_buffer ^= 1;
    multiply_qk();
    score_tile(sequence, first_key);
    bool moves = state.relate(s, score[0].scale_log2);
    typename State::Weights p;
    store_p(p);
    if (named_barrier_any(decode_barrier, decode_math_threads, moves)) {
      state.move(s, exchange(0), exchange(1));
      store_p(p);
      sync();
    }
    state.add(p);
    shared.v_ring().wait(stage);
    show_copies();
    if constexpr (Spec::layout.has_foreign_keys())
      if (first_key + tile_kv > sequence.kv_len) clear_values(sequence.kv_len - first_key);
    if constexpr (!Score::trivial) screen_values(sequence, first_key);
    accumulate_pv();
    stage.advance();
  }

  /// s = K Q^T of the tile.
  SA_DEVICE void multiply_qk() {
    shared.k_ring().wait(stage);
    show_copies();
    u64 k = KTile::k_major(shared.k(stage.stage)), q = QTile::k_major(shared.q());
    wgmma_fence();
    Multiply::template multiply_ss<0>(s, k, q);
#pragma unroll
    for (int step = 1; step < KTile::padded / KTile::step; step++)
      Multiply::template accumulate_ss<0>(s, k + KTile::column_step(step),
                                          q + QTile::column_step(step));
    wgmma_commit();
    wgmma_wait<0>();
    pin(s);
    if (lane == 0) shared.k_ring().release(stage);
  }

  /// o += V^T P^T of the tile.
  SA_DEVICE void accumulate_pv() {
    u64 v = VTile::mn_major(shared.v(stage.stage)), p = PTile::k_major(shared.p(p_buffer));
#pragma unroll
    for (int m = 0; m < State::blocks; m++) pin(state.o[m]);
    wgmma_fence();
#pragma unroll
    for (int m = 0; m < State::blocks; m++)
#pragma unroll
      for (int step = 0; step < tile_kv / VTile::step; step++)
        Multiply::template accumulate_ss<0, 1>(
            state.o[m], v + (m * VTile::chunk_bytes >> 4) + VTile::row_step(step),
            p + PTile::column_step(step));
    wgmma_commit();
    wgmma_wait<0>();
#pragma unroll
    for (int m = 0; m < State::blocks; m++) pin(state.o[m]);
    if (lane == 0) shared.v_ring().release(stage);
  }

  /// What threads have copied, not TMA, to wgmma.
  SA_DEVICE void show_copies() const {
    if (Spec::layout.kv_paged && params.box_rows == 0) fence_shared_to_async();
  }

  /// P to shared memory, rows to rows.
  SA_DEVICE void store_p(typename State::Weights& p) {
    u32 to = shared.p(p_buffer);
#pragma unroll
    for (int j = 0; j < rows / 8; j++) {
      float weight[4];
#pragma unroll
      for (int i = 0; i < 4; i++) weight[i] = exp2_approx(s[4 * j + i]);
#pragma unroll
      for (int i = 0; i < 2; i++) {
        p.sum[2 * j + i] = weight[i] + weight[i + 2];
        p.packed[2 * j + i] = pack(Element(), weight[2 * i], weight[2 * i + 1]);
      }
      store_matrix_x2_transposed(to + PTile::place(8 * j + lane % 8, warp, lane / 8 % 2 * 16),
                                 p.packed[2 * j], p.packed[2 * j + 1]);
    }
    fence_shared_to_async();
  }

  /// Products become scores, those of keys that are hidden or do not exist -inf.
  SA_DEVICE void score_tile(const Sequence& sequence, int first_key) {
    int key = first_key + 16 * warp + lane / 4;
    int k = sequence.k_position + key;
    if constexpr (Score::through_tanh) {
#pragma unroll
      for (int c = 0; c < columns; c++) {
        int first = 4 * (c / 2) + c % 2;
        float x[2] = {score[c].tangent_of(s[first], query[c], k, 0, 0),
                      score[c].tangent_of(s[first + 2], query[c], k, 8, 0)};
        tangents(x, score[c].tangent_factor());
        s[first] = x[0];
        s[first + 2] = x[1];
      }
    }
    if constexpr (Score::changes) {
#pragma unroll
      for (int i = 0; i < rows / 2; i++) {
        int c = column_of(i);
        s[i] = score[c].change(s[i], query[c], k, behind_first(i), 0);
      }
    }
    Span tile = {sequence.k_position + first_key, sequence.k_position + first_key + tile_kv};
    Span full = sequence.keys(score[0].full(queries, tile));
    if (full.begin <= first_key && full.end >= first_key + tile_kv) return;
#pragma unroll
    for (int i = 0; i < rows / 2; i++) {
      int c = column_of(i);
      bool keep =
          key + behind_first(i) < sequence.kv_len && score[c].keeps(query[c], k, behind_first(i));
      if (!keep) s[i] = -infinity;
    }
  }

  /// Where some row may not see some key of the tile.
  SA_DEVICE void screen_values(const Sequence& sequence, int first_key) {
    int first = sequence.k_position + first_key;
    Span tile = {first, first + min(tile_kv, sequence.kv_len - first_key)};
    Span whole = score[0].full(queries, tile);
    if (whole.begin <= tile.begin && whole.end >= tile.end) return;
    HiddenValues<Spec>{shared.v(stage.stage), warp, lane}.screen(state, [&](int key, int c) {
      return first + key < tile.end && score[c].keeps(query[c], first + key, 0);
    });
  }

  /// Rows of V from `first` on are nobody's: what they hold must not meet a weight of zero.
  SA_DEVICE void clear_values(int first) const {
    constexpr int parts = VTile::span / 16, all = VTile::chunks * parts;
#pragma unroll 1
    for (int i = threadIdx.x; i < (tile_kv - first) * all; i += decode_math_threads) {
      int row = first + i / all, chunk = i % all / parts, part = i % parts;
      store_shared(
          shared.v(stage.stage) + chunk * VTile::chunk_bytes + row * VTile::span + part * 16,
          make_int4(0, 0, 0, 0));
    }
    fence_shared_to_async();
    sync();
  }
};

}  // namespace streamattn
