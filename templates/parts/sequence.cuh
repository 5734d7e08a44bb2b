// The rows that a work item's batch entry has, and their positions.
#pragma once

#include "parts/tile_order.cuh"

namespace streamattn {

/// [begin, end): of positions, rows or tiles.
struct Span {
  int begin, end;

  SA_DEVICE bool empty() const { return begin >= end; }
};

/// Before and after every position there is, with room for arithmetic.
constexpr int first_position = -(1 << 30), last_position = 1 << 30;

/// Queries and keys of one batch entry.
struct Sequence {
  int q_len, kv_len;           // rows
  int q_position, k_position;  // global positions of row 0

  Sequence() = default;
  SA_DEVICE Sequence(int q_len, int kv_len, int q_position, int k_position)
      : q_len(q_len), kv_len(kv_len), q_position(q_position), k_position(k_position) {}
  SA_DEVICE Sequence(const SequenceParams& params, WorkItem)
      : q_len(params.q_len),
        kv_len(params.kv_len),
        q_position(params.q_position),
        k_position(params.k_position) {}

  /// Positions of those of the query rows [begin, end) that exist.
  SA_DEVICE Span queries(int begin, int end) const {
    return {q_position + begin, q_position + min(end, q_len)};
  }

  /// Rows of K at these positions, which may be any.
  SA_DEVICE Span keys(Span positions) const {
    int end = k_position + kv_len;
    return {min(max(positions.begin, k_position), end) - k_position,
            min(max(positions.end, k_position), end) - k_position};
  }
};

}  // namespace streamattn
