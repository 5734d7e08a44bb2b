// The thread of a backward block that stores dK and dV.
#pragma once

#include "backward/backward_shared.cuh"
#include "ptx/tma.cuh"

namespace streamattn {

/// Stores what math warpgroups pass on, while they are at the next item.
template <class Spec>
struct GradientStore {
  static constexpr BackwardTiling tiling = Spec::tiling;
  using DKTile = typename BackwardTiles<Spec>::DK;
  using DVTile = typename BackwardTiles<Spec>::DV;

  const BackwardParams& params;
  BackwardShared<Spec> shared;

  SA_DEVICE void run() const {
#pragma unroll 1
    for (ItemCursor items;; items.advance()) {
      shared.keys_ring().wait(items);
      KeyItem item = KeyItem::load(shared.item(items));
      if (item.key_tile < 0) return;
      MapRows rows = {0, item.batch};
      if constexpr (is_packed<Spec>)
        rows = PackedSequence::load(shared.sequence(items)).kv.in_map(params.batch.kv_len);
      shared.keys_ring().release(items);
      shared.gradient_ring().wait(items);
      store(item, rows);
      tma_store_wait_read();
      shared.gradient_ring().release(items);
    }
  }

 private:
  SA_DEVICE void store(KeyItem item, MapRows rows) const {
    VisitCursor end = {};
    if constexpr (!tiling.by_role()) end = {u32(load_shared(shared.visits()).x)};
    bool is_part = item.is_part();
    if (is_part) item = {item.piece(), 0, 0, item.flags}, rows = {0, 0};
    const TensorMap& d_k = is_part ? params.d_k_parts : params.d_k;
    const TensorMap& d_v = is_part ? params.d_v_parts : params.d_v;
#pragma unroll 1
    for (int w = 0; w < tiling.tile_kv() / 64; w++) {
      int row = rows.first + item.key_tile * tiling.tile_kv() + 64 * w;
      if (!params.d_k_direct.data)
        store<DKTile>(d_k, shared.d_k(end, w), row, item.kv_head, rows.entry);
      if (!params.d_v_direct.data)
        store<DVTile>(d_v, shared.d_v(end, w), row, item.kv_head, rows.entry);
    }
    tma_store_commit();
  }

  template <class Tile>
  SA_DEVICE static void store(const TensorMap& map, u32 from, int row, int head, int entry) {
#pragma unroll
    for (int c = 0; c < Tile::chunks; c++)
      tma_store(map, from + c * Tile::chunk_bytes, c * Tile::chunk, row, head, entry);
  }
};

}  // namespace streamattn
