// Writers of a warpgroup's 64 rows of O and LSE.
#pragma once

#include "params.h"
#include "parts/fragment.cuh"
#include "parts/named_barriers.cuh"
#include "parts/tile_order.cuh"
#include "ptx/barrier.cuh"
#include "ptx/global.cuh"
#include "ptx/shared.cuh"
#include "ptx/tma.cuh"

namespace streamattn {

/// The rows of a work item's head in a tensor in global memory.
template <class T>
struct RowsOf {
  T* first;  // null: not written
  long long stride;
  int count;

  SA_DEVICE T* at(int row) const { return first + row * stride; }
};
using OutputRows = RowsOf<float>;

/// The same where rows of so many heads follow each other.
template <int heads, class T = float>
struct PackedRows {
  T* first;
  long long stride, head_stride;
  int count;

  SA_DEVICE T* at(int row) const {
    return first + row / heads * stride + row % heads * head_stride;
  }
};

/// Where the box of a row is in a tensor map: of one head, or of `heads` together.
struct BoxPlace {
  int row, plane;
};
template <int heads>
SA_DEVICE BoxPlace box_place(int row, int head) {
  if constexpr (heads == 1) return {row, head};
  return {head * heads, row / heads};
}

/// LSE of the thread's two rows of the tile at `tile_row`. One lane of each quad writes.
template <class Rows = OutputRows>
SA_DEVICE void store_lse(Rows rows, int tile_row, Fragment at, const float (&lse)[2]) {
  if (!rows.first || !at.leads_quad()) return;
#pragma unroll
  for (int r = 0; r < 2; r++)
    if (int row = tile_row + at.row(r); row < rows.count) store_global(rows.at(row), lse[r]);
}

/// Registers times a factor of each row, in float, `columns` of them.
template <int columns, class Rows = OutputRows, int N>
SA_DEVICE void store_direct(Rows rows, int tile_row, Fragment at, const float (&o)[N],
                            const float (&factor)[2]) {
  float* out[2];
  bool exists[2];
#pragma unroll
  for (int r = 0; r < 2; r++) {
    int row = tile_row + at.row(r);
    exists[r] = row < rows.count;
    out[r] = rows.at(row) + at.column();
  }
  for_each_pair(o, [&](int r, int column, float left, float right) {
    if (column < columns && exists[r])
      store_global((float2*)(out[r] + column), make_float2(left * factor[r], right * factor[r]));
  });
}

/// The same, added to what is there.
template <int columns, int N>
SA_DEVICE void add_direct(OutputRows rows, int tile_row, Fragment at, const float (&o)[N],
                          const float (&factor)[2]) {
  for_each_pair(o, [&](int r, int column, float left, float right) {
    int row = tile_row + at.row(r);
    if (column >= columns || row >= rows.count) return;
    float2* to = (float2*)(rows.first + row * rows.stride + at.column() + column);
    float2 before = load_global(to);
    store_global(to,
                 make_float2(fmaf(left, factor[r], before.x), fmaf(right, factor[r], before.y)));
  });
}

/// `chunks` chunks of the output's columns, from chunk `first` on: registers times a factor of each
/// row to the swizzled chunks at `buffer` (shared). All of the warpgroup's rows are there behind
/// it.
template <class Element, class Tile, int chunks, int N>
SA_DEVICE void fill_chunks(Fragment at, u32 buffer, int first, const float (&o)[N],
                           const float (&factor)[2]) {
  constexpr int steps = Tile::chunk / Tile::step;
#pragma unroll
  for (int j = 0; j < chunks * steps; j++) {
    u32 packed[4];
    pack_step<Element>(o, first * steps + j, factor, packed);
    store_matrix_x4(buffer + Tile::place(at.matrix_row(), j, at.matrix_byte_column()), packed[0],
                    packed[1], packed[2], packed[3]);
  }
  fence_shared_to_async();
  named_barrier_sync(output_barrier(at.warpgroup), 128);
}

/// From there by TMA, which clips rows and columns that do not exist. The leader of the warpgroup
/// must wait for the store to have read the buffer before it is written again. Rows may be those of
/// several heads, as in PackedRows.
template <class Tile, int chunks, int heads>
SA_DEVICE void send_chunks(const TensorMap& map, WorkItem item, int tile_row, Fragment at,
                           u32 buffer, int first) {
  if (!at.leads_warpgroup()) return;
  BoxPlace place = box_place<heads>(tile_row + at.first_row(), item.head);
#pragma unroll
  for (int c = 0; c < chunks; c++)
    tma_store(map, buffer + c * Tile::chunk_bytes + at.first_row() * Tile::span,
              (first + c) * Tile::chunk, place.row, place.plane, item.batch);
  tma_store_commit();
}

/// Both.
template <class Element, class Tile, int chunks, int heads = 1, int N>
SA_DEVICE void store_tma(const TensorMap& map, WorkItem item, int tile_row, Fragment at, u32 buffer,
                         int first, const float (&o)[N], const float (&factor)[2]) {
  fill_chunks<Element, Tile, chunks>(at, buffer, first, o, factor);
  send_chunks<Tile, chunks, heads>(map, item, tile_row, at, buffer, first);
}

/// From there by all threads, 16 bytes at a time: rows that exist, of elements of 16 bits, with
/// `columns` columns.
template <class Tile, int chunks, int columns, class Rows>
SA_DEVICE void copy_chunks(Rows to, int tile_row, Fragment at, u32 buffer, int first) {
  constexpr int vectors_of_chunk = Tile::span / 16, vectors = chunks * vectors_of_chunk;  // a row
#pragma unroll 1
  for (int i = 32 * at.warp + at.lane; i < 64 * vectors; i += 128) {
    int row = at.first_row() + i / vectors, vector = i % vectors;
    int column = (first * vectors_of_chunk + vector) * 8;
    if (tile_row + row >= to.count || column >= columns) continue;
    u32 from = buffer + vector / vectors_of_chunk * Tile::chunk_bytes +
               Tile::swizzled(row, vector % vectors_of_chunk * 16);
    store_global((int4*)(to.at(tile_row + row) + column), load_shared(from));
  }
}

}  // namespace streamattn
