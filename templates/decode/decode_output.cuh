// The end of an item: O and LSE to memory, or a piece of them for the block that ends the item.
#pragma once

#include "decode/output_rows.cuh"
#include "decode/piece_memory.cuh"

namespace streamattn {

/// One thread of the math warps; warp w has columns 16 w to 16 w + 15 of every 64 of V.
template <class Spec>
struct DecodeOutput {
  using State = DecodeState<Spec>;
  using Pieces = PieceMemory<Spec>;
  static constexpr int rows = State::rows, columns = State::columns, blocks = State::blocks;

  const DecodeParams& params;
  int warp, lane;

  /// Stores the item, or leaves a piece of it, which the last block to arrive merges and stores.
  SA_DEVICE void finish(const DecodeStream<Spec>& stream, const DecodePiece<Spec>& piece,
                        const DecodeRows<Spec>& at, State& state) const {
    bool complete = piece.is_whole();
    if (!complete && leave(stream, piece, at, state)) {
      merge(stream, piece, at, state);
      complete = true;
    }
    if (complete) store(at, state);
  }

 private:
  // O and LSE of all rows, from sums over all keys.
  SA_DEVICE void store(const DecodeRows<Spec>& at, State& state) const {
    OutputRows<Spec> output{params, lane};
    float lse[columns];
#pragma unroll
    for (int c = 0; c < columns; c++) {
      auto normal = output.normal(at, c, state.reference[c], state.sum[c], state.rounded_sum[c]);
      state.scale(c, normal.factor);
      lse[c] = normal.lse;
    }
#pragma unroll
    for (int j = 0; j < rows / 8; j++)
#pragma unroll
      for (int m = 0; m < blocks; m++) output.store(at, m, j, warp, state.o[m] + 4 * j);
    if (warp != 0 || lane >= 4) return;
#pragma unroll
    for (int c = 0; c < columns; c++) output.store_lse(at, c, lse[c]);
  }

  // Leaves the piece in memory. Returns whether all others of the item are there: of this warp's
  // columns, for which each counts by itself.
  SA_DEVICE bool leave(const DecodeStream<Spec>& stream, const DecodePiece<Spec>& piece,
                       const DecodeRows<Spec>& at, const State& state) const {
    Pieces pieces{params, warp, lane};
    int slot = Pieces::slot(stream, piece);
#pragma unroll
    for (int j = 0; j < rows / 8; j++) {
      if (8 * j + 2 * (lane % 4) >= at.count()) continue;
#pragma unroll
      for (int m = 0; m < blocks; m++) {
        const float* x = state.o[m] + 4 * j;
        store_global(pieces.o_of(slot, m, j, warp), make_float4(x[0], x[1], x[2], x[3]));
      }
      if (lane >= 4) continue;
      store_global(pieces.stats_of(slot, j),
                   make_float4(state.reference[2 * j], state.sum[2 * j], state.reference[2 * j + 1],
                               state.sum[2 * j + 1]));
      store_global(pieces.rounded_sums_of(slot, j),
                   make_float2(state.rounded_sum[2 * j], state.rounded_sum[2 * j + 1]));
    }
    return pieces.is_last(stream, piece);
  }

  // The sum of all pieces, in the order of their keys: the same whoever comes last. Pieces come in
  // groups, whose loads are all issued before the first is used.
  SA_DEVICE void merge(const DecodeStream<Spec>& stream, const DecodePiece<Spec>& piece,
                       const DecodeRows<Spec>& at, State& state) const {
    constexpr int group = Pieces::group;
    Pieces pieces{params, warp, lane};
    int first = Pieces::first(stream, piece), count = Pieces::pieces(stream, piece);
    state.clear();
#pragma unroll
    for (int j = 0; j < rows / 8; j++) {
      if (8 * j + 2 * (lane % 4) >= at.count()) continue;
#pragma unroll 1
      for (int p = 0; p < count; p += group) {
        float4 stats[group], part[group][blocks];
        float2 rounded_sums[group];
#pragma unroll
        for (int i = 0; i < group; i++) {
          int slot = Pieces::slot_of(first, min(p + i, count - 1));
          stats[i] = load_global((const float4*)pieces.stats_of(slot, j));
          rounded_sums[i] = load_global((const float2*)pieces.rounded_sums_of(slot, j));
#pragma unroll
          for (int m = 0; m < blocks; m++)
            part[i][m] = load_global((const float4*)pieces.o_of(slot, m, j, warp));
        }
#pragma unroll
        for (int i = 0; i < group; i++)
          if (p + i < count) add(stats[i], rounded_sums[i], part[i], j, state);
      }
    }
  }

  // A piece, relative to the larger one of its reference and that of the sum so far.
  SA_DEVICE static void add(float4 stats, float2 rounded_sums, const float4 (&part)[blocks], int j,
                            State& state) {
    float keep[2], take[2];
    rescale(state.reference[2 * j], state.sum[2 * j], stats.x, stats.y, keep[0], take[0]);
    rescale(state.reference[2 * j + 1], state.sum[2 * j + 1], stats.z, stats.w, keep[1], take[1]);
    float* sums = state.rounded_sum + 2 * j;
    sums[0] = fmaf(sums[0], keep[0], take[0] * rounded_sums.x);
    sums[1] = fmaf(sums[1], keep[1], take[1] * rounded_sums.y);
#pragma unroll
    for (int m = 0; m < blocks; m++) {
      float* o = state.o[m] + 4 * j;
      o[0] = fmaf(o[0], keep[0], take[0] * part[m].x);
      o[1] = fmaf(o[1], keep[1], take[1] * part[m].y);
      o[2] = fmaf(o[2], keep[0], take[0] * part[m].z);
      o[3] = fmaf(o[3], keep[1], take[1] * part[m].w);
    }
  }
};

}  // namespace streamattn
