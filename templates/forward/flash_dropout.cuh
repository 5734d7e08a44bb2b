// The weights that a warpgroup of the forward pass leaves out.
#pragma once

#include "forward/flash_shared.cuh"
#include "parts/dropout.cuh"
#include "parts/fragment.cuh"

namespace streamattn {

/// Sets what is dropped of the weights of a tile to 0: `s`, (64, tile_kv) float, is of the keys
/// from position `k` on.
template <class Spec>
struct FlashDropout {
  static constexpr FlashTiling tiling = Spec::tiling;
  static constexpr int heads = tiling.packed_heads;

  const FlashParams& params;
  WorkItem item;
  int first_query;  // position of that of row 0 of the tile
  Fragment at;

  SA_DEVICE void drop(int k, float (&s)[tiling.tile_kv / 2]) const {
    constexpr int keys = 64;  // of a word of 32 bits
#pragma unroll
    for (int first = 0; first < tiling.tile_kv; first += keys) {
      constexpr int draws_of_tail = (tiling.tile_kv % keys + 31) / 32;
      bool is_tail = first + keys > tiling.tile_kv;
      u32 dropped = k % 16 != 0 ? draw_by_pair(k + first)
                    : is_tail   ? draw<draws_of_tail>(k + first)
                                : draw<2>(k + first);
#pragma unroll
      for (int i = 0; i < keys / 2; i++) {
        // Element 4 e + 2 r + p: byte 2 (e % 2) + p of what its row draws for 16 keys.
        int bit = 16 * (i / 4 & 1) + 8 * (i & 1) + 2 * (i / 8) + (i / 2 & 1);
        if (first / 2 + i < tiling.tile_kv / 2 && dropped >> bit & 1) s[first / 2 + i] = 0;
      }
    }
  }

 private:
  SA_DEVICE int query(int r) const { return first_query + at.row(r) / heads; }
  SA_DEVICE DropoutBytes bytes(int r) const {
    return {params.dropout, item.batch, item.head * heads + at.row(r) % heads};
  }

  // The lanes of a quad draw for two rows and two groups of 16 keys at a time.
  template <int draws>
  SA_DEVICE u32 draw(int k) const {
    int r = at.lane & 1;
    DropoutBytes of_row = bytes(r);
    return shared_dropped<1, draws>(of_row, [&](int second, u32(&words)[4]) {
      of_row.draw(query(r), (k >> 4) + 2 * second + at.lane / 2 % 2, words);
    });
  }

  // Where groups of 16 keys do not begin where fragments do.
  SA_DEVICE u32 draw_by_pair(int k) const {
    u32 dropped = 0;
#pragma unroll 1
    for (int i = 0; i < 32; i++) {
      int r = i & 1, column = at.column() + 16 * (i / 2 % 4) + 8 * (i / 16) + i / 8 % 2;
      dropped |= u32(bytes(r).drops_pair(query(r), k + column)) << i;
    }
    return dropped;
  }
};

}  // namespace streamattn
