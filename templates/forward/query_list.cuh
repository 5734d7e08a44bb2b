// The query tiles of sequences that differ, as one kernel lists them for another.
#pragma once

#include "parts/tile_order.cuh"
#include "ptx/shared.cuh"

namespace streamattn {

/// A work item of a sequence that has lengths of its own.
struct SequenceItem : WorkItem {
  int q_row, kv_row;  // in front of the sequence's first ones, of packed tensors
  int q_len, kv_len;  // its rows
  int q_position;     // of its first query

  /// Between warps of a block by shared memory: all but what a WorkItem has, and kv_row.
  SA_DEVICE void write_rows(u32 slot) const {
    store_shared(slot, make_int4(q_row, q_len, kv_len, q_position));
  }
  /// By the lane that leads each warp.
  SA_DEVICE void read_rows(u32 slot, bool leads_warp, int one_and_kv_row) {
    kv_row = one_and_kv_row - 1;
    int4 rows = {};
    if (leads_warp) rows = load_shared(slot);
    q_row = __shfl_sync(~0u, rows.x, 0);
    q_len = __shfl_sync(~0u, rows.y, 0);
    kv_len = __shfl_sync(~0u, rows.z, 0);
    q_position = __shfl_sync(~0u, rows.w, 0);
  }
};

/// One of so many shares of the keys of such an item.
struct ShareItem : SequenceItem {
  int shares = 1;
  int slot;  // of its results: place in the list times heads, and the head

  SA_DEVICE void write_rows(u32 to) const {
    SequenceItem::write_rows(to);
    store_shared(to + 16, make_int4(share, shares, slot, 0));
  }
  SA_DEVICE void read_rows(u32 from, bool leads_warp, int one_and_kv_row) {
    SequenceItem::read_rows(from, leads_warp, one_and_kv_row);
    int4 words = {};
    if (leads_warp) words = load_shared(from + 16);
    share = __shfl_sync(~0u, words.x, 0);
    shares = __shfl_sync(~0u, words.y, 0);
    slot = __shfl_sync(~0u, words.z, 0);
  }
};

/// The list in global memory: a count, and query tiles of all heads, or their shares of the keys.
struct QueryList {
  int4* words;

  SA_DEVICE explicit QueryList(const QueryListParams& params) : words((int4*)params.words) {}

  SA_DEVICE int count() const { return load_global(words).x; }
  SA_DEVICE void set_count(int n) const { store_global(words, make_int4(n, 0, 0, 0)); }

  SA_DEVICE void get(int i, SequenceItem& item) const { read(i, item); }
  SA_DEVICE void get(int i, ShareItem& item) const {
    u32 word = read(i, item);
    item.share = word % most_shares;
    item.shares = word / most_shares;
  }
  SA_DEVICE void set(int i, const SequenceItem& item) const { write(i, item, 0); }
  SA_DEVICE void set(int i, const ShareItem& item) const {
    write(i, item, item.share + item.shares * most_shares);
  }

 private:
  static constexpr u32 most_shares = 1 << 16;

  SA_DEVICE u32 read(int i, SequenceItem& item) const {
    int4 tile = load_global(words + 1 + 2 * i), sequence = load_global(words + 2 + 2 * i);
    item = {{tile.x, 0, tile.y, 0}, tile.z, tile.w, sequence.x, sequence.y, sequence.z};
    return sequence.w;
  }
  SA_DEVICE void write(int i, const SequenceItem& item, u32 shares) const {
    store_global(words + 1 + 2 * i, make_int4(item.q_tile, item.batch, item.q_row, item.kv_row));
    store_global(words + 2 + 2 * i,
                 make_int4(item.q_len, item.kv_len, item.q_position, int(shares)));
  }
};

/// Its items, in the order of OrderParams.
template <class Item>
struct ListOrder {
  const OrderParams& params;
  QueryList list;
  int tiles;

  SA_DEVICE ListOrder(const OrderParams& params, const QueryListParams& queries)
      : params(params), list(queries), tiles(list.count()) {}

  SA_DEVICE int first() const { return blockIdx.x; }
  SA_DEVICE int end() const { return tiles * params.heads; }
  SA_DEVICE bool done(int index) const { return index >= end(); }
  SA_DEVICE int next(int index) const { return next_item(params, index, end()); }

  SA_DEVICE Item item(int index) const {
    int section = index / (tiles * params.section_heads);
    int first_head = section * params.section_heads;
    int heads_here = min(params.section_heads, params.heads - first_head);
    int in_section = index - first_head * tiles, tile = in_section / heads_here;
    Item item;
    list.get(tile, item);
    item.head = first_head + in_section - tile * heads_here;
    if constexpr (requires { item.slot; }) item.slot = tile * params.heads + item.head;
    return item;
  }
};

}  // namespace streamattn
