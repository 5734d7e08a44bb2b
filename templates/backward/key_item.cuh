// The work items of the backward pass.
#pragma once

#include "backward/backward_params.h"
#include "ptx/shared.cuh"

namespace streamattn {

/// One tile of keys of one key-value head, or a part of its queries, as its slot in shared memory
/// holds it.
struct KeyItem {
  int key_tile;  // negative: there are no more
  int kv_head, batch;
  int flags;

  /// seen: by some query tile. climbs: its walk goes from the first query tile to the last. From
  /// `piece_bit` on: 0 for all queries, else 1 + the number among items that are parts.
  static constexpr int seen = 1, climbs = 2, piece_bit = 2;

  SA_DEVICE bool is_part() const { return flags >> piece_bit != 0; }
  SA_DEVICE int piece() const { return (flags >> piece_bit) - 1; }

  SA_DEVICE static KeyItem load(u32 slot) {
    int4 found = load_shared(slot);
    return {found.x, found.y, found.z, found.w};
  }
  SA_DEVICE void store(u32 slot) const {
    store_shared(slot, make_int4(key_tile, kv_head, batch, flags));
  }
};

/// Key tile `index` of the order, with all of its queries.
SA_DEVICE KeyItem whole_item(const KeyOrderParams& order, int index) {
  int section = index / (order.section_heads * order.key_tiles);
  int first_head = section * order.section_heads;
  int heads_here = min(order.section_heads, order.all_kv_heads - first_head);
  int in_section = index - first_head * order.key_tiles;
  int key_tile = in_section / heads_here;
  int head = first_head + in_section - key_tile * heads_here;
  bool climbs = section < order.climbing_sections;
  if (climbs) key_tile = order.key_tiles - 1 - key_tile;
  int batch = head / order.kv_heads;
  return {key_tile, head - batch * order.kv_heads, batch, climbs ? KeyItem::climbs : 0};
}

/// Item `index` of the order.
SA_DEVICE KeyItem key_item(const KeyOrderParams& order, int index) {
  int piece = index - order.whole;
  if (piece < 0) return whole_item(order, index);
  KeyItem item = whole_item(order, order.whole + piece % order.cut);
  item.flags |= (piece + 1) << KeyItem::piece_bit;
  return item;
}

}  // namespace streamattn
