// The end of an item: O and LSE to memory, or a piece of them for the block that ends the item.
#pragma once

#include "decode/decode_rows.cuh"
#include "decode/decode_state.cuh"
#include "ptx/global.cuh"

namespace streamattn {

/// One thread of the math warps; warp w has columns 16 w to 16 w + 15 of every 64 of V.
template <class Spec>
struct DecodeOutput {
  using State = DecodeState<Spec>;
  static constexpr int rows = State::rows, columns = State::columns, blocks = State::blocks;
  static constexpr int fragments = blocks * rows / 8;
  static constexpr int group = Spec::pieces_together;

  const DecodeParams& params;
  int warp, lane;

  /// O and LSE of all rows, from sums over all keys.
  SA_DEVICE void store(const DecodeRows<Spec>& at, State& state) const {
    float lse[columns];
#pragma unroll
    for (int c = 0; c < columns; c++) lse[c] = normalise(at, state, c);
    store_o(typename Spec::Output(), at, state);
    if (!params.output.lse || warp != 0 || lane >= 4) return;
#pragma unroll
    for (int c = 0; c < columns; c++)
      if (at.row(c) < at.count())
        store_global(params.output.lse + at.place(params.output.lse_strides, at.row(c)), lse[c]);
  }

  /// Leaves the piece in memory. Returns whether all others of the item are there: of this warp's
  /// columns, for which each counts by itself.
  SA_DEVICE bool leave(const DecodeStream<Spec>& stream, const DecodePiece<Spec>& piece,
                       const DecodeRows<Spec>& at, const State& state) const {
    int slot = 2 * blockIdx.x + (piece.begin == 0);
#pragma unroll
    for (int j = 0; j < rows / 8; j++) {
      if (8 * j + 2 * (lane % 4) >= at.count()) continue;
#pragma unroll
      for (int m = 0; m < blocks; m++) {
        const float* x = state.o[m] + 4 * j;
        store_global(o_of(slot, m, j), make_float4(x[0], x[1], x[2], x[3]));
      }
      if (lane >= 4) continue;
      store_global(stats_of(slot, j),
                   make_float4(state.reference[2 * j], state.sum[2 * j], state.reference[2 * j + 1],
                               state.sum[2 * j + 1]));
      store_global(rounded_sums_of(slot, j),
                   make_float2(state.rounded_sum[2 * j], state.rounded_sum[2 * j + 1]));
    }
    return is_last(first_block(stream, piece), pieces(stream, piece));
  }

  /// The sum of all pieces, in the order of their keys: the same whoever comes last. Pieces come in
  /// groups, whose loads are all issued before the first is used.
  SA_DEVICE void merge(const DecodeStream<Spec>& stream, const DecodePiece<Spec>& piece,
                       const DecodeRows<Spec>& at, State& state) const {
    int first = first_block(stream, piece), count = pieces(stream, piece);
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
          int slot = slot_of(first, min(p + i, count - 1));
          stats[i] = load_global((const float4*)stats_of(slot, j));
          rounded_sums[i] = load_global((const float2*)rounded_sums_of(slot, j));
#pragma unroll
          for (int m = 0; m < blocks; m++)
            part[i][m] = load_global((const float4*)o_of(slot, m, j));
        }
#pragma unroll
        for (int i = 0; i < group; i++)
          if (p + i < count) add(stats[i], rounded_sums[i], part[i], j, state);
      }
    }
  }

 private:
  // The factor that divides O by the sum is applied; returns the LSE.
  SA_DEVICE float normalise(const DecodeRows<Spec>& at, State& state, int c) const {
    constexpr float ln_2 = 0.693147180559945f;
    float sum = state.sum[c], rounded_sum = state.rounded_sum[c];
    float reference = sum == 0 ? -infinity : state.reference[c], rescale = 1;
    if constexpr (Spec::Score::has_sink) {
      int row = at.row(c);
      float logit = at.piece.sequence.score(params.score, at.head(row)).sink(at.position(row));
      float moved = fmaxf(reference, logit);
      if (moved != -infinity) {
        rescale = exp2_approx(reference - moved);
        float weight = exp2_approx(logit - moved);
        sum = fmaf(sum, rescale, weight);
        rounded_sum = fmaf(rounded_sum, rescale, weight);
        reference = moved;
      }
    }
    state.scale(c, rounded_sum == 0 ? 0 : rescale * reciprocal_approx(rounded_sum));
    return sum == 0 ? -infinity : (reference + log2_approx(sum)) * ln_2;
  }

  // Lanes 4 apart hold neighbouring columns of V of the same two rows: each takes one row.
  template <class Output>
  SA_DEVICE void store_o(Output type, const DecodeRows<Spec>& at, const State& state) const {
    bool odd = lane / 4 % 2 != 0;
    int column = 16 * warp + lane / 4 / 2 * 2;
#pragma unroll
    for (int j = 0; j < rows / 8; j++) {
      int row = at.row(2 * j + odd);
      bool exists = row < at.count();
      long long place = at.place(params.output.o_strides, row) + column;
#pragma unroll
      for (int m = 0; m < blocks; m++) {
#pragma unroll
        for (int half = 0; half < 2; half++) {
          float mine = state.o[m][4 * j + 2 * half], other = state.o[m][4 * j + 2 * half + 1];
          float received = __shfl_xor_sync(~0u, odd ? mine : other, 4);
          if (exists)
            store_pair(type, place + 64 * m + 8 * half, odd ? received : mine,
                       odd ? other : received);
        }
      }
    }
  }

  template <class Element>
  SA_DEVICE void store_pair(Element, long long at, float left, float right) const {
    store_global((u32*)((u16*)params.output.o + at), pack(Element(), left, right));
  }
  SA_DEVICE void store_pair(float, long long at, float left, float right) const {
    store_global((float2*)((float*)params.output.o + at), make_float2(left, right));
  }

  // ---- Pieces

  SA_DEVICE float4* o_of(int slot, int block, int eight) const {
    int fragment = block * (rows / 8) + eight;
    return (float4*)params.pieces.o +
           ((long long)slot * fragments + fragment) * decode_math_threads + threadIdx.x;
  }
  // Of the warp: references and sums, then the sums of rounded weights, of pairs of columns.
  SA_DEVICE float* sums_of_warp(int slot) const {
    return params.pieces.stats + (slot * DecodeTiling::warps + warp) * 3 * rows;
  }
  SA_DEVICE float4* stats_of(int slot, int eight) const {
    return (float4*)sums_of_warp(slot) + 4 * eight + lane % 4;
  }
  SA_DEVICE float2* rounded_sums_of(int slot, int eight) const {
    return (float2*)(sums_of_warp(slot) + 2 * rows) + 4 * eight + lane % 4;
  }

  SA_DEVICE static int first_block(const DecodeStream<Spec>& stream,
                                   const DecodePiece<Spec>& piece) {
    return stream.owner(piece.item_begin);
  }
  SA_DEVICE static int pieces(const DecodeStream<Spec>& stream, const DecodePiece<Spec>& piece) {
    return stream.owner(piece.item_begin + piece.length() - 1) - first_block(stream, piece) + 1;
  }
  SA_DEVICE static int slot_of(int first, int piece) { return 2 * (first + piece) + (piece == 0); }

  SA_DEVICE bool is_last(int first, int count) const {
    u32 before = 0;
    __syncwarp();
    if (lane == 0) {
      fence_gpu();
      before =
          atomic_increment(params.pieces.arrivals + DecodeTiling::warps * first + warp, count - 1);
      fence_gpu();
    }
    __syncwarp();
    return __shfl_sync(~0u, before, 0) == u32(count - 1);
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

  // A sum of zero has no reference.
  SA_DEVICE static void rescale(float& reference, float& sum, float other, float other_sum,
                                float& keep, float& take) {
    float largest = sum == 0 ? other : other_sum == 0 ? reference : fmaxf(reference, other);
    keep = sum == 0 ? 0 : exp2_approx(reference - largest);
    take = other_sum == 0 ? 0 : exp2_approx(other - largest);
    reference = largest;
    sum = fmaf(sum, keep, other_sum * take);
  }
};

}  // namespace streamattn
