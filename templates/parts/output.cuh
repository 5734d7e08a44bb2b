// Writers of a warpgroup's 64 rows of O and LSE.
#pragma once

#include "parts/swizzled_tile.cuh"
#include "parts/tile_order.cuh"
#include "ptx/barrier.cuh"
#include "ptx/global.cuh"
#include "ptx/math.cuh"
#include "ptx/shared.cuh"
#include "ptx/tma.cuh"

namespace streamattn {

/// Place of a thread in its warpgroup's accumulators.
struct Lane {
  int warpgroup;  // among the math warpgroups
  int warp;       // of the warpgroup
  int lane;

  /// Row in the tile of the thread's elements 4 i and 4 i + 1; the next two are 8 rows below.
  SA_DEVICE int row() const { return warpgroup * 64 + warp * 16 + lane / 4; }
  /// Column of element 0.
  SA_DEVICE int column() const { return 2 * (lane % 4); }
  SA_DEVICE bool leads_warpgroup() const { return warp == 0 && lane == 0; }
};

/// LSE of the thread's two rows. One lane of each quad writes.
SA_DEVICE void store_lse(const OutputParams& output, const SequenceParams& sequence, WorkItem item,
                         Lane at, int row, const float (&lse)[2]) {
  if (!output.lse || at.lane % 4 != 0) return;
  float* base =
      output.lse + item.batch * output.lse_strides.batch + item.head * output.lse_strides.head;
#pragma unroll
  for (int r = 0; r < 2; r++)
    if (row + 8 * r < sequence.q_len)
      store_global(base + (row + 8 * r) * output.lse_strides.seq, lse[r]);
}

/// Registers times a factor of each row to global memory, in float.
template <int value_head_dim, int N>
SA_DEVICE void store_direct(const OutputParams& output, const SequenceParams& sequence,
                            WorkItem item, Lane at, int row, const float (&o)[N],
                            const float (&factor)[2]) {
  float* base = (float*)output.o + item.batch * output.o_strides.batch +
                item.head * output.o_strides.head + at.column();
#pragma unroll
  for (int r = 0; r < 2; r++) {
    if (row + 8 * r >= sequence.q_len) continue;
    float* out = base + (row + 8 * r) * output.o_strides.seq;
#pragma unroll
    for (int j = 0; j < value_head_dim / 8; j++)
      store_global((float2*)(out + 8 * j),
                   make_float2(o[4 * j + 2 * r] * factor[r], o[4 * j + 2 * r + 1] * factor[r]));
  }
}

/// `chunks` chunks of the output's columns, from chunk `first` on: registers times a factor of each
/// row to the swizzled chunks at `buffer` (shared), and from there by TMA, which clips rows and
/// columns that do not exist. The leader of the warpgroup must wait for the store to have read the
/// buffer before it is written again.
template <class Element, class Tile, int chunks, int N>
SA_DEVICE void store_tma(const OutputParams& output, WorkItem item, Lane at, int tile_row,
                         u32 buffer, int first, const float (&o)[N], const float (&factor)[2]) {
  constexpr int steps = Tile::chunk / 16;  // stmatrix columns
  int row = at.warpgroup * 64 + at.warp * 16 + at.lane % 16;
#pragma unroll
  for (int j = 0; j < chunks * steps; j++) {
    u32 chunk = buffer + j / steps * Tile::chunk_bytes;
    const float* x = o + 8 * (first * steps + j);
    store_matrix_x4(chunk + Tile::swizzled(row, j % steps * 32 + at.lane / 16 * 16),
                    pack(Element(), x[0] * factor[0], x[1] * factor[0]),
                    pack(Element(), x[2] * factor[1], x[3] * factor[1]),
                    pack(Element(), x[4] * factor[0], x[5] * factor[0]),
                    pack(Element(), x[6] * factor[1], x[7] * factor[1]));
  }
  fence_shared_to_async();
  named_barrier_sync(8 + at.warpgroup, 128);
  if (!at.leads_warpgroup()) return;
  int first_row = at.warpgroup * 64;
#pragma unroll
  for (int c = 0; c < chunks; c++)
    tma_store(output.map, buffer + c * Tile::chunk_bytes + first_row * Tile::span,
              (first + c) * Tile::chunk, tile_row + first_row, item.head, item.batch);
  tma_store_commit();
}

}  // namespace streamattn
