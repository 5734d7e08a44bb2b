// Keeps what is not finite in V from rows that do not see it: a weight of zero times NaN is NaN.
// And what lies behind the rows of a sequence from whatever could be told from it.
//
// Where a mask may hide keys from all queries, what lies in their V is nobody's: padding. So V of a
// tile that hides keys from some query of the block goes by way of three warps of their own, the
// screen, before the math warpgroups get it: what is not finite becomes zero, and the block is told
// once. From then on a row adds, when it is complete, what is not finite in the V of those keys of
// such tiles that it sees. Tiles that every query sees whole are not touched.
//
// Where sequences differ the rows behind one's last are others', or nobody's: in tiles of Q, K and
// V that have such rows they become zero, as TMA makes those behind a tensor's.
//
// Where keys lie in pages too small for TMA, the screen brings their tiles to shared memory itself.
#pragma once

#include "forward/flash_shared.cuh"
#include "parts/named_barriers.cuh"
#include "parts/pages.cuh"
#include "parts/swizzled_tile.cuh"
#include "ptx/async_copy.cuh"
#include "ptx/shared.cuh"

namespace streamattn {

/// For both halves of a pair: no bit where it is finite, all but the sign where it is not.
template <class Element>
SA_DEVICE u32 times_zero(Element e, u32 pair) {
  return fma_pair(e, pair, 0, 0);
}

/// A thread of the warps that screen tiles.
template <class Spec>
struct FlashScreen {
  static constexpr FlashTiling tiling = Spec::tiling;
  using Element = typename Spec::Element;
  using QTile = SwizzledTile<tiling.tile_q, tiling.head_dim, tiling.element_bytes>;
  using KTile = SwizzledTile<tiling.tile_kv, tiling.head_dim, tiling.element_bytes>;
  using VTile = SwizzledTile<tiling.tile_kv, tiling.value_head_dim, tiling.element_bytes>;

  const FlashParams& params;
  FlashShared<Spec> shared;
  int warp, lane;  // among the screen's

  SA_DEVICE void run() const {
    auto queue = shared.screen_queue();
    typename FlashShared<Spec>::ScreenQueue::Cursor at;
    bool told = false;
    for (;;) {
      int4 note = queue.wait(at);
      if (note.x < 0) return;
      if constexpr (is_paged<Spec>) {
        if (params.paged.box_rows == 0) {
          // Read again behind it, for want of registers.
          bring(note, at.stage & 1);
          note = queue.wait(at);
        }
      }
      int stage = note.x;
      if (!clears_rows(note) && !is_finite(shared.v(stage))) {
        clear(shared.v(stage));
        if (!told && lane == 0) mbarrier_arrive(shared.unclean(warp));
        told = true;
      }
      named_barrier_sync(screen_barrier, 32 * screen_warps);
      if (warp == 0 && lane == 0) mbarrier_arrive(full_of(note));
      at.advance();
    }
  }

 private:
  static constexpr int vectors = tiling.v_bytes() / 16;  // of 16 bytes
  static constexpr int step = 32 * screen_warps;

  SA_DEVICE static Screened tile_of(int4 note) {
    return Screened(is_paged<Spec> ? note.y % 4 : note.y);
  }

  // Copies a tile of K or V from its pages, and waits for what all have copied: a phase for every
  // note, which there are places for an even number of.
  SA_DEVICE void bring(int4 note, u32 parity) const {
    if (tile_of(note) == Screened::k)
      copy_pages<KTile, tiling.head_dim>(shared.k(note.x), params.paged.k, note);
    else if (tile_of(note) != Screened::q)
      copy_pages<VTile, tiling.value_head_dim>(shared.v(note.x), params.v_rows, note);
    copy_async_arrive(shared.copied());
    mbarrier_wait(shared.copied(), parity);
    fence_shared_to_async();
  }

  // Four lanes have a row, which they find, and copy it 64 bytes at a time: it takes fewer
  // registers than to hand places on between lanes.
  template <class Tile, int columns>
  SA_DEVICE void copy_pages(u32 tile, const RowsParams& rows, int4 note) const {
    constexpr int lanes = 4, parts = Tile::padded / 8;  // of 16 bytes, of a row
    int of_all = note.y / 4, sequence = of_all / params.paged.kv_heads;
    int head = of_all - sequence * params.paged.kv_heads;
#pragma unroll 1
    for (int row = (32 * warp + lane) / lanes; row < tiling.tile_kv; row += step / lanes) {
      KeyPlace at = place_in_pages(params.paged.pages, sequence, note.w + row, note.w + note.z);
      const u16* from = (const u16*)rows.data + head * rows.strides.head + lane % lanes * 8;
      if (at.entry >= 0) from += at.entry * rows.strides.batch + at.row * rows.strides.seq;
#pragma unroll 1
      for (int part = lane % lanes; part < parts; part += lanes, from += 8 * lanes) {
        bool exists = at.entry >= 0 && part * 8 < columns;
        copy_async(tile + Tile::place(row, part / 2, part % 2 * 16), from, exists);
      }
    }
  }

  // What a tile's readers wait for.
  SA_DEVICE u32 full_of(int4 note) const {
    if constexpr (is_ragged<Spec>) {
      if (tile_of(note) == Screened::q) return shared.q_full();
      if (tile_of(note) == Screened::k) return shared.k_ring().full_of(note.x);
    }
    return shared.v_ring().full_of(note.x);
  }

  // Whether rows behind a sequence's last were all that there was to clear, and now are zero.
  SA_DEVICE bool clears_rows(int4 note) const {
    if constexpr (is_ragged<Spec>) {
      Screened tile = tile_of(note);
      if (tile == Screened::q) clear_rows<QTile>(shared.q(), note.z);
      if (tile == Screened::k) clear_rows<KTile>(shared.k(note.x), note.z);
      if (tile == Screened::v_rows) clear_rows<VTile>(shared.v(note.x), note.z);
      return !screens_v<Spec> || tile != Screened::v;
    } else {
      return false;
    }
  }

  // Of the part of this warp.
  SA_DEVICE bool is_finite(u32 tile) const {
    u32 products = 0;
#pragma unroll 4
    for (int i = 32 * warp + lane; i < vectors; i += step) {
      int4 v = load_shared(tile + 16 * i);
      products |= times_zero(Element(), u32(v.x)) | times_zero(Element(), u32(v.y)) |
                  times_zero(Element(), u32(v.z)) | times_zero(Element(), u32(v.w));
    }
    return !__any_sync(~0u, products);
  }

  SA_DEVICE void clear(u32 tile) const {
#pragma unroll 1
    for (int i = 32 * warp + lane; i < vectors; i += step) {
      int4 v = load_shared(tile + 16 * i);
      store_shared(tile + 16 * i, make_int4(finite(v.x), finite(v.y), finite(v.z), finite(v.w)));
    }
    fence_shared_to_async();
  }

  // Rows from `first` on: they follow each other in every chunk, and a swizzle moves nothing out of
  // its row.
  template <class Tile>
  SA_DEVICE void clear_rows(u32 tile, int first) const {
    int begin = max(first, 0) * Tile::span;
#pragma unroll 1
    for (int c = 0; c < Tile::chunks; c++)
#pragma unroll 1
      for (int i = begin + 16 * (32 * warp + lane); i < Tile::chunk_bytes; i += 16 * step)
        store_shared(tile + c * Tile::chunk_bytes + i, make_int4(0, 0, 0, 0));
    fence_shared_to_async();
  }

  // The pair with zeros in the place of what is not finite.
  SA_DEVICE static int finite(int pair) {
    u32 products = times_zero(Element(), u32(pair));
    return pair & ~(products & 0xFFFF ? 0xFFFF : 0) & ~(products >> 16 ? 0xFFFF0000 : 0);
  }
};

/// Adds to the O of an item what the screen has taken from keys that the thread's rows see.
template <class Spec, int N>
SA_DEVICE void restore_not_finite(const FlashParams& params, FlashItem<Spec> item, Fragment at,
                                  float (&o)[N]) {
  using Element = typename Spec::Element;
  constexpr FlashTiling tiling = Spec::tiling;
  const Strides& strides = params.v_rows.strides;
  const u16* v =
      (const u16*)params.v_rows.data + kv_head_of<Spec>(item) * strides.head + at.column();
  if constexpr (!is_paged<Spec>)
    v += kv_entry_of<Spec>(item) * strides.batch + first_kv_row_of<Spec>(item) * strides.seq;
  auto walk = key_walk<Spec>(params, item, 0, tiling.tile_q);
  int first_row = first_query_of<Spec>(walk.sequence, item);
#pragma unroll 1
  do {
    if (!walk.hides_keys(walk.visit())) continue;
    int first_key = walk.tile * tiling.tile_kv;
    int end = min(first_key + tiling.tile_kv, walk.sequence.kv_len);
#pragma unroll 1
    for (int key = first_key; key < end; key++) {
      bool sees[2];
#pragma unroll
      for (int r = 0; r < 2; r++)
        sees[r] = walk.score.keeps(first_row + at.row(r) / tiling.packed_heads,
                                   walk.sequence.k_position + key, 0);
      const u16* row = v + key * strides.seq;
      if constexpr (is_paged<Spec>) {
        KeyPlace in_page =
            place_in_pages(params.paged.pages, item.batch, key, walk.sequence.kv_len);
        if (in_page.entry < 0) continue;
        row = v + in_page.entry * strides.batch + in_page.row * strides.seq;
      }
      for_each_pair(o, [&](int r, int column, float& left, float& right) {
        if (column >= tiling.value_head_dim) return;
        u32 pair = load_global((const u32*)(row + column));
        pair &= times_zero(Element(), pair) | 0x80008000;
        float of_left = unpack(Element(), u16(pair)), of_right = unpack(Element(), u16(pair >> 16));
        if (!sees[r]) return;
        left += of_left;
        right += of_right;
      });
    }
  } while (walk.next());
}

}  // namespace streamattn
