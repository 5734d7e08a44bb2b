// The elements of accumulator tiles that a thread holds.
#pragma once

#include "ptx/math.cuh"

namespace streamattn {

/// Place of a thread among the accumulators of the math warpgroups, each (64, N) of the block's
/// tile (ptx/wgmma.cuh). A thread holds two of its warpgroup's rows, eight apart, and of these two
/// neighbouring columns in every eight; the four lanes of a quad share the rows.
struct Fragment {
  int warpgroup;  // among the math warpgroups
  int warp;       // of the warpgroup
  int lane;

  SA_DEVICE int first_row() const { return warpgroup * 64; }
  /// Row in the tile of the thread's row r.
  SA_DEVICE int row(int r) const { return first_row() + warp * 16 + lane / 4 + 8 * r; }
  /// Column of the thread's first element.
  SA_DEVICE int column() const { return 2 * (lane % 4); }

  /// Row and byte column in 16 columns of 16 bits that the thread addresses for ldmatrix and
  /// stmatrix, so that their registers are those of a k16 step.
  SA_DEVICE int matrix_row() const { return first_row() + warp * 16 + lane % 16; }
  SA_DEVICE int matrix_byte_column() const { return lane / 16 * 16; }

  SA_DEVICE bool leads_quad() const { return lane % 4 == 0; }
  SA_DEVICE bool leads_warp() const { return lane == 0; }
  SA_DEVICE bool leads_warpgroup() const { return warp == 0 && lane == 0; }
};

/// Calls f(r, column, value) for every element of `tile`: the thread's row r, and so many columns
/// behind its first.
template <class T, int N, class F>
SA_DEVICE void for_each(T (&tile)[N], F f) {
#pragma unroll
  for (int i = 0; i < N; i++) f(i / 2 % 2, 8 * (i / 4) + i % 2, tile[i]);
}

/// Calls f(r, column, left, right) for every two neighbouring columns of `tile`.
template <class T, int N, class F>
SA_DEVICE void for_each_pair(T (&tile)[N], F f) {
#pragma unroll
  for (int i = 0; i < N; i += 2) f(i / 2 % 2, 8 * (i / 4), tile[i], tile[i + 1]);
}

/// Multiplies the two rows of a tile.
template <int N>
SA_DEVICE void scale_rows(float (&tile)[N], const float (&factor)[2]) {
  for_each(tile, [&](int r, int, float& x) { x *= factor[r]; });
}

/// A tile in 16 bits, as matrix instructions take A: four registers a k16 step.
template <class Element, int N>
SA_DEVICE void pack_tile(const float (&tile)[N], u32 (&packed)[N / 2]) {
#pragma unroll
  for (int i = 0; i < N / 2; i++) packed[i] = pack(Element(), tile[2 * i], tile[2 * i + 1]);
}

/// The same of one k16 step, its rows times a factor.
template <class Element, int N>
SA_DEVICE void pack_step(const float (&tile)[N], int step, const float (&factor)[2],
                         u32 (&packed)[4]) {
#pragma unroll
  for (int i = 0; i < 4; i++) {
    const float* x = tile + 8 * step + 2 * i;
    packed[i] = pack(Element(), x[0] * factor[i % 2], x[1] * factor[i % 2]);
  }
}

}  // namespace streamattn
