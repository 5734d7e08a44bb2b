// Launch parameters of decode kernels and their layout of shared memory, which the host shares.
#pragma once

#include "params.h"

namespace streamattn {

/// Results of pieces of items, which the last block to finish an item merges. A block has at most
/// two of them: slot 2 b is the rest of an item that another block began, slot 2 b + 1 the begin of
/// one that others go on with. Where blocks work in clusters, a cluster takes the place of a block,
/// and each of its blocks leaves and merges a part of the columns. Where pieces are splits, each
/// has the slot of its place in the stream, and an item counts at that of its first.
struct PieceParams {
  float* o;            // [slots, fragments, 128 threads, 4], as a thread holds them
  float* stats;        // [slots, blocks of a cluster, 4 warps, 3, rows]: references, sums
  unsigned* arrivals;  // [blocks or places, blocks of a cluster, 4 warps], zero between launches:
                       // of the item that a block began
};

/// Parameters of decode_wgmma.
struct DecodeParams {
  TensorMap k, v;               // boxes of one chunk of columns times box_rows rows
  int box_rows;                 // divides the keys of a tile; 0: pages are too small for boxes
  const void *k_data, *v_data;  // for copies row by row, where there are none
  Strides k_strides, v_strides;
  const void* q;
  Strides q_strides;
  OutputParams output;
  BatchParams batch;
  ScoreParams score;  // q_len and kv_len are those of the longest sequence
  int kv_heads;
  PieceParams pieces;
};

/// Tiles of a decode kernel and their places in shared memory, in bytes. Every tile starts on a
/// boundary of its swizzle pattern as long as the base is 1024-byte aligned.
struct DecodeTiling {
  int head_dim, value_head_dim;
  int rows;         // query rows of an item: a multiple of 8
  int stages;       // K and V tiles in flight
  int cluster = 1;  // blocks that share every piece of an item: a power of two
  int split = 0;    // tiles of a piece, from the item's last key on; 0: as many as a share has

  static constexpr int element_bytes = 2, tile_kv = 64, warps = 4;

  /// Tiles of a place in the stream that blocks share.
  SA_ANYWHERE constexpr int grain() const { return split > 0 ? split : 1; }

  /// 16 columns of V of 8 rows: what one warp merges at a time.
  static constexpr int unit_bytes = 16 * 8 * 4;
  SA_ANYWHERE constexpr int units() const { return value_head_dim / 16 * (rows / 8); }
  /// The most that a block of a cluster merges: unit u is of block u % cluster.
  SA_ANYWHERE constexpr int units_of_block() const { return (units() + cluster - 1) / cluster; }

  SA_ANYWHERE constexpr int k_bytes() const {
    return tile_kv * padded_columns(head_dim) * element_bytes;
  }
  SA_ANYWHERE constexpr int v_bytes() const {
    return tile_kv * padded_columns(value_head_dim) * element_bytes;
  }
  SA_ANYWHERE constexpr int q_bytes() const {
    return rows * padded_columns(head_dim) * element_bytes;
  }
  SA_ANYWHERE constexpr int p_bytes() const { return rows * tile_kv * element_bytes; }

  SA_ANYWHERE constexpr int k_offset() const { return 0; }
  SA_ANYWHERE constexpr int v_offset() const { return stages * k_bytes(); }
  SA_ANYWHERE constexpr int q_offset() const { return v_offset() + stages * v_bytes(); }
  SA_ANYWHERE constexpr int p_offset() const { return aligned(q_offset() + q_bytes()); }
  /// A value of every row, from every warp.
  SA_ANYWHERE constexpr int exchange_bytes() const { return warps * rows * 4; }
  /// Behind P, which is there twice, what comes from the blocks of a cluster: every block's part of
  /// this one's units, then reference and sums of every block's rows, 16 bytes a row.
  SA_ANYWHERE constexpr int received_offset() const { return p_offset() + 2 * p_bytes(); }
  SA_ANYWHERE constexpr int received_sums_offset() const {
    return received_offset() + (cluster > 1 ? units_of_block() * cluster * unit_bytes : 0);
  }
  /// Full and empty barriers of every stage of K and V, and that of what comes from the cluster.
  SA_ANYWHERE constexpr int barrier_offset() const {
    return received_sums_offset() + (cluster > 1 ? cluster * rows * 16 : 0);
  }
  SA_ANYWHERE constexpr int received_barrier_offset() const {
    return barrier_offset() + 8 * 4 * stages;
  }
  SA_ANYWHERE constexpr int bytes() const {
    return received_barrier_offset() + (cluster > 1 ? 8 : 0);
  }

 private:
  SA_ANYWHERE static constexpr int aligned(int offset) { return (offset + 1023) / 1024 * 1024; }
};

}  // namespace streamattn
