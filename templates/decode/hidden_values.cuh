// Keeps what is not finite in V from rows that do not see its key: a weight of zero times NaN is
// NaN.
#pragma once

#include "decode/decode_shared.cuh"
#include "decode/decode_state.cuh"
#include "parts/finite.cuh"

namespace streamattn {

/// The math warps look through a tile of V that hides keys from some row, before they multiply it.
/// What is not finite is added to the columns of O of the rows that see its key, whatever their
/// weight, and becomes zero in the tile.
template <class Spec>
struct HiddenValues {
  using Element = typename Spec::Element;
  using VTile = typename DecodeShared<Spec>::VTile;
  using State = DecodeState<Spec>;
  static constexpr int tile_kv = DecodeTiling::tile_kv;

  u32 v;  // the tile, shared
  int warp, lane;

  /// `sees(key, c)`: whether the row of the thread's column c sees that key of the tile. All math
  /// warps together.
  template <class Sees>
  SA_DEVICE void screen(State& state, Sees sees) const {
    if (!named_barrier_any(decode_barrier, decode_math_threads, has_not_finite())) return;
    add_not_finite(state, sees);
    named_barrier_sync(decode_barrier, decode_math_threads);
    clear();
    named_barrier_sync(decode_barrier, decode_math_threads);
  }

 private:
  SA_DEVICE bool has_not_finite() const {
    u32 products = 0;
#pragma unroll 4
    for (int i = threadIdx.x; i < VTile::bytes / 16; i += decode_math_threads)
      products |= times_zero(Element(), load_shared(v + 16 * i));
    return products != 0;
  }

  SA_DEVICE void clear() const {
#pragma unroll 1
    for (int i = threadIdx.x; i < VTile::bytes / 16; i += decode_math_threads)
      store_shared(v + 16 * i, finite_of(Element(), load_shared(v + 16 * i)));
    fence_shared_to_async();
  }

  template <class Sees>
  SA_DEVICE void add_not_finite(State& state, Sees sees) const {
#pragma unroll 1
    for (int key = 0; key < tile_kv; key++)
#pragma unroll
      for (int m = 0; m < State::blocks; m++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
          float x = value(key, m, half);
          if (x * 0 == 0) continue;
#pragma unroll
          for (int c = 0; c < State::columns; c++)
            if (sees(key, c)) state.o[m][4 * (c / 2) + c % 2 + 2 * half] += x;
        }
  }

  // V of a key in the column that is row `half` of the thread's in block m of O.
  SA_DEVICE float value(int key, int m, int half) const {
    int4 eight =
        load_shared(v + m * VTile::chunk_bytes + VTile::swizzled(key, 32 * warp + 16 * half));
    int row = lane / 4;
    int pair = row < 2 ? eight.x : row < 4 ? eight.y : row < 6 ? eight.z : eight.w;
    return unpack(Element(), u16(u32(pair) >> row % 2 * 16));
  }
};

}  // namespace streamattn
