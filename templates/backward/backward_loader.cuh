// The loading side of a backward block: one thread that feeds the math warpgroups by TMA.
#pragma once

#include "backward/packed_tiles.cuh"
#include "backward/seen_walk.cuh"
#include "backward/sum_turns.cuh"
#include "ptx/global.cuh"
#include "ptx/tma.cuh"

namespace streamattn {

/// Whether data decide the mask, so that walks go by bits.
template <class Spec>
constexpr bool walks_by_bits = requires { Spec::walks_by_bits; };

template <class Spec, bool by_bits>
struct WalkOf {
  using Type = QueryWalk<typename Spec::Score, Spec::tiling.tile_q, Spec::tiling.tile_kv()>;
};
template <class Spec>
struct WalkOf<Spec, true> {
  using Type = SeenWalk;
};

/// The loading thread.
template <class Spec>
struct BackwardLoader {
  static constexpr BackwardTiling tiling = Spec::tiling;
  using Tiles = BackwardTiles<Spec>;
  using Score = typename Spec::Score;
  using Walk = typename WalkOf<Spec, walks_by_bits<Spec>>::Type;

  const BackwardParams& params;
  BackwardShared<Spec> shared;

  ItemCursor items = {};
  VisitCursor at = {};
  int head_in_group = 0, tile = 0;  // where the walk is
  int stop = 0;                     // the tile behind its last one

  /// Draws items: K and V of each, and then what every visit needs as soon as its stages are free.
  SA_DEVICE void run() {
#pragma unroll 1
    while (draw()) {
      begin_walk();
      bool more = find_next();
      load_keys(more);
#pragma unroll 1
      while (more) more = load_visit();
      items.advance();
    }
    shared.keys_ring().wait_empty(items);
    KeyItem{-1}.store(shared.item(items));
    mbarrier_arrive(shared.keys_ring().full);
    if (landing(0) > 0) mbarrier_arrive(landing(shared.keys_ring().full));
    for (int i = 0; i < SumTurns<Spec>::ends; i++) end_turns();
  }

 private:
  /// Not before most of the item in work is done: others may have to wait for what is drawn.
  SA_DEVICE bool draw() {
    shared.q_ring().wait_empty(shared.q_of(at));
#pragma unroll 1
    while (true) {
      int index = atomic_increment(params.order.drawn, params.order.last_draw);
      if (index >= params.order.items) return false;
      KeyItem item = key_item(params.order, index);
      if constexpr (is_packed<Spec>) {
        PackedSequence of = PackedTiles(params.key_tiles).get(item.key_tile, item);
        if (item.key_tile < 0) continue;
        of.store(shared.sequence(items));
      }
      item.store(shared.item(items));
      return true;
    }
  }

  // In front of the first tile of the item.
  SA_DEVICE void begin_walk() {
    int rows = params.sequence.q_len;
    if constexpr (is_packed<Spec>) rows = packed().q.count;
    int all = (rows + tiling.tile_q - 1) / tiling.tile_q;
    int passed = 0, count = all;
    KeyItem item = this->item();
    if (item.is_part()) {
      passed = item.piece() / params.order.cut * params.order.part_tiles;
      count = min(params.order.part_tiles, all - passed);
    }
    head_in_group = Spec::group_size - 1;
    tile = climbs() ? passed - 1 : all - passed;
    stop = climbs() ? passed + count : all - passed - count - 1;
  }

  SA_DEVICE void end_turns() {
    auto q_at = shared.q_of(at);
    shared.q_ring().wait_empty(q_at);
    SumTurn{-1}.store(shared.turn(at));
    mbarrier_arrive(shared.q_ring().full_of(q_at.stage()));
    at.advance();
  }

  SA_DEVICE KeyItem item() const { return KeyItem::load(shared.item(items)); }
  SA_DEVICE PackedSequence packed() const { return PackedSequence::load(shared.sequence(items)); }

  SA_DEVICE void load_keys(bool is_seen) const {
    auto keys = shared.keys_ring();
    keys.wait_empty(items);
    if constexpr (tiling.by_role()) shared.gradient_ring().wait_empty(items);
    KeyItem item = this->item();
    item.flags |= is_seen ? KeyItem::seen : 0;
    item.store(shared.item(items));
    u32 barrier = landing(keys.full);
    mbarrier_arrive_expect(barrier, Tiles::K::bytes + Tiles::V::bytes);
    MapRows rows = {0, item.batch};
    if constexpr (is_packed<Spec>) rows = packed().kv.in_map(params.batch.kv_len);
    int row = rows.first + item.key_tile * tiling.tile_kv();
    load<typename Tiles::K>(shared.k(), params.k, barrier, row, item.kv_head, rows.entry,
                            CachePolicy::evict_first);
    load<typename Tiles::V>(shared.v(), params.v, barrier, row, item.kv_head, rows.entry,
                            CachePolicy::evict_first);
  }

  /// Loads the visit that the walk is at. Whether there is one behind it.
  SA_DEVICE bool load_visit() {
    Walk here = walk(head_in_group);
    int batch = item().batch;
    int previous = here.previous_key_tile(), next = here.next_key_tile();
    if (climbs()) {
      int before = previous;
      previous = next;
      next = before;
    }
    QueryVisit visit{
        tile, head(), batch,
        (here.is_masked() ? QueryVisit::masked : 0) | (next < 0 ? QueryVisit::completes : 0)};
    bool more = find_next();
    visit.flags |= more ? 0 : QueryVisit::last;
    // Where the tile is in the tensors, and of the tiles that have statistics and sums.
    MapRows rows = {0, batch};
    int place = visit.q_tile, all_head = batch * params.order.kv_heads * Spec::group_size;
    if constexpr (is_packed<Spec>) {
      PackedRange q = packed().q;
      rows = q.in_map(params.batch.q_len);
      place += TilePlaces::first_of(q.first, batch, tiling.tile_q);
      all_head = 0;
    }
    all_head += visit.head;
    int row = rows.first + visit.q_tile * tiling.tile_q;
    long long first = (long long)all_head * params.statistics.padded_len + place * tiling.tile_q;

    auto q_at = shared.q_of(at);
    if constexpr (tiling.loads_q_first()) shared.q_ring().wait_empty(q_at);
    visit.store(shared.visit(at));
    int part = all_head * params.d_q_sums.tiles * tiling.dq_parts() + place * tiling.visit_parts();
    SumTurn{part, previous, item().key_tile, visit.flags}.store(shared.turn(at));
    if constexpr (!tiling.loads_q_first()) {
      load_d_o(row, visit.head, rows.entry, first);
      shared.q_ring().wait_empty(q_at);
    }
    QueryVisit::load(shared.visit(at)).store(shared.slot(q_at));
    u32 barrier = landing(shared.q_ring().full_of(q_at.stage()));
    mbarrier_arrive_expect(barrier, Tiles::Q::bytes + tiling.statistic_bytes());
    load<typename Tiles::Q>(shared.q(q_at), params.q, barrier, row, visit.head, rows.entry,
                            CachePolicy::evict_last);
    bulk_load(shared.lse(q_at), params.statistics.minus_lse + first, tiling.statistic_bytes(),
              barrier);
    // dK and dV of the item before are in all other stages of Q, and in stages of dO.
    if constexpr (!tiling.by_role()) shared.gradient_ring().wait_empty(items);
    if constexpr (tiling.loads_q_first()) load_d_o(row, visit.head, rows.entry, first);
    at.advance();
    return more;
  }

  SA_DEVICE void load_d_o(int row, int head, int entry, long long first) const {
    auto d_o_at = shared.d_o_of(at);
    shared.d_o_ring().wait_empty(d_o_at);
    u32 barrier = landing(shared.d_o_ring().full_of(d_o_at.stage()));
    mbarrier_arrive_expect(barrier, Tiles::DO::bytes + tiling.statistic_bytes());
    load<typename Tiles::DO>(shared.d_o(d_o_at), params.d_o, barrier, row, head, entry,
                             CachePolicy::evict_last);
    bulk_load(shared.delta(d_o_at), params.statistics.minus_delta + first, tiling.statistic_bytes(),
              barrier);
  }

  // The barrier of operands that this one announces, once they have landed: where OperandCleaner
  // is between, another.
  SA_DEVICE u32 landing(u32 full) const {
    if constexpr (watches<Spec>) return full + params.watch.landed;
    return full;
  }

  SA_DEVICE bool climbs() const { return item().flags & KeyItem::climbs; }

  SA_DEVICE int head() const { return item().kv_head * Spec::group_size + head_in_group; }

  // `tiles` query tiles at once, those of the walk's direction.
  SA_DEVICE Walk walk(int in_group, int tiles = 1) const {
    KeyItem item = this->item();
    WorkItem query{0, item.kv_head * Spec::group_size + in_group, item.batch, 0};
    int first = climbs() ? tile : max(tile + 1 - tiles, 0);
    if constexpr (walks_by_bits<Spec>) {
      return {params.seen, query, item.key_tile, first, tiles};
    } else {
      Sequence sequence(params.sequence, query);
      if constexpr (is_packed<Spec>) sequence = packed().positions(params.batch);
      return {sequence, policy_of<Spec, Score>(params.score, query, sequence), item.key_tile, first,
              tiles};
    }
  }

  // Tiles from the last to the first, of all heads of the group before the next one: blocks of
  // neighbouring keys then see the same queries at a time, and their turns at these come in order.
  SA_DEVICE bool find_next() {
#pragma unroll 1
    do {
      if (++head_in_group < Spec::group_size) continue;
      head_in_group = 0;
      if (!find_tile()) return false;
    } while (Spec::group_size > 1 && !walk(head_in_group).sees());
    return true;
  }

  // The next tile of which some head of the group sees keys. What none sees is passed over in
  // strides that double, and that halve again where there may be one.
  SA_DEVICE bool find_tile() {
    int passed = 1;
    bool grows = true;
#pragma unroll 1
    for (int tiles = 1;;) {
      tile += climbs() ? passed : -passed;
      if (climbs() ? tile >= stop : tile <= stop) return false;
      bool seen = group_sees(tiles);
      if (seen && tiles == 1) return true;
      grows = !seen && (grows || tiles == 1);
      passed = seen ? 0 : tiles;
      tiles = grows ? 2 * tiles : max(tiles / 2, 1);
    }
  }

  SA_DEVICE bool group_sees(int tiles) const {
    bool seen = false;
#pragma unroll 1
    for (int i = 0; i < Spec::group_size && !seen; i++) seen = walk(i, tiles).sees();
    return seen;
  }

  template <class Tile>
  SA_DEVICE void load(u32 to, const TensorMap& map, u32 barrier, int row, int head, int entry,
                      CachePolicy policy) const {
#pragma unroll(Tile::chunks <= 4 ? Tile::chunks : 1)
    for (int c = 0; c < Tile::chunks; c++)
      tma_load(to + c * Tile::chunk_bytes, map, barrier, c * Tile::chunk, row, head, entry, policy);
  }
};

}  // namespace streamattn
