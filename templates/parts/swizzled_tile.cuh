// Tiles in shared memory, as TMA writes them and wgmma reads them.
#pragma once

#include "params.h"
#include "ptx/types.cuh"

namespace streamattn {

/// A (rows, columns) tile of elements of `element_bytes`: chunks of `chunk` columns one after
/// another, each (rows, chunk) with its rows one swizzle span apart. A chunk is one TMA box; the
/// swizzle XORs the 16-byte column with the row modulo 8 (128-byte span), 4 (64) or 2 (32), so that
/// 8 rows of one column meet all banks. The descriptors are those of PTX ISA 9.7.15.5.1.
template <int rows, int columns, int element_bytes>
struct SwizzledTile {
  static constexpr int step = k_step_bytes / element_bytes;  // columns or rows of one k-step
  static constexpr int padded = padded_columns(columns, element_bytes);
  static constexpr int chunk = chunk_columns(columns, element_bytes);
  static constexpr int chunks = padded / chunk;
  static constexpr int span = chunk * element_bytes;  // bytes of a row of a chunk
  static constexpr int chunk_bytes = rows * span;
  static constexpr int bytes = chunks * chunk_bytes;

  /// Byte offset of 16-byte column `byte_column` of a chunk's row, swizzled.
  SA_DEVICE static u32 swizzled(int row, int byte_column) {
    u32 offset = row * span + byte_column;
    return offset ^ ((offset >> 3) & (span - 16));
  }

  /// Byte offset of 16-byte column `byte_column` of a row, counted from the first of a k-step.
  SA_DEVICE static u32 place(int row, int k_step, int byte_column) {
    int in_row = k_step * k_step_bytes;
    return in_row / span * chunk_bytes + swizzled(row, in_row % span + byte_column);
  }

  /// Descriptor where the columns are the k dimension (Q, K) and tile rows are M or N.
  SA_DEVICE static u64 k_major(u32 address) { return descriptor(address, 1); }

  /// Descriptor where the columns are the N dimension (V) and tile rows are the k dimension.
  SA_DEVICE static u64 mn_major(u32 address) { return descriptor(address, chunk_bytes >> 4); }

  /// What a k-step of columns adds to a k_major descriptor.
  SA_DEVICE static constexpr u64 column_step(int k_step) {
    int in_row = k_step * k_step_bytes;
    return (in_row / span * chunk_bytes + in_row % span) >> 4;
  }

  /// What a k-step of rows adds to an mn_major descriptor.
  SA_DEVICE static constexpr u64 row_step(int k_step) { return (k_step * step * span) >> 4; }

 private:
  static constexpr u64 layout = span == 128 ? 1 : span == 64 ? 2 : 3;

  // Start address, leading and stride byte offsets, all in units of 16 bytes, and the layout.
  SA_DEVICE static u64 descriptor(u32 address, u32 leading) {
    return layout << 62 | u64(8 * span >> 4) << 32 | u64(leading) << 16 | (address & 0x3FFFF) >> 4;
  }
};

}  // namespace streamattn
