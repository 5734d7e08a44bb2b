// Products of tiles, as many of their k-steps in a statement as there can be.
#pragma once

#include "parts/swizzled_tile.cuh"
#include "ptx/wgmma.cuh"

namespace streamattn {

/// How many of the `left` k-steps a statement takes where at most so many lie equally far apart.
/// Above 128 columns statements have one step each: ptxas takes what is the same for all threads
/// out of uniform registers around longer ones.
SA_DEVICE constexpr int joined_steps(int left, int most) {
  return left >= 4 && most >= 4 ? 4 : left >= 2 && most >= 2 ? 2 : 1;
}

/// Columns of a tile by k-steps from `step` on.
template <class Tile, int step>
struct ColumnSteps {
  static constexpr int all = Tile::padded / Tile::step, in_chunk = Tile::chunk / Tile::step;
  // Whole chunks lie equally far apart, too.
  static constexpr int most = Tile::padded > 128 ? 1 : in_chunk == 1 ? all : in_chunk;
  static constexpr int joined = joined_steps(all - step, most);
  static constexpr u64 apart = Tile::column_step(1);
};

/// D = A B^T, both K-major, of equally many columns.
template <class Product, class ATile, class BTile, int step = 0, int N>
SA_DEVICE void multiply_columns(float (&d)[N], u64 a, u64 b) {
  using A = ColumnSteps<ATile, step>;
  using B = ColumnSteps<BTile, step>;
  u64 a_at = a + ATile::column_step(step), b_at = b + BTile::column_step(step);
  if constexpr (step == 0)
    Product::template multiply_ss<0, 0, A::joined, A::apart, B::apart>(d, a_at, b_at);
  else
    Product::template accumulate_ss<0, 0, A::joined, A::apart, B::apart>(d, a_at, b_at);
  if constexpr (step + A::joined < A::all)
    multiply_columns<Product, ATile, BTile, step + A::joined>(d, a, b);
}

/// The same with A in registers.
template <class Product, class BTile, int step = 0, int N>
SA_DEVICE void multiply_columns(float (&d)[N], const u32* a, u64 b) {
  using B = ColumnSteps<BTile, step>;
  u64 b_at = b + BTile::column_step(step);
  if constexpr (step == 0)
    Product::template multiply_rs<0, B::joined, B::apart>(d, a, b_at);
  else
    Product::template accumulate_rs<0, B::joined, B::apart>(d, a + 4 * step, b_at);
  if constexpr (step + B::joined < B::all)
    multiply_columns<Product, BTile, step + B::joined>(d, a, b);
}

/// D += A B, A in registers and B MN-major, its rows so many k-steps.
template <class Product, class BTile, int steps, int step = 0, int N>
SA_DEVICE void accumulate_rows(float (&d)[N], const u32* a, u64 b) {
  constexpr int joined = joined_steps(steps - step, BTile::padded > 128 ? 1 : steps);
  Product::template accumulate_rs<1, joined, BTile::row_step(1)>(d, a + 4 * step,
                                                                 b + BTile::row_step(step));
  if constexpr (step + joined < steps)
    accumulate_rows<Product, BTile, steps, step + joined>(d, a, b);
}

}  // namespace streamattn
