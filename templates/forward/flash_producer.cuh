// The loading side of forward attention on Hopper: one thread that feeds the math warpgroups by
// TMA.
#pragma once

#include "forward/flash_epilogue.cuh"

namespace streamattn {

/// The loading thread.
template <class Spec>
struct FlashProducer {
  static constexpr FlashTiling tiling = Spec::tiling;
  using QTile = SwizzledTile<tiling.tile_q, tiling.head_dim, tiling.element_bytes>;
  using KTile = SwizzledTile<tiling.tile_kv, tiling.head_dim, tiling.element_bytes>;
  using VTile = SwizzledTile<tiling.tile_kv, tiling.value_head_dim, tiling.element_bytes>;

  using Order = TileOrder<splits_keys<Spec>>;

  const FlashParams& params;
  FlashShared<Spec> shared;

  RingCursor<tiling.stages> kv = {};
  u32 screened = 0;  // place in the screen's queue
  u32 q_parity = 0;

  SA_DEVICE void run() {
    Order order{params.order};
    int index = order.first();
    while (!order.done(index)) index = load_item(order, index);
    announce({}, 0);
    mbarrier_arrive(shared.q_full());
    if constexpr (screens_v<Spec>) shared.screen_queue().end(screened);
  }

 private:
  // Where O is stored over Q, the next Q has to wait for it; its first keys do not.
  static constexpr int keys_before_q = FlashEpilogue<Spec>::takes_q ? tiling.stages : 0;

  // Loads all that the item needs and returns the next one. That is drawn as late as hides the
  // latency of the draw, so that nobody sits on an item that another block could begin.
  SA_DEVICE int load_item(Order order, int index) {
    WorkItem item = order.item(index);
    auto walk = key_walk<Spec>(params, item, 0, tiling.tile_q);
    int until_q = keys_before_q, next = 0;
#pragma unroll 1
    for (bool more = true; more;) {
      u32 visit = walk.visit();
      more = walk.next();
      if (!more) next = order.next(index);
      if (until_q-- == 0) load_q(item);
      load_keys(item, visit);
    }
    if (until_q >= 0) load_q(item);
    return next;
  }

  SA_DEVICE void load_q(WorkItem item) {
    announce(item, 1 + item.share);
    mbarrier_arrive_expect(shared.q_full(), QTile::bytes);
    BoxPlace at = box_place<tiling.packed_heads>(item.q_tile * tiling.tile_q, item.head);
    load<QTile>(shared.q(), params.q, shared.q_full(), at.row, at.plane, item.batch,
                CachePolicy::evict_first);
  }

  SA_DEVICE void load_keys(WorkItem item, u32 visit) {
    using Walk = FlashWalk<Spec>;
    int kv_head = kv_head_of<Spec>(item), row = Walk::tile_of(visit) * tiling.tile_kv;
    u32 full = shared.k_ring().acquire(kv, KTile::bytes);
    load<KTile>(shared.k(kv.stage), params.k, full, row, kv_head, item.batch,
                CachePolicy::evict_last);
    full = screens_v<Spec> && Walk::hides_keys(visit) ? acquire_for_screen()
                                                      : shared.v_ring().acquire(kv, VTile::bytes);
    load<VTile>(shared.v(kv.stage), params.v, full, row, kv_head, item.batch,
                CachePolicy::evict_last);
    kv.advance();
  }

  SA_DEVICE u32 acquire_for_screen() {
    shared.v_ring().wait_empty(kv);
    u32 landed = shared.screen_queue().push(screened, kv.stage, VTile::bytes);
    screened = screened == tiling.stages ? 0 : screened + 1;
    return landed;
  }

  // Fills the slot, once every consumer warp has read Q and the slot before it.
  SA_DEVICE void announce(WorkItem item, int more) {
    mbarrier_wait(shared.q_empty(), q_parity ^ 1);
    store_shared(shared.slot(), make_int4(item.q_tile, item.head, item.batch, more));
    q_parity ^= 1;
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
