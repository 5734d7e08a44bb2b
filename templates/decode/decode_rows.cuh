// Query rows of an item: the heads that share a KV head, query by query.
#pragma once

#include "decode/decode_shared.cuh"
#include "decode/decode_stream.cuh"
#include "ptx/shared.cuh"

namespace streamattn {

/// Rows of an item: row r is head r % group_size of the group, of query r / group_size. A thread of
/// the math warps holds columns 2 (lane % 4) and the next of every eight: `columns` of them.
template <class Spec>
struct DecodeRows {
  using Shared = DecodeShared<Spec>;
  using QTile = typename Shared::QTile;
  static constexpr int rows = Spec::tiling.rows, group = Spec::group_size, columns = rows / 4;

  const DecodeParams& params;
  const DecodePiece<Spec>& piece;
  int lane;

  /// Rows that exist.
  SA_DEVICE int count() const { return min(piece.sequence.q_len * group - piece.first_row, rows); }

  /// The row of the thread's column c.
  SA_DEVICE int row(int c) const { return c / 2 * 8 + 2 * (lane % 4) + c % 2; }

  // Rows that do not exist are taken for the last one that does: they cost nothing and are not
  // stored.
  SA_DEVICE int query(int row) const { return (piece.first_row + min(row, count() - 1)) / group; }
  SA_DEVICE int head(int row) const {
    return piece.kv_head * group + (piece.first_row + min(row, count() - 1)) % group;
  }

  /// Positions of their queries.
  SA_DEVICE int position(int row) const { return piece.sequence.q_position + query(row); }
  SA_DEVICE Span positions() const { return {position(0), position(rows - 1) + 1}; }

  /// Where a row is in a tensor of q's layout, in elements.
  SA_DEVICE long long place(const Strides& strides, int row) const {
    const BatchSequence<Spec>& sequence = piece.sequence;
    return sequence.q_entry() * strides.batch + (sequence.q_row + query(row)) * strides.seq +
           head(row) * strides.head;
  }

  /// The math warps bring Q to shared memory, 16 bytes a thread and step; rows and columns that do
  /// not exist are zero. Barriers stand around it.
  SA_DEVICE void load_q(Shared shared) const {
    constexpr int parts = QTile::padded / 8, all = rows * parts;
#pragma unroll 2
    for (int i = threadIdx.x; i < all; i += decode_math_threads) {
      int row = i / parts, part = i % parts;
      int4 x = make_int4(0, 0, 0, 0);
      if (row < count() && part * 8 < Spec::tiling.head_dim)
        x = load_global((const int4*)((const u16*)params.q + place(params.q_strides, row)) + part);
      store_shared(shared.q() + QTile::place(row, part / 2, part % 2 * 16), x);
    }
    fence_shared_to_async();
  }
};

}  // namespace streamattn
