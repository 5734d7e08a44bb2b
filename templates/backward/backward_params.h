// Launch parameters of the backward skeletons, and the shared memory of the main one.
#pragma once

#include "params.h"

namespace streamattn {

// Packed sequences have the query tiles of all of them one behind the other, as if of one entry of
// a batch, with some unused ones between (backward/sequences.cuh).

/// What the main kernel needs of every row of queries besides Q and dO: float32, in the order in
/// which threads take it (parts/row_statistics.cuh), negative, as products start from it. Heads are
/// batch * heads; rows are padded to whole tiles.
struct StatisticsParams {
  float* minus_lse;    // [heads, padded rows], in units; -inf where a row has no weight at all
  float* minus_delta;  // [heads, padded rows], of the sum of dO * O
  int padded_len;
  float lse_unit;  // in base 2: that of Q K^T where scores are these scaled, else 1
};

/// Sums of dQ by 64 rows, not scaled: float32, in the order of accumulator registers.
struct QuerySumParams {
  float* sums;         // [batch * heads, tiles, parts, 64 * padded columns of a part]
  unsigned* counters;  // [batch * heads, tiles, parts]: 1 + the key tile added last; 0: none
  int tiles, parts;
};

/// The tiles of keys of packed sequences: of groups of these, one behind the other, the first tile
/// of each sequence, then the second ones, and so on. Written by row_sums, read by the main kernel
/// (backward/packed_tiles.cuh).
struct PackedTilesParams {
  int* words;      // 8 for each tile
  int room;        // for so many tiles
  int group_rows;  // a group's sequences begin within so many rows of the tensors
};

/// Work is (section of key-value heads, key tile, head of the section), the last one fastest. A
/// tile of keys waits for tiles before it alone, which blocks have then drawn earlier. In sections
/// that climb, key tiles and their walks go the other way round.
///
/// The first `whole` key tiles are an item each. The `cut` ones behind are `parts` items each: the
/// first part of all of them, of `part_tiles` query tiles from where their walks begin, then the
/// second one, ...
struct KeyOrderParams {
  int items;  // whole + cut * parts
  int whole, cut, parts, part_tiles;
  // Counts items that blocks have drawn, and one more draw for each block. The last of these makes
  // it zero again.
  unsigned* drawn;
  unsigned last_draw;
  int key_tiles;               // of a head; of packed sequences the most there can be
  int kv_heads, all_kv_heads;  // all: batch * kv_heads
  int section_heads;           // heads of a section; the last section may have fewer
  int climbing_sections;       // the first ones
};

/// Which key tiles the tiles of queries see under a mask that data decide, as bits, 32 to a word:
/// written by seen_tiles, for the walks of the main kernel.
struct SeenTilesParams {
  unsigned* by_query;      // [batches, heads, q_tiles, key_words]
  unsigned* by_key;        // [batches, heads, key_tiles, q_words]
  unsigned* whole_by_key;  // the same, of those that all queries see whole
  int batches, heads;      // 1 where the mask does not depend on it
  int q_tiles, key_tiles;

  SA_ANYWHERE constexpr int q_words() const { return (q_tiles + 31) / 32; }
  SA_ANYWHERE constexpr int key_words() const { return (key_tiles + 31) / 32; }
};

/// Parameters of seen_tiles, which runs behind tile_bounds.
struct SeenListingParams {
  ListingParams listing;  // of bounds alone
  SeenTilesParams seen;
};

/// A float32 gradient that goes straight from registers to memory.
struct DirectParams {
  float* data;  // null: it goes by TMA
  Strides strides;
};

/// What a launch does so that nothing that is not finite gets from pairs that a mask hides into
/// results (backward/operand_cleaner.cuh).
struct WatchParams {
  unsigned* found;         // is no longer zero where a result is not finite; null: nobody asks
  const unsigned* unless;  // zero: the launch does nothing; null: it does
  int landed;              // BackwardTiling::landed where operands are cleaned, else 0
};

/// Parameters of backward_wgmma.
struct BackwardParams {
  TensorMap q, d_o;         // boxes of one chunk of columns times the 64 rows of a query tile
  TensorMap k, v;           // times the rows of a key tile
  TensorMap d_q, d_k, d_v;  // times 64 rows; unset where direct
  DirectParams d_q_direct, d_k_direct, d_v_direct;
  StatisticsParams statistics;
  QuerySumParams d_q_sums;
  SequenceParams sequence;
  ScoreParams score;
  KeyOrderParams order;
  bool accumulate;  // to direct gradients
  DropoutParams dropout;
  SeenTilesParams seen;            // where data decide the mask
  TensorMap d_k_parts, d_v_parts;  // as d_k and d_v: [items that are parts, rows of a key tile]
  BatchParams batch;               // of packed sequences; lengths in `sequence` then do not count
  PackedTilesParams key_tiles;     // of these
  WatchParams watch;               // where a mask hides pairs
};

/// Parameters of sum_parts, which runs behind the main kernel.
struct SumPartsParams {
  KeyOrderParams order;
  const void *d_k_parts, *d_v_parts;  // [parts, cut, rows of a key tile, columns], of Q's type
  void *d_k, *d_v;
  Strides d_k_strides, d_v_strides;
  int kv_len;
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
  BatchParams batch;            // of packed sequences
  PackedTilesParams key_tiles;  // of these
};

/// Parameters of clear_unseen, which runs last.
struct ClearParams {
  QuerySumParams of;
  int count;  // of tiles of 64 rows
  void* d_q;
  Strides strides;
  int q_len, heads;
  int element_bytes, row_bytes;
  BatchParams batch;  // of packed sequences
};

/// Columns of the first instruction of a product of so many; another has the rest. ptxas compiles
/// none whose accumulators do not fit into the registers that a thread has at launch, 128 in a
/// block of four warpgroups.
SA_ANYWHERE constexpr int product_columns(int columns) { return columns > 192 ? 128 : columns; }

/// Tiles of the main kernel and their places in shared memory, in bytes. Every tile starts on a
/// boundary of its swizzle pattern as long as the base is 1024-byte aligned.
///
/// Up to 128 columns, math warpgroups share a tile's keys. Above, accumulators of 64 keys fill the
/// registers of one: they share the roles, of P and dV and of dS and dK.
struct BackwardTiling {
  static constexpr int sum_rows = 64;  // of dQ, which are added up as one

  int head_dim, value_head_dim;
  int tile_q = sum_rows;   // a multiple of that
  bool is_packed = false;  // of sequences

  static constexpr int element_bytes = 2;
  static constexpr int warpgroup_keys = 64;
  static constexpr int most_stages = 3, dq_buffers = 2;
  static constexpr int items = 4, visits = 4;  // that somebody may still look at
  static constexpr int math_warps = 8;
  /// Full and empty barriers of K and V, of dK and dV, of P, and of every stage of Q, dO, dS, dQ.
  static constexpr int ring_bytes = 16 * (3 + 4 * most_stages);
  /// Behind every full barrier of operands is, so many bytes, that of operands which are cleaned
  /// before they are announced.
  static constexpr int landed = ring_bytes;
  static constexpr int barrier_bytes = 2 * ring_bytes;
  static constexpr int most_bytes = 227 << 10;  // that a block may have

  SA_ANYWHERE constexpr bool by_role() const { return head_dim > 128 || value_head_dim > 128; }
  /// Warpgroups that write dS, of warpgroup_keys each.
  SA_ANYWHERE constexpr int ds_writers() const { return tile_kv() / warpgroup_keys; }
  SA_ANYWHERE constexpr int tile_kv() const { return by_role() ? warpgroup_keys : 128; }
  /// Of Q: it is in use until dK of its visit is complete, which is in the middle of the next one.
  /// So with three stages the next Q is always there; where roles are shared there is room for two.
  SA_ANYWHERE constexpr int q_stages() const { return by_role() ? 2 : 3; }
  /// Of dS: two where there is room, or where one would have the roles wait for each other.
  SA_ANYWHERE constexpr int ds_stages() const {
    return by_role() || bytes_with(2, 2) <= most_bytes ? 2 : 1;
  }
  /// Of dO: as many as there is room for.
  SA_ANYWHERE constexpr int d_o_stages() const {
    int count = q_stages();
    while (count > 1 && bytes_with(count, ds_stages()) > most_bytes) count--;
    return count;
  }
  /// Whether Q is free before dO: with one stage of that, or a third one of Q.
  SA_ANYWHERE constexpr bool loads_q_first() const { return d_o_stages() == 1 || q_stages() > 2; }
  /// sum_rows of dQ go to memory in so many parts: for want of shared memory, of 64 columns at most
  /// where roles are shared, and of whole chunks.
  SA_ANYWHERE constexpr int dq_parts() const {
    int chunks = padded_columns(head_dim) / chunk_columns(head_dim), parts = 1;
    while (by_role() && (chunks % parts != 0 || padded_columns(head_dim) > 64 * parts)) parts++;
    return parts;
  }

  SA_ANYWHERE constexpr int k_bytes() const { return tile_bytes(tile_kv(), head_dim); }
  SA_ANYWHERE constexpr int v_bytes() const { return tile_bytes(tile_kv(), value_head_dim); }
  SA_ANYWHERE constexpr int q_bytes() const { return tile_bytes(tile_q, head_dim); }
  SA_ANYWHERE constexpr int d_o_bytes() const { return tile_bytes(tile_q, value_head_dim); }
  SA_ANYWHERE constexpr int ds_bytes() const { return tile_q * tile_kv() * element_bytes; }
  /// P times the slope of the score, from one role to the other.
  SA_ANYWHERE constexpr int weights_bytes() const { return by_role() ? ds_bytes() : 0; }
  SA_ANYWHERE constexpr int statistic_bytes() const { return tile_q * 4; }
  /// Of a part of dQ: floats, and their bytes.
  SA_ANYWHERE constexpr int dq_elements() const {
    return sum_rows * padded_columns(head_dim, element_bytes) / dq_parts();
  }
  SA_ANYWHERE constexpr int dq_bytes() const { return dq_elements() * 4; }
  /// Parts of dQ of a visit.
  SA_ANYWHERE constexpr int visit_parts() const { return tile_q / sum_rows * dq_parts(); }

  SA_ANYWHERE static constexpr int k_offset() { return 0; }
  SA_ANYWHERE constexpr int v_offset() const { return k_bytes(); }
  SA_ANYWHERE constexpr int q_offset() const { return v_offset() + v_bytes(); }
  SA_ANYWHERE constexpr int d_o_offset() const { return q_offset() + q_stages() * q_bytes(); }
  SA_ANYWHERE constexpr int ds_offset() const { return d_o_offset() + d_o_stages() * d_o_bytes(); }
  SA_ANYWHERE constexpr int dq_offset() const { return ds_offset() + ds_stages() * ds_bytes(); }
  SA_ANYWHERE constexpr int weights_offset() const { return dq_offset() + dq_buffers * dq_bytes(); }
  SA_ANYWHERE constexpr int lse_offset() const { return weights_offset() + weights_bytes(); }
  SA_ANYWHERE constexpr int delta_offset() const {
    return lse_offset() + q_stages() * statistic_bytes();
  }
  SA_ANYWHERE constexpr int slot_offset() const {
    return delta_offset() + d_o_stages() * statistic_bytes();
  }
  SA_ANYWHERE constexpr int item_offset() const { return slot_offset() + q_stages() * 16; }
  SA_ANYWHERE constexpr int number_offset() const { return item_offset() + items * 16; }
  SA_ANYWHERE constexpr int visits_offset() const { return number_offset() + math_warps * 16; }
  SA_ANYWHERE constexpr int barrier_offset() const { return visits_offset() + 16; }
  SA_ANYWHERE constexpr int visit_offset() const { return barrier_offset() + barrier_bytes; }
  SA_ANYWHERE constexpr int turn_offset() const { return visit_offset() + visits * 16; }
  SA_ANYWHERE constexpr int sequence_offset() const { return turn_offset() + visits * 16; }
  SA_ANYWHERE constexpr int bytes() const { return sequence_offset() + sequence_bytes(); }

 private:
  // What bytes() is at most with so many stages of dO and dS.
  SA_ANYWHERE constexpr int bytes_with(int d_o_count, int ds_count) const {
    return k_bytes() + v_bytes() + q_stages() * q_bytes() + d_o_count * d_o_bytes() +
           ds_count * ds_bytes() + dq_buffers * dq_bytes() + weights_bytes() +
           2 * most_stages * statistic_bytes() +
           16 * (most_stages + 2 * visits + items + math_warps + 1) + barrier_bytes +
           sequence_bytes();
  }
  SA_ANYWHERE constexpr int sequence_bytes() const { return is_packed ? items * 16 : 0; }
  SA_ANYWHERE static constexpr int tile_bytes(int rows, int columns) {
    return rows * padded_columns(columns, element_bytes) * element_bytes;
  }
};

}  // namespace streamattn
