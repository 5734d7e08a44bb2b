// Keeps what is not finite in V from rows that do not see it: a weight of zero times NaN is NaN.
// And what lies behind the rows of a sequence from whatever could be told from it.
//
// Three warps of their own, the screen, watch V of tiles that hide keys from some query of the
// block while products read it. Once they have found something, V of such tiles goes by way of
// them: what is not finite becomes zero before the math warpgroups get it, and when an item is
// stored rows get back what they see of it (forward/flash_restore.cuh). Items whose tiles were only
// watched are computed again, behind all others, where something was found in them. Tiles that
// every query sees whole are not looked at.
//
// Where sequences differ the rows behind one's last are others', or nobody's: in tiles of Q, K and
// V that have such rows they become zero, as TMA makes those behind a tensor's.
//
// Where keys lie in pages too small for TMA, the screen brings their tiles to shared memory itself.
#pragma once

#include "forward/flash_shared.cuh"
#include "parts/finite.cuh"
#include "parts/named_barriers.cuh"
#include "parts/pages.cuh"
#include "parts/swizzled_tile.cuh"
#include "ptx/async_copy.cuh"
#include "ptx/shared.cuh"

namespace streamattn {

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
  int thread;  // among the screen's

  SA_DEVICE void run() const {
    auto queue = shared.screen_queue();
    typename FlashShared<Spec>::ScreenQueue::Cursor at;
    for (;; at.advance()) {
      int4 note = queue.wait(at);
      if (note.x < 0) return;
      // Notes are read again where something long lies between, for want of registers.
      if constexpr (is_paged<Spec>) {
        if (params.paged.box_rows == 0) {
          bring(note, at.stage & 1);
          note = queue.note(at);
        }
      }
      bool found = named_barrier_any(screen_barrier, 32 * screen_warps, look_at(note));
      if (thread == 0) {
        note = queue.note(at);
        if (found) tell(note);
        mbarrier_arrive(done_with(note));
      }
      __syncwarp();
    }
  }

 private:
  static constexpr int vectors = tiling.v_bytes() / 16;  // of 16 bytes
  static constexpr int step = 32 * screen_warps;

  SA_DEVICE static Screened tile_of(int4 note) {
    return Screened(is_paged<Spec> ? note.y % 8 : note.y);
  }

  // Copies a tile of K or V from its pages, and waits for what all have copied: a phase for every
  // note, which there are places for an even number of.
  SA_DEVICE void bring(int4 note, u32 parity) const {
    if (tile_of(note) == Screened::k)
      copy_pages<KTile, tiling.head_dim>(shared.k(note.x), params.paged.k, note);
    else if (tile_of(note) == Screened::v || tile_of(note) == Screened::v_rows)
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
    int of_all = note.y / 8, sequence = of_all / params.paged.kv_heads;
    int head = of_all - sequence * params.paged.kv_heads;
#pragma unroll 1
    for (int row = thread / lanes; row < tiling.tile_kv; row += step / lanes) {
      KeyPlace at = place_in_pages(params.paged.pages, sequence, note.w + row, note.w + note.z);
      const u16* from = (const u16*)rows.data + head * rows.strides.head + thread % lanes * 8;
      if (at.entry >= 0) from += at.entry * rows.strides.batch + at.row * rows.strides.seq;
#pragma unroll 1
      for (int part = thread % lanes; part < parts; part += lanes, from += 8 * lanes) {
        bool exists = at.entry >= 0 && part * 8 < columns;
        copy_async(tile + Tile::place(row, part / 2, part % 2 * 16), from, exists);
      }
    }
  }

  // What to complete behind a tile: what its readers wait for, or, of one that they have already,
  // the producer.
  SA_DEVICE u32 done_with(int4 note) const {
    Screened tile = tile_of(note);
    if constexpr (is_ragged<Spec>) {
      if (tile == Screened::q) return shared.q_full();
      if (tile == Screened::k) return shared.k_ring().full_of(note.x);
    }
    if constexpr (hides_v<Spec>) {
      if (tile == Screened::watched) return shared.v_ring().empty_of(note.x);
      if (tile == Screened::none) return shared.all_watched();
    }
    return shared.v_ring().full_of(note.x);
  }

  // Whether this warp has found what is not finite in V. It is zero then, unless products may be
  // reading it.
  SA_DEVICE bool look_at(int4 note) const {
    Screened tile = tile_of(note);
    if constexpr (is_ragged<Spec>) {
      if (tile == Screened::q) clear_rows<QTile>(shared.q(), note.z);
      if (tile == Screened::k) clear_rows<KTile>(shared.k(note.x), note.z);
      if (tile == Screened::v_rows) clear_rows<VTile>(shared.v(note.x), note.z);
    }
    if (!hides_v<Spec>) return false;
    bool is_watched = tile == Screened::watched;
    if (is_watched) shared.v_ring().wait({u32(note.x), u32(note.z)});
    if (!(is_watched || tile == Screened::v) || is_finite(shared.v(note.x))) return false;
    if (!is_watched) clear(shared.v(note.x));
    return true;
  }

  // By one thread: the block, once, and the producer which items to repeat.
  SA_DEVICE void tell(int4 note) const {
    if (!mbarrier_test(shared.found(), 0)) mbarrier_arrive(shared.found());
    if (tile_of(note) != Screened::watched) return;
    int4 repeats = load_shared(shared.repeats());
    if (repeats.x > 0 && repeats.y == note.w) return;
    repeats = make_int4(repeats.x + 1, note.w, 0, 0);
    store_shared(shared.repeats(), repeats);
    store_shared(shared.repeats() + 16 * repeats.x, make_int4(note.w, 0, 0, 0));
  }

  // Of the part of this warp.
  SA_DEVICE bool is_finite(u32 tile) const {
    u32 products = 0;
#pragma unroll 4
    for (int i = thread; i < vectors; i += step)
      products |= times_zero(Element(), load_shared(tile + 16 * i));
    return !__any_sync(~0u, products);
  }

  SA_DEVICE void clear(u32 tile) const {
#pragma unroll 1
    for (int i = thread; i < vectors; i += step)
      store_shared(tile + 16 * i, finite_of(Element(), load_shared(tile + 16 * i)));
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
      for (int i = begin + 16 * thread; i < Tile::chunk_bytes; i += 16 * step)
        store_shared(tile + c * Tile::chunk_bytes + i, make_int4(0, 0, 0, 0));
    fence_shared_to_async();
  }
};

}  // namespace streamattn
