// Gives rows what the screen has taken from V of keys that they see: forward/flash_screen.cuh.
#pragma once

#include "forward/flash_shared.cuh"
#include "parts/finite.cuh"
#include "parts/pages.cuh"

namespace streamattn {

/// A lane of a warp that adds to rows of O of an item what is not finite in V of the keys that
/// they see, in tiles that hide keys. What it finds there in O is finite, or the same: so O is as
/// if these values had been in the products, whatever their weight.
template <class Spec>
struct FlashRestore {
  static constexpr FlashTiling tiling = Spec::tiling;
  using Element = typename Spec::Element;
  using Walk = FlashWalk<Spec>;

  const FlashParams& params;
  FlashItem<Spec> item;
  int lane;

  /// Of the tile, `count` rows from `first` on, which the warp knows to be stored. `o` has elements
  /// of V's type or floats.
  template <class Rows>
  SA_DEVICE void add_to(Rows o, int first, int count) const {
    auto walk = key_walk<Spec>(params, item, 0, tiling.tile_q);
#pragma unroll 1
    do {
      if (!walk.hides_keys(walk.visit())) continue;
      int first_key = walk.tile * tiling.tile_kv;
      int all = min(tiling.tile_kv, walk.sequence.kv_len - first_key) * vectors;
#pragma unroll 1
      for (int i = 0; i < all; i += 32) {
        bool is_clean = i + lane >= all || is_finite(walk, first_key, i + lane);
        u32 found = __reduce_or_sync(~0u, u32(!is_clean) << lane);
#pragma unroll 1
        for (; found != 0; found &= found - 1)
          add_vector(walk, first_key, i + __ffs(int(found)) - 1, o, first, count);
      }
    } while (walk.next());
  }

 private:
  static constexpr int vectors = tiling.value_head_dim / 8;  // of a key, 16 bytes each

  // Vector i of a tile; null where there is none.
  SA_DEVICE const u16* vector_at(const Walk& walk, int first_key, int i) const {
    const Strides& strides = params.v_rows.strides;
    int key = first_key + i / vectors;
    const u16* v =
        (const u16*)params.v_rows.data + kv_head_of<Spec>(item) * strides.head + i % vectors * 8;
    if constexpr (is_paged<Spec>) {
      KeyPlace at = place_in_pages(params.paged.pages, item.batch, key, walk.sequence.kv_len);
      return at.entry < 0 ? nullptr : v + at.entry * strides.batch + at.row * strides.seq;
    } else {
      return v + kv_entry_of<Spec>(item) * strides.batch +
             (first_kv_row_of<Spec>(item) + key) * strides.seq;
    }
  }

  SA_DEVICE bool is_finite(const Walk& walk, int first_key, int i) const {
    const u16* v = vector_at(walk, first_key, i);
    return !v || times_zero(Element(), load_global((const int4*)v)) == 0;
  }

  // Four lanes have a row.
  template <class Rows>
  SA_DEVICE void add_vector(const Walk& walk, int first_key, int i, Rows o, int first,
                            int count) const {
    u32 pair = load_global((const u32*)vector_at(walk, first_key, i) + lane % 4);
    u32 products = times_zero(Element(), pair);
    if (products == 0) return;
    pair &= products | 0x80008000;
    float left = unpack(Element(), u16(pair)), right = unpack(Element(), u16(pair >> 16));
    int first_query = first_query_of<Spec>(walk.sequence, item);
    int key = walk.sequence.k_position + first_key + i / vectors;
    int tile_row = item.q_tile * tiling.tile_q, column = i % vectors * 8 + lane % 4 * 2;
#pragma unroll 1
    for (int row = first + lane / 4; row < first + count; row += 8)
      if (tile_row + row < o.count &&
          walk.score.keeps(first_query + row / tiling.packed_heads, key, 0))
        add_pair(o.at(tile_row + row) + column, left, right);
  }

  // What TMA has stored is in the L2 cache, and an older value may be nearer.
  SA_DEVICE static void add_pair(u16* to, float left, float right) {
    u32 before = load_acquire((const u32*)to);
    left += unpack(Element(), u16(before));
    right += unpack(Element(), u16(before >> 16));
    store_global((u32*)to, pack(Element(), left, right));
  }
  SA_DEVICE static void add_pair(float* to, float left, float right) {
    left += __int_as_float(int(load_acquire((const u32*)to)));
    right += __int_as_float(int(load_acquire((const u32*)to + 1)));
    store_global((float2*)to, make_float2(left, right));
  }
};

}  // namespace streamattn
