// The loading side of a backward block: one thread that feeds the math warpgroups by TMA.
#pragma once

#include "backward/backward_shared.cuh"
#include "ptx/bulk.cuh"
#include "ptx/tma.cuh"

namespace streamattn {

/// The loading thread.
template <class Spec>
struct BackwardLoader {
  static constexpr BackwardTiling tiling = Spec::tiling;
  using Tiles = BackwardTiles<Spec>;
  using Score = typename Spec::Score;
  using Walk = QueryWalk<Score, tiling.tile_q, tiling.tile_kv()>;

  const BackwardParams& params;
  BackwardShared<Spec> shared;
  KeyItem item;

  VisitCursor at = {};
  int head_in_group = -1, tile = 0;  // where the walk is

  /// K and V, and then what every visit needs as soon as its stages are free.
  SA_DEVICE void run() {
    mbarrier_arrive_expect(shared.keys_full(), Tiles::K::bytes + Tiles::V::bytes);
    int row = item.key_tile * tiling.tile_kv();
    load<typename Tiles::K>(shared.k(), params.k, shared.keys_full(), row, item.kv_head,
                            CachePolicy::evict_first);
    load<typename Tiles::V>(shared.v(), params.v, shared.keys_full(), row, item.kv_head,
                            CachePolicy::evict_first);
    bool more = find_next();
    if (!more) {
      QueryVisit{0, 0, -1, QueryVisit::none}.store(shared.slot(shared.q_of(at)));
      mbarrier_arrive(shared.q_ring().full);
    }
#pragma unroll 1
    while (more) more = load_visit();
  }

 private:
  /// Loads the visit that the walk is at. Whether there is one behind it.
  SA_DEVICE bool load_visit() {
    Walk here = walk();
    QueryVisit visit{tile, head(), here.previous_key_tile(),
                     here.is_masked() ? QueryVisit::masked : 0};
    int row = visit.q_tile * tiling.tile_q;
    int all_head = item.batch * params.order.kv_heads * Spec::group_size + visit.head;
    long long first = (long long)all_head * params.statistics.padded_len + row;
    bool more = find_next();
    visit.flags |= more ? 0 : QueryVisit::last;

    if constexpr (!tiling.loads_q_first()) load_d_o(row, visit.head, first);
    auto q_at = shared.q_of(at);
    shared.q_ring().wait_empty(q_at);
    visit.store(shared.slot(q_at));
    u32 full = shared.q_ring().acquire(q_at, Tiles::Q::bytes + tiling.statistic_bytes());
    load<typename Tiles::Q>(shared.q(q_at), params.q, full, row, visit.head,
                            CachePolicy::evict_last);
    bulk_load(shared.lse(q_at), params.statistics.minus_lse + first, tiling.statistic_bytes(),
              full);
    if constexpr (tiling.loads_q_first()) load_d_o(row, visit.head, first);
    at.advance();
    return more;
  }

  SA_DEVICE void load_d_o(int row, int head, long long first) const {
    auto d_o_at = shared.d_o_of(at);
    u32 full = shared.d_o_ring().acquire(d_o_at, Tiles::DO::bytes + tiling.statistic_bytes());
    load<typename Tiles::DO>(shared.d_o(d_o_at), params.d_o, full, row, head,
                             CachePolicy::evict_last);
    bulk_load(shared.delta(d_o_at), params.statistics.minus_delta + first, tiling.statistic_bytes(),
              full);
  }

  SA_DEVICE int head() const { return item.kv_head * Spec::group_size + head_in_group; }

  SA_DEVICE Walk walk() const {
    WorkItem query{0, head(), item.batch, 0};
    Sequence sequence(params.sequence, query);
    return {sequence, Score(params.score, query, sequence), item.key_tile, tile};
  }

  // The walks of all heads of the group, one after the other.
  SA_DEVICE bool find_next() {
#pragma unroll 1
    while (true) {
      if (tile > 0) {
        Walk from = walk();
        bool found = from.next();
        tile = from.tile;
        if (found) return true;
      }
      if (++head_in_group == Spec::group_size) return false;
      tile = (walk().sequence.q_len + tiling.tile_q - 1) / tiling.tile_q;
    }
  }

  template <class Tile>
  SA_DEVICE void load(u32 to, const TensorMap& map, u32 barrier, int row, int head,
                      CachePolicy policy) const {
#pragma unroll(Tile::chunks <= 4 ? Tile::chunks : 1)
    for (int c = 0; c < Tile::chunks; c++)
      tma_load(to + c * Tile::chunk_bytes, map, barrier, c * Tile::chunk, row, head, item.batch,
               policy);
  }
};

}  // namespace streamattn
