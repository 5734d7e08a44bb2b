// The loading side of forward attention on Hopper: one thread that feeds the math warpgroups by
// TMA, or a warp where keys lie in pages, a box of which each lane loads.
#pragma once

#include "forward/flash_epilogue.cuh"
#include "parts/pages.cuh"

namespace streamattn {

/// The loading thread, or a lane of the loading warp.
template <class Spec>
struct FlashProducer {
  static constexpr FlashTiling tiling = Spec::tiling;
  using QTile = SwizzledTile<tiling.tile_q, tiling.head_dim, tiling.element_bytes>;
  using KTile = SwizzledTile<tiling.tile_kv, tiling.head_dim, tiling.element_bytes>;
  using VTile = SwizzledTile<tiling.tile_kv, tiling.value_head_dim, tiling.element_bytes>;

  using Item = FlashItem<Spec>;
  using Order = typename FlashItemOf<Spec>::Order;

  const FlashParams& params;
  FlashShared<Spec> shared;
  int lane;

  RingCursor<tiling.stages> kv = {};
  u32 screened = 0;  // place in the screen's queue
  u32 q_parity = 0;

  SA_DEVICE void run() {
    Order order = FlashItemOf<Spec>::order(params);
    int index = order.first();
    while ((hides_v<Spec> && index < 0) || !order.done(index)) index = load_item(order, index);
    announce({}, 0);
    if (!leads()) return;
    mbarrier_arrive(shared.q_full());
    if constexpr (has_screen<Spec>) shared.screen_queue().end(screened);
  }

 private:
  // Where O is stored over Q, the next Q has to wait for it; its first keys do not.
  static constexpr int keys_before_q = FlashEpilogue<Spec>::takes_q ? tiling.stages : 0;

  // Whether this is the thread that does what is done once.
  SA_DEVICE bool leads() const { return !is_paged<Spec> || lane == 0; }

  // Behind the last item none is drawn any more, also where some are computed again.
  SA_DEVICE int draw(const Order& order, int index) const {
    if (hides_v<Spec> && index < 0) {
      if (mbarrier_test(shared.all_watched(), 0)) return order.end();
      index = ~index;
    }
    if constexpr (!is_paged<Spec>) return order.next(index);
    int next = 0;
    if (leads()) next = order.next(index);
    return __shfl_sync(~0u, next, 0);
  }

  // What follows an item. An index from 0 on is that of one that the screen watches. Once it has
  // found something, items follow that go by way of it, ~index: those that are drawn and, behind
  // them, those that it has found something in.
  SA_DEVICE int follow(const Order& order, int next) {
    bool is_last = order.done(next);
    if (is_last && !mbarrier_test(shared.all_watched(), 0)) {
      if (leads()) push(make_int4(0, int(Screened::none), 0, 0), 0);
      mbarrier_wait(shared.all_watched(), 0);
    }
    bool found = mbarrier_test(shared.found(), 0);
    if constexpr (is_paged<Spec>) found = __any_sync(~0u, found);
    if (!found) return next;
    announce_complete();
    return is_last ? next_repeat(next) : ~next;
  }

  SA_DEVICE int next_repeat(int end) const {
    int4 repeats = load_shared(shared.repeats());
    if (repeats.x == 0) return end;
    int4 last = load_shared(shared.repeats() + 16 * repeats.x);
    if constexpr (is_paged<Spec>) __syncwarp();
    if (leads()) store_shared(shared.repeats(), make_int4(repeats.x - 1, 0, 0, 0));
    if constexpr (is_paged<Spec>) __syncwarp();
    return ~last.x;
  }

  // Loads all that the item needs and returns the next one. That is drawn as late as hides the
  // latency of the draw, so that nobody sits on an item that another block could begin.
  SA_DEVICE int load_item(Order order, int index) {
    Item item = order.item(hides_v<Spec> && index < 0 ? ~index : index);
    // In front of the loop nothing of Q is kept in registers over it, of which items of sequences
    // that differ, and tiles that hide keys, have none to spare.
    constexpr bool q_is_first = (is_ragged<Spec> || hides_v<Spec>) && keys_before_q == 0;
    if constexpr (q_is_first) load_q(item);
    auto walk = key_walk<Spec>(params, item, 0, tiling.tile_q);
    int until_q = q_is_first ? -1 : keys_before_q, next = 0;
#pragma unroll 1
    for (bool more = true; more;) {
      u32 visit = walk.visit();
      more = walk.next();
      if (!more) next = draw(order, index);
      if (until_q-- == 0) load_q(item);
      load_keys(item, visit, index);
    }
    if (until_q >= 0) load_q(item);
    if constexpr (hides_v<Spec>) return follow(order, next);
    return next;
  }

  SA_DEVICE void load_q(Item item) {
    announce(item, 1 + (is_ragged<Spec> ? first_kv_row_of<Spec>(item) : item.share));
    if (!leads()) return;
    u32 full = acquire_q(item);
    int first_row = first_q_row_of<Spec>(item) * tiling.packed_heads + item.q_tile * tiling.tile_q;
    BoxPlace at = box_place<tiling.packed_heads>(first_row, item.head);
    load<QTile>(shared.q(), params.q, full, at.row, at.plane, q_entry_of<Spec>(item),
                CachePolicy::evict_first);
  }

  SA_DEVICE u32 acquire_q(Item item) {
    if constexpr (tiling.layout.has_foreign_queries()) {
      int rows = item.q_len * tiling.packed_heads - item.q_tile * tiling.tile_q;
      if (rows < tiling.tile_q) return push(note(Screened::q, rows), QTile::bytes);
    }
    mbarrier_arrive_expect(shared.q_full(), QTile::bytes);
    return shared.q_full();
  }

  SA_DEVICE void load_keys(Item item, u32 visit, int index) {
    using Walk = FlashWalk<Spec>;
    int first_key = Walk::tile_of(visit) * tiling.tile_kv;
    int row = first_kv_row_of<Spec>(item) + first_key;
    int keys = 0;  // of the tile, where others' may follow
    bool is_cut = false;
    if constexpr (is_ragged<Spec>) {
      keys = item.kv_len - first_key;
      is_cut = keys < tiling.tile_kv;
    }
    if constexpr (is_paged<Spec>) is_cut |= params.paged.box_rows == 0;
    bool hides = hides_v<Spec> && Walk::hides_keys(visit);
    Screened v_tile = hides && index < 0 ? Screened::v : Screened::v_rows;
    if constexpr (is_paged<Spec>)
      load_pages(item, first_key, is_cut, v_tile);
    else
      load_tiles(item, row, keys, is_cut, v_tile);
    if constexpr (hides_v<Spec>) {
      if (hides && v_tile != Screened::v && leads())
        push(make_int4(kv.stage, int(Screened::watched), kv.parity, index), 0);
      else if (leads())
        mbarrier_arrive(shared.v_ring().empty_of(kv.stage));
    }
    kv.advance();
  }

  // `is_cut`: whether they have rows that are not the sequence's, or are copied.
  SA_DEVICE void load_tiles(Item item, int row, int keys, bool is_cut, Screened v_tile) {
    int kv_head = kv_head_of<Spec>(item), entry = kv_entry_of<Spec>(item);
    u32 full = is_cut ? acquire_for_screen(shared.k_ring(), note(Screened::k, keys), KTile::bytes)
                      : shared.k_ring().acquire(kv, KTile::bytes);
    load<KTile>(shared.k(kv.stage), params.k, full, row, kv_head, entry, CachePolicy::evict_last);
    full = is_cut || v_tile == Screened::v
               ? acquire_for_screen(shared.v_ring(), note(v_tile, keys), VTile::bytes)
               : shared.v_ring().acquire(kv, VTile::bytes);
    load<VTile>(shared.v(kv.stage), params.v, full, row, kv_head, entry, CachePolicy::evict_last);
  }

  // Of a tile where keys are paged each lane has a box, or the screen copies the rows of all.
  SA_DEVICE void load_pages(Item item, int first_key, bool is_cut, Screened v_tile) {
    const PagedKeysParams& paged = params.paged;
    int row = lane * paged.box_rows;
    KeyPlace at = {-1, 0};
    if (row < tiling.tile_kv)
      at = place_in_pages(paged.pages, item.batch, first_key + row, item.kv_len);
    load_boxes<KTile>(shared.k_ring(), shared.k(kv.stage), params.k, is_cut, item, Screened::k,
                      first_key, at);
    load_boxes<VTile>(shared.v_ring(), shared.v(kv.stage), params.v,
                      is_cut || v_tile == Screened::v, item, v_tile, first_key, at);
  }

  template <class Tile>
  SA_DEVICE void load_boxes(StageRing<tiling.stages> ring, u32 to, const TensorMap& map,
                            bool by_screen, Item item, Screened tile, int first_key, KeyPlace at) {
    const PagedKeysParams& paged = params.paged;
    int kv_head = kv_head_of<Spec>(item), row = lane * paged.box_rows;
    u32 full = 0;
    if (leads()) {
      int of_all = item.batch * paged.kv_heads + kv_head;
      if (by_screen)
        full = acquire_for_screen(
            ring, make_int4(kv.stage, int(tile) + 8 * of_all, item.kv_len - first_key, first_key),
            paged.box_rows > 0 ? Tile::bytes : 0);
      else
        full = ring.acquire(kv, Tile::bytes);
    }
    __syncwarp();
    full = __shfl_sync(~0u, full, 0);
    if (paged.box_rows > 0 && row < tiling.tile_kv)
      load_box<Tile>(to, row, map, full, kv_head, at, CachePolicy::evict_last);
  }

  SA_DEVICE u32 acquire_for_screen(StageRing<tiling.stages> ring, int4 note, u32 bytes) {
    ring.wait_empty(kv);
    return push(note, bytes);
  }

  SA_DEVICE int4 note(Screened tile, int rows) const {
    return make_int4(kv.stage, int(tile), rows, 0);
  }

  // Announces a tile to the screen; returns the barrier for TMA.
  SA_DEVICE u32 push(int4 note, u32 bytes) {
    u32 landed = shared.screen_queue().push(screened, note, bytes);
    screened = screened == tiling.screen_places() - 1 ? 0 : screened + 1;
    return landed;
  }

  // Fills the slot, once every consumer warp has read Q and the slot before it.
  SA_DEVICE void announce(Item item, int more) {
    mbarrier_wait(shared.q_empty(), q_parity ^ 1);
    if (leads()) {
      store_shared(shared.slot(), make_int4(item.q_tile, item.head, item.batch, more));
      if constexpr (is_ragged<Spec>) item.write_rows(shared.sequence_slot());
    }
    q_parity ^= 1;
  }

  // The item of the slot once more, as one that is complete.
  SA_DEVICE void announce_complete() {
    mbarrier_wait(shared.q_empty(), q_parity ^ 1);
    q_parity ^= 1;
    if (!leads()) return;
    int4 slot = load_shared(shared.slot());
    store_shared(shared.slot(), make_int4(slot.x, slot.y, slot.z, -slot.w));
    mbarrier_arrive(shared.q_full());
  }

  template <class Tile>
  SA_DEVICE static void load(u32 to, const TensorMap& map, u32 barrier, int row, int plane,
                             int batch, CachePolicy policy) {
    // Unrolled, many chunks spill the producer's few registers.
#pragma unroll(Tile::chunks <= 4 ? Tile::chunks : 1)
    for (int c = 0; c < Tile::chunks; c++)
      tma_load(to + c * Tile::chunk_bytes, map, barrier, c * Tile::chunk, row, plane, batch,
               policy);
  }
};

}  // namespace streamattn
