// Launch parameters of the kernels that compute gradients of named tensors.
#pragma once

#include "backward/backward_params.h"

namespace streamattn {

/// Numbers of what pairs of a query and a key differ in.
struct PairCounts {
  int batches, heads, q_tiles;

  SA_ANYWHERE constexpr long long all() const { return (long long)batches * heads * q_tiles; }
};

/// By what elements of a tensor differ: variables each of which is one of its indices by itself.
struct ElementOwners {
  bool batch, head, kv_head, query, key;

  /// What different blocks may work on at a time: their elements differ.
  SA_ANYWHERE constexpr PairCounts units(PairCounts all, int group_size) const {
    return {batch ? all.batches : 1,
            head      ? all.heads
            : kv_head ? all.heads / group_size
                      : 1,
            query ? all.q_tiles : 1};
  }
};

/// The sums of a named tensor's gradient: a copy of it for every share of the work, one after the
/// other, float32, in the order of the tensor's indices.
struct ElementSumParams {
  NamedTensor copy;    // the first one
  long long elements;  // of a copy
  PairCounts counts;
  int shares;  // of the work on each unit
};

/// Parameters of element_gradients: what a score's elements get.
struct ElementParams {
  TensorMap q, d_o, k, v;  // boxes of one chunk of columns times 64 rows
  StatisticsParams statistics;
  SequenceParams sequence;
  ScoreParams score;
  ElementSumParams sums;
  int key_tiles;
  DropoutParams dropout;
  BatchParams batch;  // of packed sequences
};

/// Parameters of sink_gradients: what a sink's elements get.
struct SinkParams {
  StatisticsParams statistics;
  SequenceParams sequence;
  ScoreParams score;
  ElementSumParams sums;
  BatchParams batch;  // of packed sequences
};

/// Parameters of sum_copies, which makes the gradient of them.
struct SumCopiesParams {
  const float* copies;
  int count;           // of copies, may be 0
  long long elements;  // of each
  NamedTensor to;      // the gradient
  bool accumulate;     // to what is there
};

/// Shared memory of a block of element_gradients, in bytes: tiles of 64 rows.
struct ElementTiling {
  int head_dim, value_head_dim;

  static constexpr int element_bytes = 2;
  static constexpr int tile = 64, threads = 128;
  static constexpr int statistic_bytes = tile * 4;

  SA_ANYWHERE constexpr int q_offset() const { return 0; }
  SA_ANYWHERE constexpr int k_offset() const { return tile_bytes(head_dim); }
  SA_ANYWHERE constexpr int d_o_offset() const { return 2 * tile_bytes(head_dim); }
  SA_ANYWHERE constexpr int v_offset() const { return d_o_offset() + tile_bytes(value_head_dim); }
  /// Products and derivatives of every thread's pairs, in float.
  SA_ANYWHERE constexpr int pairs_offset() const { return v_offset() + tile_bytes(value_head_dim); }
  SA_ANYWHERE constexpr int lse_offset() const { return pairs_offset() + 2 * tile * tile * 4; }
  SA_ANYWHERE constexpr int delta_offset() const { return lse_offset() + statistic_bytes; }
  SA_ANYWHERE constexpr int totals_offset() const { return delta_offset() + statistic_bytes; }
  SA_ANYWHERE constexpr int barrier_offset() const { return totals_offset() + 16 * threads / 32; }
  /// Barriers of the queries and of the keys.
  SA_ANYWHERE constexpr int bytes() const { return barrier_offset() + 2 * 8; }

 private:
  SA_ANYWHERE static constexpr int tile_bytes(int columns) {
    return tile * padded_columns(columns, element_bytes) * element_bytes;
  }
};

}  // namespace streamattn
