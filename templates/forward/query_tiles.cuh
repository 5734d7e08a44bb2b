// Lists the query tiles of a batch whose sequences differ, those that see the most keys first: what
// flash_wgmma runs behind. Lengths stand on the device, so nobody else knows how many there are.
// Where keys are split it lists shares of them.
#pragma once

#include "forward/key_shares.cuh"
#include "forward/query_list.cuh"
#include "parts/batch_sequence.cuh"
#include "parts/seen_tiles.cuh"
#include "parts/warp_sums.cuh"
#include "ptx/dependency.cuh"
#include "ptx/shared.cuh"

namespace streamattn {

/// One block. Its Spec has Score, a score policy; layout, a BatchLayout; tile_q, packed_heads and
/// tile_kv of the kernel behind it; threads; and shares_keys where that one splits keys, which may
/// be left out.
///
/// Tiles are sorted by classes of how many key tiles they, or shares of them, have, two for every
/// power of two up to 2^16. The shares of a tile are neighbours. Within a class they stay together
/// by sequence, so that neighbours read the same keys. Each warp has every so many-th sequence, and
/// a lane of it the count of a class.
template <class Spec>
struct QueryLister {
  static constexpr int warps = Spec::threads / 32, classes = 32;
  static constexpr int tile_queries = Spec::tile_q / Spec::packed_heads;
  using Rows = BatchSequence<Spec>;

  const QueryListingParams& params;
  int warp, lane;

  KeyShares<Spec> shares = {params.shares, warp, lane};
  int next = 0;  // place in the list, of class `lane`

  SA_DEVICE void run() {
    if constexpr (shares_keys<Spec>) shares.find(*this);
    for_each_tile([&](int seen, const SequenceItem&) { take_places(seen); });
    begin_classes();
    for_each_tile([&](int seen, const SequenceItem& item) {
      int place = take_places(seen);
      if (seen >= 0) list(place, item, shares_of(seen));
    });
  }

  /// Calls visit(seen, item) for the tiles of the warp's sequences, 32 at a time, with the number
  /// of key tiles that they see. Lanes without one have -1.
  template <class Visit>
  SA_DEVICE void for_each_tile(const Visit& visit) const {
    int batch = params.batch.batch;
#pragma unroll 1
    for (int first = warp; first < batch; first += 32 * warps) {
      int of_lane = first + warps * lane;
      int tiles = of_lane < batch ? tiles_of(Rows(params.batch, of_lane)) : 0;
      int until = warp_prefix_sum(tiles, lane), all = __shfl_sync(~0u, until, 31);
#pragma unroll 1
      for (int begin = 0; begin < all; begin += 32) {
        int i = begin + lane, owner = 0;
#pragma unroll
        for (int other = 0; other < 31; other++) owner += __shfl_sync(~0u, until, other) <= i;
        int end = __shfl_sync(~0u, until, owner);
        int seen = -1;
        SequenceItem item = {};
        if (i < all) seen = find(first + warps * owner, end - 1 - i, item);
        __syncwarp();
        visit(seen, item);
      }
    }
  }

 private:
  SA_DEVICE static int tiles_of(const Rows& rows) {
    return (rows.q_len + tile_queries - 1) / tile_queries;
  }

  // Key tiles that a query tile sees.
  SA_DEVICE int find(int index, int tile, SequenceItem& item) const {
    Rows rows(params.batch, index);
    item = {{tile, 0, index, 0}, rows.q_row, rows.kv_row, rows.q_len, rows.kv_len, rows.q_position};
    Span queries = rows.queries(tile * tile_queries, (tile + 1) * tile_queries);
    return SeenTiles<typename Spec::Score, Spec::tile_kv>(rows, rows.score(params.score, 0),
                                                          queries)
        .count;
  }

  SA_DEVICE int shares_of(int seen) const {
    if constexpr (shares_keys<Spec>)
      return shares.of(seen);
    else
      return 1;
  }

  // None of lanes without a tile.
  SA_DEVICE int class_of(int seen) const {
    if (seen < 0) return classes;
    int of_share = (seen + shares_of(seen) - 1) / shares_of(seen);
    // Exponent and first bit behind the point, those of 1 being 254.
    int size = (__float_as_int(float(max(of_share, 1))) >> 22) - 254;
    return max(classes - 1 - size, 0);
  }

  // Of the lane's tile: those behind all of its class so far and in lanes before.
  SA_DEVICE int take_places(int seen) {
    int of_class = class_of(seen), places = shares_of(seen);
    int place = __shfl_sync(~0u, next, of_class % classes);
#pragma unroll
    for (int i = 0; i < 32; i++) {
      int other = __shfl_sync(~0u, of_class, i);
      int of_other = shares_keys<Spec> ? __shfl_sync(~0u, places, i) : 1;
      place += i < lane && other == of_class ? of_other : 0;
      next += other == lane ? of_other : 0;
    }
    return place;
  }

  SA_DEVICE void list(int place, const SequenceItem& item, int shares) const {
    QueryList all(params.queries);
    if constexpr (shares_keys<Spec>) {
      for (int share = 0; share < shares; share++) {
        ShareItem entry = {item, shares, 0};
        entry.share = share;
        all.set(place + share, entry);
      }
    } else {
      all.set(place, item);
    }
  }

  // From counts to places: classes follow each other, and in each of them warps.
  SA_DEVICE void begin_classes() {
    extern __shared__ __align__(16) unsigned char memory[];
    u32 counts = shared_address(memory);  // (warps, classes), 16 bytes each
    store_shared(counts + 16 * (classes * warp + lane), make_int4(next, 0, 0, 0));
    __syncthreads();
    int in_front = 0, all = 0;  // of the class: of warps before this one, of all
#pragma unroll
    for (int i = 0; i < warps; i++) {
      int count = load_shared(counts + 16 * (classes * i + lane)).x;
      in_front += i < warp ? count : 0;
      all += count;
    }
    int until = warp_prefix_sum(all, lane);
    next = until - all + in_front;
    if (warp == 0 && lane == classes - 1) QueryList(params.queries).set_count(until);
  }
};

/// The kernel.
template <class Spec>
SA_DEVICE void query_tiles(const QueryListingParams& params) {
  launch_dependents();
  int warp = __shfl_sync(~0u, threadIdx.x / 32, 0), lane = threadIdx.x % 32;
  QueryLister<Spec>{params, warp, lane}.run();
}

}  // namespace streamattn
