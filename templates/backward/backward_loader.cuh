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

  // Where the walk is. All else is made of it each time.
  PairCursor at = {};
  int head_in_group = -1, tile = 0;
  bool more = false;  // that tile is still to be loaded

  /// To shared memory and back; the item stays there for all who read it.
  SA_DEVICE void save() const {
    store_shared(shared.leader(0), make_int4(int(at.uses), head_in_group, tile, more));
  }
  SA_DEVICE static BackwardLoader restored(const BackwardParams& params,
                                           BackwardShared<Spec> shared) {
    int4 walk = load_shared(shared.leader(0));
    return {params, shared, shared.item(), {u32(walk.x)}, walk.y, walk.z, walk.w != 0};
  }

  /// K and V, and the first visits.
  SA_DEVICE void begin() {
    shared.keep(item);
    mbarrier_arrive_expect(shared.keys_full(), Tiles::K::bytes + Tiles::V::bytes);
    int row = item.key_tile * tiling.tile_kv();
    load<typename Tiles::K>(shared.k(), params.k, shared.keys_full(), row, item.kv_head,
                            CachePolicy::evict_first);
    load<typename Tiles::V>(shared.v(), params.v, shared.keys_full(), row, item.kv_head,
                            CachePolicy::evict_first);
    more = find_next();
    if (!more) {
      QueryVisit{0, 0, -1, QueryVisit::none}.store(shared.slot(0));
      mbarrier_arrive(shared.q_ring().full);
    }
#pragma unroll 1
    for (int i = 0; i < tiling.stages; i++) load_next();
  }

  /// Loads what the next visit needs, if there is one, once its stage is free.
  SA_DEVICE void load_next() {
    if (!more) return;
    Walk here = walk();
    QueryVisit visit{tile, head(), here.previous_key_tile(),
                     here.is_masked() ? QueryVisit::masked : 0};
    int row = visit.q_tile * tiling.tile_q;
    int all_head = item.batch * params.order.kv_heads * Spec::group_size + visit.head;
    long long first = (long long)all_head * params.statistics.padded_len + row;

    // With one stage, dO is given back when the next Q is there.
    if constexpr (tiling.d_o_stages() > 1) load_d_o(row, visit.head, first);
    mbarrier_wait(shared.q_ring().empty + 8 * at.stage(), at.parity() ^ 1);
    more = find_next();
    visit.flags |= more ? 0 : QueryVisit::last;
    visit.store(shared.slot(at.stage()));
    u32 full = shared.q_ring().acquire(at, Tiles::Q::bytes + tiling.statistic_bytes());
    load<typename Tiles::Q>(shared.q(at.stage()), params.q, full, row, visit.head,
                            CachePolicy::evict_last);
    bulk_load(shared.lse(at.stage()), params.statistics.lse + first, tiling.statistic_bytes(),
              full);
    if constexpr (tiling.d_o_stages() == 1) load_d_o(row, visit.head, first);
    at.advance();
  }

 private:
  SA_DEVICE void load_d_o(int row, int head, long long first) const {
    auto d_o_at = shared.d_o_of(at);
    u32 full = shared.d_o_ring().acquire(d_o_at, Tiles::DO::bytes + tiling.statistic_bytes());
    load<typename Tiles::DO>(shared.d_o(d_o_at), params.d_o, full, row, head,
                             CachePolicy::evict_last);
    bulk_load(shared.delta(d_o_at), params.statistics.delta + first, tiling.statistic_bytes(),
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
