// Memory through which pieces of an item go to the block that merges them.
#pragma once

#include "decode/decode_state.cuh"
#include "decode/decode_stream.cuh"
#include "ptx/global.cuh"

namespace streamattn {

/// The factors for a sum of rows so far, and for a piece that is added to it, relative to the
/// larger one of their references. A sum of zero has no reference.
SA_DEVICE void rescale(float& reference, float& sum, float other, float other_sum, float& keep,
                       float& take) {
  float largest = sum == 0 ? other : other_sum == 0 ? reference : fmaxf(reference, other);
  keep = sum == 0 ? 0 : exp2_approx(reference - largest);
  take = other_sum == 0 ? 0 : exp2_approx(other - largest);
  reference = largest;
  sum = fmaf(sum, keep, other_sum * take);
}

/// One thread of the math warps. Every warp leaves and merges the same columns of O in every block,
/// or in every block of the same rank of a cluster, and counts by itself.
template <class Spec>
struct PieceMemory {
  static constexpr int rows = Spec::tiling.rows, cluster = Spec::tiling.cluster;
  static constexpr int fragments = Spec::tiling.value_head_dim / 64 * (rows / 8);
  static constexpr int group = Spec::pieces_together;

  const DecodeParams& params;
  int warp, lane;

  /// Of the fragment of an accumulator that a thread of warp `of_warp` and this lane holds.
  SA_DEVICE float4* o_of(int slot, int block, int eight, int of_warp) const {
    int fragment = block * (rows / 8) + eight;
    return (float4*)params.pieces.o +
           ((long long)slot * fragments + fragment) * decode_math_threads + 32 * of_warp + lane;
  }
  SA_DEVICE float4* stats_of(int slot, int eight) const {
    return (float4*)sums_of_warp(slot) + 4 * eight + lane % 4;
  }
  SA_DEVICE float2* rounded_sums_of(int slot, int eight) const {
    return (float2*)(sums_of_warp(slot) + 2 * rows) + 4 * eight + lane % 4;
  }

  /// Counts this warp's part of the piece, which is written. Returns whether those of all others of
  /// the item are.
  SA_DEVICE bool is_last(const DecodeStream<Spec>& stream, const DecodePiece<Spec>& piece) const {
    int counted = first(stream, piece), count = pieces(stream, piece);
    u32 before = 0;
    __syncwarp();
    if (lane == 0) {
      fence_gpu();
      before = atomic_increment(params.pieces.arrivals + of_warp(counted), count - 1);
      fence_gpu();
    }
    __syncwarp();
    return __shfl_sync(~0u, before, 0) == u32(count - 1);
  }

  /// The slot of a piece, and those of all pieces of its item: of piece n, from what the first is
  /// counted as.
  SA_DEVICE static int slot(const DecodeStream<Spec>& stream, const DecodePiece<Spec>& piece) {
    if constexpr (splits) return piece.item_begin + piece.begin;
    return 2 * stream.share() + (piece.begin == 0);
  }
  SA_DEVICE static int slot_of(int first, int n) {
    return splits ? first + n : 2 * (first + n) + (n == 0);
  }
  SA_DEVICE static int first(const DecodeStream<Spec>& stream, const DecodePiece<Spec>& piece) {
    return splits ? piece.item_begin : stream.owner(piece.item_begin);
  }
  SA_DEVICE static int pieces(const DecodeStream<Spec>& stream, const DecodePiece<Spec>& piece) {
    if constexpr (splits) return piece.length();
    return stream.owner(piece.item_begin + piece.length() - 1) - first(stream, piece) + 1;
  }

 private:
  static constexpr bool splits = Spec::tiling.split > 0;

  // The warp's place among those of what is counted, or of a slot.
  SA_DEVICE int of_warp(int index) const {
    return (index * cluster + int(blockIdx.x) % cluster) * DecodeTiling::warps + warp;
  }
  // References and sums, then the sums of rounded weights, of pairs of columns.
  SA_DEVICE float* sums_of_warp(int slot) const {
    return params.pieces.stats + of_warp(slot) * 3ll * rows;
  }
};

}  // namespace streamattn
