// Launch parameters of the backward skeletons, and the shared memory of the main one.
#pragma once

#include "params.h"

namespace streamattn {

/// What the main kernel needs of every row of queries besides Q and dO: float32, in the order in
/// which threads take it (parts/row_statistics.cuh). Heads are batch * heads; rows are padded to
/// whole tiles.
struct StatisticsParams {
  float* lse;    // [heads, padded rows], times log2(e); +inf where a row has no weight at all
  float* delta;  // [heads, padded rows], the sum of dO * O
  int padded_len;
};

/// Sums of dQ by query tile, not scaled: float32, in the order of accumulator registers.
struct QuerySumParams {
  float* sums;         // [batch * heads, q_tiles, 64 * padded columns]
  unsigned* counters;  // [batch * heads, q_tiles]: 1 + the key tile that was added last; 0: none
  int q_tiles;
};

/// Work items are (section of key-value heads, key tile, head of the section), the last one
/// fastest. A tile of keys waits for tiles before it alone, which then began earlier.
struct KeyOrderParams {
  int key_tiles;
  int kv_heads, all_kv_heads;  // all: batch * kv_heads
  int section_heads;           // heads of a section; the last section may have fewer
};

/// A float32 gradient that goes straight from registers to memory.
struct DirectParams {
  float* data;  // null: it goes by TMA
  Strides strides;
};

/// Parameters of backward_wgmma.
struct BackwardParams {
  TensorMap q, d_o;    // boxes of one chunk of columns times the 64 rows of a query tile
  TensorMap k, v;      // times the 128 rows of a key tile
  TensorMap d_k, d_v;  // times 64 rows; unset where direct
  DirectParams d_k_direct, d_v_direct;
  StatisticsParams statistics;
  QuerySumParams d_q;
  SequenceParams sequence;
  ScoreParams score;
  KeyOrderParams order;
  bool accumulate;  // to direct gradients
};

/// Parameters of row_sums, which runs first.
struct RowSumParams {
  const void *o, *d_o;
  const float* lse;
  Strides o_strides, d_o_strides, lse_strides;
  StatisticsParams to;
  unsigned* counters;  // set to 0
  int counter_count;
  int q_len, heads, all_heads;  // all: batch * heads
};

/// Parameters of convert_query_sums, which runs last.
struct ConvertParams {
  QuerySumParams from;
  void* d_q;
  Strides strides;
  int q_len, heads, all_heads;
  float scale;
  bool is_float;    // d_q is float32
  bool accumulate;  // to d_q, which is float32 then
};

/// Tiles of the main kernel and their places in shared memory, in bytes. Every tile starts on a
/// boundary of its swizzle pattern as long as the base is 1024-byte aligned.
struct BackwardTiling {
  int head_dim, value_head_dim;

  static constexpr int element_bytes = 2;
  static constexpr int tile_q = 64, tile_kv = 128;  // a math warpgroup has 64 keys
  static constexpr int stages = 2;                  // of Q and of dO; buffers of dS and of dQ

  SA_ANYWHERE constexpr int k_bytes() const { return tile_bytes(tile_kv, head_dim); }
  SA_ANYWHERE constexpr int v_bytes() const { return tile_bytes(tile_kv, value_head_dim); }
  SA_ANYWHERE constexpr int q_bytes() const { return tile_bytes(tile_q, head_dim); }
  SA_ANYWHERE constexpr int d_o_bytes() const { return tile_bytes(tile_q, value_head_dim); }
  SA_ANYWHERE static constexpr int ds_bytes() { return tile_q * tile_kv * element_bytes; }
  SA_ANYWHERE static constexpr int statistic_bytes() { return tile_q * 4; }
  /// Floats, and their bytes.
  SA_ANYWHERE constexpr int dq_elements() const {
    return tile_q * padded_columns(head_dim, element_bytes);
  }
  SA_ANYWHERE constexpr int dq_bytes() const { return dq_elements() * 4; }

  SA_ANYWHERE static constexpr int k_offset() { return 0; }
  SA_ANYWHERE constexpr int v_offset() const { return k_bytes(); }
  SA_ANYWHERE constexpr int q_offset() const { return v_offset() + v_bytes(); }
  SA_ANYWHERE constexpr int d_o_offset() const { return q_offset() + stages * q_bytes(); }
  SA_ANYWHERE constexpr int ds_offset() const { return d_o_offset() + stages * d_o_bytes(); }
  SA_ANYWHERE constexpr int dq_offset() const { return ds_offset() + stages * ds_bytes(); }
  SA_ANYWHERE constexpr int lse_offset() const { return dq_offset() + stages * dq_bytes(); }
  SA_ANYWHERE constexpr int delta_offset() const {
    return lse_offset() + stages * statistic_bytes();
  }
  SA_ANYWHERE constexpr int slot_offset() const {
    return delta_offset() + stages * statistic_bytes();
  }
  SA_ANYWHERE constexpr int leader_offset() const { return slot_offset() + stages * 16; }
  SA_ANYWHERE constexpr int barrier_offset() const { return leader_offset() + 4 * 16; }
  /// Full barrier of K and V; full and empty ones of every stage of Q, dO and dS.
  SA_ANYWHERE constexpr int bytes() const { return barrier_offset() + 8 * (1 + 6 * stages); }

 private:
  SA_ANYWHERE static constexpr int tile_bytes(int rows, int columns) {
    return rows * padded_columns(columns, element_bytes) * element_bytes;
  }
};

}  // namespace streamattn
