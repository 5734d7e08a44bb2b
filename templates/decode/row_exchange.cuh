// Values of query rows, from warp to warp.
#pragma once

#include "decode/decode_shared.cuh"
#include "ptx/shared.cuh"

namespace streamattn {

/// Memory in which each of the four math warps leaves a float for every row, 16 bytes at a time. A
/// thread gives, and gets, those of the columns that it holds.
template <int rows>
struct RowExchange {
  static constexpr int columns = rows / 4;
  u32 base;
  int warp, lane;

  /// Values that are the same in all lanes that hold a column.
  SA_DEVICE void put(const float (&x)[columns]) const {
#pragma unroll
    for (int j = 0; j < columns / 2; j++) {
      float third = __shfl_xor_sync(~0u, x[2 * j], 1),
            fourth = __shfl_xor_sync(~0u, x[2 * j + 1], 1);
      if (lane < 4 && lane % 2 == 0)
        store_shared(place(warp, j),
                     make_int4(__float_as_int(x[2 * j]), __float_as_int(x[2 * j + 1]),
                               __float_as_int(third), __float_as_int(fourth)));
    }
  }

  /// Calls visit(c, value) for column c and each warp's value, warp by warp. Behind a barrier.
  template <class Visit>
  SA_DEVICE void for_each(Visit visit) const {
#pragma unroll
    for (int j = 0; j < columns / 2; j++) {
#pragma unroll
      for (int w = 0; w < DecodeTiling::warps; w++) {
        int4 four = load_shared(place(w, j));
        bool upper = lane % 2 != 0;
        visit(2 * j, __int_as_float(upper ? four.z : four.x));
        visit(2 * j + 1, __int_as_float(upper ? four.w : four.y));
      }
    }
  }

 private:
  SA_DEVICE u32 place(int of_warp, int eight) const {
    return base + 4 * (of_warp * rows + 8 * eight + lane % 4 / 2 * 4);
  }
};

/// Reduces over the lanes that hold the same columns: those that differ in lane / 4.
template <class Operation>
SA_DEVICE float over_keys(float x, Operation operation) {
#pragma unroll
  for (int lanes = 4; lanes < 32; lanes *= 2) x = operation(x, __shfl_xor_sync(~0u, x, lanes));
  return x;
}

}  // namespace streamattn
