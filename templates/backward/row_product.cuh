// Products whose second operand is a tile of rows, of any width.
#pragma once

#include "backward/backward_params.h"
#include "parts/swizzled_tile.cuh"
#include "ptx/wgmma.cuh"

namespace streamattn {

/// D += A B in 64 rows of float, where B is k16 steps of the rows of `Tile`: one instruction, or
/// two where columns are too many for it.
template <class Element, class Tile>
struct RowProduct {
  static constexpr int columns = Tile::padded;
  static constexpr int first = product_columns(columns), rest = columns - first;
  using Sums = float[columns / 2];

  /// A in shared memory, MN-major where a_major is 1.
  template <int a_major>
  SA_DEVICE static void accumulate_ss(Sums& d, u64 a, u64 b) {
    Wgmma<Element, first>::template accumulate_ss<1, a_major>(part<first>(d, 0), a, b);
    if constexpr (rest > 0)
      Wgmma<Element, rest>::template accumulate_ss<1, a_major>(part<rest>(d, first), a,
                                                               b + rest_step);
  }

  /// A in registers.
  SA_DEVICE static void accumulate_rs(Sums& d, const u32* a, u64 b) {
    Wgmma<Element, first>::template accumulate_rs<1>(part<first>(d, 0), a, b);
    if constexpr (rest > 0)
      Wgmma<Element, rest>::template accumulate_rs<1>(part<rest>(d, first), a, b + rest_step);
  }

 private:
  // What the columns behind the first ones add to the descriptor of B.
  static constexpr u64 rest_step = first / Tile::chunk * Tile::chunk_bytes >> 4;

  template <int count>
  SA_DEVICE static auto part(Sums& d, int column) -> float (&)[count / 2] {
    return reinterpret_cast<float(&)[count / 2]>(d[column / 2]);
  }
};

}  // namespace streamattn
