// Launch parameters of decode kernels and their layout of shared memory, which the host shares.
#pragma once

#include "params.h"

namespace streamattn {

/// Results of pieces of items, which the last block to finish an item merges. A block has at most
/// two of them: slot 2 b is the rest of an item that another block began, slot 2 b + 1 the begin of
/// one that others go on with.
struct PieceParams {
  float* o;            // [2 * blocks, fragments, 128 threads, 4], as a thread holds them
  float* stats;        // [2 * blocks, 4 warps, 3, rows]: references, sums
  unsigned* arrivals;  // [blocks, 4 warps], zero between launches: of the item that a block began
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
  int rows;    // query rows of an item: a multiple of 8
  int stages;  // K and V tiles in flight

  static constexpr int element_bytes = 2, tile_kv = 64, warps = 4;

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
  /// Behind P, which is there twice, full and empty barriers of every stage of K and V.
  SA_ANYWHERE constexpr int barrier_offset() const { return p_offset() + 2 * p_bytes(); }
  SA_ANYWHERE constexpr int bytes() const { return barrier_offset() + 8 * 4 * stages; }

 private:
  SA_ANYWHERE static constexpr int aligned(int offset) { return (offset + 1023) / 1024 * 1024; }
};

}  // namespace streamattn
