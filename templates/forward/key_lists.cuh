// Lists the key tiles that the queries of a tile see, for masks that data decide: what kernels that
// walk lists run behind.
#pragma once

#include "parts/key_list.cuh"
#include "ptx/shared.cuh"

namespace streamattn {

/// [low, high] of integers.
struct Interval {
  int low, high;
};

/// What the kernels ask of their Spec: Score, a score policy; tile_q and tile_kv; and Tiles,
/// written by the compiler, an object that is built as a score policy is and has
///
///   row_values, key_values       how many integers that depend on a query alone, or on a key
///   alone,
///                                the mask is computed from
///   row_value(i, q)              the i-th of a query
///   key_value(i, k)              the i-th of a key
///   can_see(q, k, rows, keys)    false where surely no query of [q.begin, q.end) sees a key of
///                                [k.begin, k.end), whose values lie in rows[i] and keys[i]
///   sees_all(q, k, rows, keys)   true where surely all of them see all
///   exact                        whether elements tell more than values do
template <class Spec>
struct Listing {
  using Tiles = typename Spec::Tiles;
  using Score = typename Spec::Score;
  static constexpr int row_values = Tiles::row_values, key_values = Tiles::key_values;
  static constexpr int warps = Spec::threads / 32;
  static constexpr int slice = 64, slices = Spec::tile_q / slice;  // rows of a warpgroup

  const ListingParams& params;

  SA_DEVICE int lists() const { return params.lists.batches * params.lists.heads; }
  SA_DEVICE Sequence sequence(WorkItem item) const { return {params.sequence, item}; }

  /// Batch entry and head of list n / q_tiles.
  SA_DEVICE WorkItem owner(int list) const {
    int heads = params.lists.heads;
    return {0, list % heads, list / heads, 0};
  }

  // ---- Bounds: [batches, heads, row_values * q_tiles * slices + key_values * key_tiles] intervals

  SA_DEVICE int bounds_of_list() const {
    return row_values * row_slices() + key_values * params.lists.key_tiles;
  }
  SA_DEVICE int row_slices() const { return params.lists.q_tiles * slices; }
  SA_DEVICE int* bounds(int list) const {
    return params.lists.bounds + 2ll * list * bounds_of_list();
  }

  /// Bounds of values over tiles, a warp for each.
  SA_DEVICE void write_bounds() const {
    int n = lists() * bounds_of_list(), lane = threadIdx.x % 32;
    for (int i = blockIdx.x * warps + threadIdx.x / 32; i < n; i += gridDim.x * warps) {
      int list = i / bounds_of_list(), place = i - list * bounds_of_list();
      Interval found = bound(owner(list), place, lane);
      if (lane == 0) {
        store_global(bounds(list) + 2 * place, found.low);
        store_global(bounds(list) + 2 * place + 1, found.high);
      }
    }
  }

  SA_DEVICE Interval bound(WorkItem item, int place, int lane) const {
    Sequence seq = sequence(item);
    Tiles values(params.score, item, seq);
    int rows = row_values * row_slices();
    bool is_row = place < rows;
    int tiles = is_row ? row_slices() : params.lists.key_tiles;
    int of_kind = is_row ? place : place - rows, value = of_kind / tiles;
    int tile = of_kind - value * tiles;
    int size = is_row ? slice : Spec::tile_kv;
    int begin = tile * size, end = min(begin + size, is_row ? seq.q_len : seq.kv_len);
    Interval found = {0x7fffffff, -0x7fffffff - 1};
    for (int at = begin + lane; at < end; at += 32) {
      int x = is_row ? values.row_value(value, seq.q_position + at)
                     : values.key_value(value, seq.k_position + at);
      found = {min(found.low, x), max(found.high, x)};
    }
#pragma unroll
    for (int lanes = 16; lanes > 0; lanes /= 2)
      found = {min(found.low, __shfl_xor_sync(~0u, found.low, lanes)),
               max(found.high, __shfl_xor_sync(~0u, found.high, lanes))};
    return found;
  }

  // ---- What is seen of a tile

  /// What the queries of a slice of the item's tile see of a key tile, which may be no tile: warps
  /// ask together.
  SA_DEVICE TileKind kind(WorkItem item, int part, int list, int tile) const {
    bool exists = tile >= 0 && tile < params.lists.key_tiles;
    TileKind kind = exists ? kind_by_bounds(item, part, list, tile) : TileKind::none;
    if (Tiles::exact) kind = kind_by_elements(item, part, tile, kind);
    return kind;
  }

  SA_DEVICE Span queries(const Sequence& seq, WorkItem item, int part) const {
    int first = item.q_tile * Spec::tile_q + part * slice;
    return seq.queries(first, first + slice);
  }

  // ---- Lists, a block for each

  SA_DEVICE void write_lists() const {
    int n = lists() * params.lists.q_tiles;
    for (int i = blockIdx.x; i < n; i += gridDim.x) {
      int list = i / params.lists.q_tiles;
      WorkItem item = owner(list);
      item.q_tile = i - list * params.lists.q_tiles;
      write_list(item, list);
    }
  }

 private:
  // Threads take neighbouring tiles, the first the last one, chunk by chunk.
  SA_DEVICE void write_list(WorkItem item, int list) const {
    int* to = (int*)key_list(params.lists, item);
    int count = 0;
    for (int end = params.lists.key_tiles; end > 0; end -= Spec::threads) {
      int tile = end - 1 - int(threadIdx.x);
      u32 kinds = 0;
#pragma unroll 1
      for (int i = 0; i < slices; i++) kinds |= u32(kind(item, i, list, tile)) << 2 * i;
      int total, place = count + places_in_front(kinds != 0, total);
      if (kinds != 0) store_global((u32*)to + 1 + place, ListEntry::of(tile, kinds).bits);
      count += total;
    }
    if (threadIdx.x != 0) return;
    store_global(to, count);
  }

  // How many threads before this one keep a tile, and how many of the block do.
  SA_DEVICE int places_in_front(bool keeps, int& total) const {
    extern __shared__ __align__(16) unsigned char memory[];
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, up_to_here = keeps;
#pragma unroll
    for (int lanes = 1; lanes < 32; lanes *= 2) {
      int before = __shfl_sync(~0u, up_to_here, max(lane - lanes, 0));
      if (lane >= lanes) up_to_here += before;
    }
    u32 counts = shared_address(memory);
    if (lane == 31) store_shared(counts + 16 * warp, make_int4(up_to_here, 0, 0, 0));
    __syncthreads();
    int in_front = up_to_here - keeps;
    total = 0;
#pragma unroll
    for (int i = 0; i < warps; i++) {
      int here = load_shared(counts + 16 * i).x;
      if (i < warp) in_front += here;
      total += here;
    }
    __syncthreads();
    return in_front;
  }

  // Those that exist.
  SA_DEVICE Span keys(const Sequence& seq, int tile) const {
    return {seq.k_position + tile * Spec::tile_kv,
            seq.k_position + min((tile + 1) * Spec::tile_kv, seq.kv_len)};
  }
  // A tile that has keys which do not exist is not full.
  SA_DEVICE bool is_whole(const Sequence& seq, int tile) const {
    return (tile + 1) * Spec::tile_kv <= seq.kv_len;
  }

  SA_DEVICE TileKind kind_by_bounds(WorkItem item, int part, int list, int tile) const {
    Sequence seq = sequence(item);
    Tiles values(params.score, item, seq);
    Span q = queries(seq, item, part), k = keys(seq, tile);
    if (q.empty()) return TileKind::none;
    const int* from = bounds(list);
    Interval row_bounds[row_values + 1], key_bounds[key_values + 1];  // none has no array
#pragma unroll
    for (int i = 0; i < row_values; i++) {
      const int* at = from + 2 * (i * row_slices() + item.q_tile * slices + part);
      row_bounds[i] = {load_global(at), load_global(at + 1)};
    }
    from += 2 * row_values * row_slices();
#pragma unroll
    for (int i = 0; i < key_values; i++) {
      const int* at = from + 2 * (i * params.lists.key_tiles + tile);
      key_bounds[i] = {load_global(at), load_global(at + 1)};
    }
    if (!values.can_see(q, k, row_bounds, key_bounds)) return TileKind::none;
    return is_whole(seq, tile) && values.sees_all(q, k, row_bounds, key_bounds) ? TileKind::full
                                                                                : TileKind::partial;
  }

  // Warps look together at the elements of those tiles of theirs that bounds leave open, until they
  // have found both a key that is seen and one that is not.
  SA_DEVICE TileKind kind_by_elements(WorkItem item, int part, int tile, TileKind kind) const {
    Sequence seq = sequence(item);
    Score score(params.score, item, seq);
    Span q = queries(seq, item, part);
    int lane = threadIdx.x % 32;
    for (int owner = 0; owner < 32; owner++) {
      if (__shfl_sync(~0u, int(kind), owner) != int(TileKind::partial)) continue;
      int at = __shfl_sync(~0u, tile, owner);
      Span k = keys(seq, at);
      bool some = false, all = true;
      for (int row = q.begin; row < q.end && (!some || all); row++) {
        bool seen = false, hidden = false;
        for (int key = k.begin + lane; key < k.end; key += 32) {
          bool keep = score.keeps(row, key, 0);
          seen = seen || keep;
          hidden = hidden || !keep;
        }
        some = some || __any_sync(~0u, seen);
        all = all && !__any_sync(~0u, hidden);
      }
      if (lane == owner)
        kind = !some                      ? TileKind::none
               : all && is_whole(seq, at) ? TileKind::full
                                          : TileKind::partial;
    }
    return kind;
  }
};

/// The kernels. The second one, and what walks its lists, may be launched as programmatic
/// dependents of the one before.
template <class Spec>
SA_DEVICE void tile_bounds(const ListingParams& params) {
  Listing<Spec>{params}.write_bounds();
}
template <class Spec>
SA_DEVICE void key_lists(const ListingParams& params) {
  dependency_wait();
  Listing<Spec>{params}.write_lists();
}

}  // namespace streamattn
