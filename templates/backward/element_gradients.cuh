// Gradients of the elements that a score takes of a named tensor. P and dP are computed anew.
#pragma once

#include "backward/dropped_weights.cuh"
#include "backward/element_sums.cuh"
#include "parts/fragment.cuh"
#include "parts/query_walk.cuh"
#include "parts/row_statistics.cuh"
#include "parts/swizzled_tile.cuh"
#include "ptx/barrier.cuh"
#include "ptx/bulk.cuh"
#include "ptx/tma.cuh"
#include "ptx/warpgroup.cuh"
#include "ptx/wgmma.cuh"

namespace streamattn {

/// What element_gradients asks of its Spec: Element, the type of Q; Score, a score policy of the
/// backward pass; group_size; ElementOwners owners; ElementTiling tiling. Of Score also
/// element_count; is_uniform(n), whether element n is the same for all pairs of a head; place and
/// derivative as for sinks, of pairs: element_place(n, tensor, q, k, column) and
/// element_slope(n, s, q, k, column).
///
/// A block is a warpgroup that goes over its query tiles and the key tiles that these see, 64 keys
/// of rows times 64 queries of columns each. One after the other: what is loaded, multiplied and
/// added up never overlaps, several blocks of a multiprocessor do.
template <class Spec>
struct ElementGradients {
  static constexpr ElementTiling tiling = Spec::tiling;
  static constexpr int tile = tiling.tile;
  using Score = typename Spec::Score;
  using Walk = QueryWalk<Score, tile, tile>;
  using Rows = SwizzledTile<tile, tiling.head_dim, tiling.element_bytes>;          // of Q and K
  using Values = SwizzledTile<tile, tiling.value_head_dim, tiling.element_bytes>;  // of dO and V
  using Product = Wgmma<typename Spec::Element, tile>;
  // Elements of different keys differ, so that warps need not take turns.
  static constexpr bool warps_differ = Spec::owners.key;
  static constexpr bool pairs_differ =
      Spec::owners.key && Spec::owners.query && Score::element_count == 1;

  const ElementParams& params;
  u32 base;  // of shared memory, 1024-byte aligned
  Fragment at;
  ElementOrder<Spec> order;
  u32 q_uses = 0, k_uses = 0;  // of the barriers
  float s[tile / 2];           // (64, 64) float: products
  float d[tile / 2];           // (64, 64) float: dP, then the derivative by the score

  SA_DEVICE void run() {
    if (threadIdx.x == 0) {
      mbarrier_init(queries_full(), 1);
      mbarrier_init(keys_full(), 1);
      fence_mbarrier_init();
    }
    __syncthreads();
#pragma unroll 1
    for (long long i = order.begin; i < order.end; i++) visit(order.item(i));
  }

 private:
  SA_DEVICE u32 queries_full() const { return base + tiling.barrier_offset(); }
  SA_DEVICE u32 keys_full() const { return queries_full() + 8; }

  /// A query tile of one head, with all key tiles that it sees.
  SA_DEVICE void visit(WorkItem item) {
    ItemRows rows = rows_of_item<Spec>(params.sequence, params.batch, params.statistics,
                                       params.sums.counts.heads, item);
    const Sequence& sequence = rows.sequence;
    if (is_packed<Spec> && item.q_tile * tile >= sequence.q_len) return;
    Score score = policy_of<Spec, Score>(params.score, item, sequence);
    float totals[Score::element_count] = {};
    __syncthreads();  // all are through with the queries before
    load_queries(item, rows);
#pragma unroll 1
    for (int key_tile = 0; key_tile < params.key_tiles; key_tile++) {
      Walk walk{sequence, score, key_tile, item.q_tile};
      if (is_packed<Spec> && key_tile * tile >= sequence.kv_len) break;
      if (!walk.sees()) continue;
      load_keys(item, rows, key_tile);
      multiply();
      differentiate(walk, item);
      add(walk, totals);
      __syncthreads();
    }
    finish(score, totals);
  }

  // ---- Operands

  SA_DEVICE void load_queries(WorkItem item, const ItemRows& rows) {
    int row = rows.q.first + item.q_tile * tile;
    long long first = rows.statistics + item.q_tile * tile;
    if (threadIdx.x == 0) {
      mbarrier_arrive_expect(queries_full(),
                             Rows::bytes + Values::bytes + 2 * tiling.statistic_bytes);
      load<Rows>(tiling.q_offset(), params.q, queries_full(), row, item.head, rows.q.entry);
      load<Values>(tiling.d_o_offset(), params.d_o, queries_full(), row, item.head, rows.q.entry);
      bulk_load(base + tiling.lse_offset(), params.statistics.minus_lse + first,
                tiling.statistic_bytes, queries_full());
      bulk_load(base + tiling.delta_offset(), params.statistics.minus_delta + first,
                tiling.statistic_bytes, queries_full());
    }
    __syncwarp();
    mbarrier_wait(queries_full(), q_uses++ & 1);
  }

  SA_DEVICE void load_keys(WorkItem item, const ItemRows& rows, int key_tile) {
    int row = rows.kv.first + key_tile * tile, head = item.head / Spec::group_size;
    if (threadIdx.x == 0) {
      mbarrier_arrive_expect(keys_full(), Rows::bytes + Values::bytes);
      load<Rows>(tiling.k_offset(), params.k, keys_full(), row, head, rows.kv.entry);
      load<Values>(tiling.v_offset(), params.v, keys_full(), row, head, rows.kv.entry);
    }
    __syncwarp();
    mbarrier_wait(keys_full(), k_uses++ & 1);
  }

  template <class Tile>
  SA_DEVICE void load(int to, const TensorMap& map, u32 barrier, int row, int head,
                      int entry) const {
#pragma unroll 1
    for (int c = 0; c < Tile::chunks; c++)
      tma_load(base + to + c * Tile::chunk_bytes, map, barrier, c * Tile::chunk, row, head, entry);
  }

  SA_DEVICE void multiply() {
    wgmma_fence();
    multiply<Rows>(s, tiling.k_offset(), tiling.q_offset());
    multiply<Values>(d, tiling.v_offset(), tiling.d_o_offset());
    wgmma_commit();
    wgmma_wait<0>();
    pin(s);
    pin(d);
  }

  template <class Tile>
  SA_DEVICE void multiply(float (&to)[tile / 2], int keys, int queries) const {
    u64 a = Tile::k_major(base + keys), b = Tile::k_major(base + queries);
    Product::template multiply_ss<0>(to, a, b);
#pragma unroll
    for (int step = 1; step < Tile::padded / Tile::step; step++)
      Product::template accumulate_ss<0>(to, a + Tile::column_step(step),
                                         b + Tile::column_step(step));
  }

  // ---- Pairs

  SA_DEVICE int first_query(const Walk& walk) const {
    return walk.sequence.q_position + walk.tile * tile + at.column();
  }
  SA_DEVICE int key(const Walk& walk, int r) const { return walk.key_tile * tile + at.row(r); }

  /// From dP to P (dP - delta), and 0 where P is.
  SA_DEVICE void differentiate(const Walk& walk, WorkItem item) {
    const Score& score = walk.score;
    int q = first_query(walk);
    DroppedColumns drop;
    if constexpr (drops<Spec>) drop = dropped(walk, item);
#pragma unroll
    for (int sixteen = 0; sixteen < tile / 16; sixteen++) {
      LaneStatistics minus_lse(base + tiling.lse_offset(), sixteen, at.lane);
      LaneStatistics minus_delta(base + tiling.delta_offset(), sixteen, at.lane);
#pragma unroll
      for (int i = 0; i < 8; i++) {
        int element = 8 * sixteen + i, column = 8 * (element / 4) + i % 2;
        int row = key(walk, i / 2 % 2), k = walk.sequence.k_position + row;
        float logit = score.change(s[element], q, k, column, 0);
        float power = fmaf(logit, score.scale_log2, minus_lse.of(i));
        bool has_weight = row < walk.sequence.kv_len && minus_lse.of(i) != -infinity;
        if (!has_weight || !score.keeps(q + column, k, 0)) power = -infinity;
        float weight = exp2_approx(power);
        float of_pair = d[element] + minus_delta.of(i);
        if constexpr (drops<Spec>)
          of_pair = less_delta(params.dropout, d[element], drop.of(element), minus_delta.of(i));
        d[element] = weight == 0 ? 0 : weight * of_pair;
      }
    }
  }

  SA_DEVICE DroppedColumns dropped(const Walk& walk, WorkItem item) const {
    return {DropoutBytes(params.dropout, item.batch, item.head),
            walk.sequence.q_position + walk.tile * tile,
            walk.sequence.k_position + walk.key_tile * tile + at.warp * 16, at.lane};
  }

  // ---- Elements

  SA_DEVICE void add(const Walk& walk, float (&totals)[Score::element_count]) const {
    bool is_kept = false;
#pragma unroll
    for (int n = 0; n < Score::element_count; n++) {
      if (Score::is_uniform(n)) {
        totals[n] += total(walk, n);
      } else {
        if (!is_kept) keep();
        is_kept = true;
        add_pairs(walk, n);
      }
    }
  }

  /// What the thread's pairs give to an element that is that of all.
  SA_DEVICE float total(const Walk& walk, int n) const {
    int q = first_query(walk);
    float sum = 0;
    for_each(d, [&](int r, int column, const float& x) {
      int k = walk.sequence.k_position + key(walk, r);
      float product = s[column / 8 * 4 + 2 * r + column % 2];
      if (x != 0) sum = fmaf(x, walk.score.element_slope(n, product, q, k, column), sum);
    });
    return sum;
  }

  /// To the thread's own place in shared memory, where a loop finds them.
  SA_DEVICE void keep() const {
#pragma unroll
    for (int i = 0; i < tile / 2; i += 4) {
      store_shared(pairs(i), bits(s + i));
      store_shared(pairs(i) + tile * tile * 4, bits(d + i));
    }
  }
  SA_DEVICE u32 pairs(int i) const {
    return base + tiling.pairs_offset() + (i / 4 * tiling.threads + threadIdx.x) * 16;
  }
  SA_DEVICE static int4 bits(const float* x) {
    return make_int4(__float_as_int(x[0]), __float_as_int(x[1]), __float_as_int(x[2]),
                     __float_as_int(x[3]));
  }

  SA_DEVICE void add_pairs(const Walk& walk, int n) const {
    if constexpr (warps_differ) {
      add_pairs_of_warp(walk, n);
    } else {
#pragma unroll 1
      for (int warp = 0; warp < tiling.threads / 32; warp++) {
        if (warp == at.warp) add_pairs_of_warp(walk, n);
        __syncthreads();
      }
    }
  }

  SA_DEVICE void add_pairs_of_warp(const Walk& walk, int n) const {
#pragma unroll 1
    for (int i = 0; i < tile / 2; i += 4) {
      int4 product = load_shared(pairs(i)), x = load_shared(pairs(i) + tile * tile * 4);
      int q = first_query(walk) + 2 * i;
      add_pair(walk, n, product.x, x.x, q, 0);
      add_pair(walk, n, product.y, x.y, q + 1, 0);
      add_pair(walk, n, product.z, x.z, q, 1);
      add_pair(walk, n, product.w, x.w, q + 1, 1);
    }
  }

  SA_DEVICE void add_pair(const Walk& walk, int n, int product, int derivative, int q,
                          int r) const {
    int k = walk.sequence.k_position + key(walk, r);
    float x = __int_as_float(derivative);
    if (x != 0) x *= walk.score.element_slope(n, __int_as_float(product), q, k, 0);
    add_to_elements<pairs_differ>(order.sums,
                                  walk.score.element_place(n, params.sums.copy, q, k, 0), x);
  }

  /// What all threads have of elements that are those of all pairs: by warps, then by the first
  /// thread.
  SA_DEVICE void finish(const Score& score, const float (&totals)[Score::element_count]) const {
#pragma unroll
    for (int n = 0; n < Score::element_count; n++) {
      if (!Score::is_uniform(n)) continue;
      float total = totals[n];
#pragma unroll
      for (int other = 16; other > 0; other /= 2) total += __shfl_xor_sync(~0u, total, other);
      u32 place = base + tiling.totals_offset();
      if (at.leads_warp())
        store_shared(place + at.warp * 16, make_int4(__float_as_int(total), 0, 0, 0));
      __syncthreads();
      if (threadIdx.x == 0) {
        float sum = 0;
#pragma unroll
        for (int warp = 0; warp < tiling.threads / 32; warp++)
          sum += __int_as_float(load_shared(place + warp * 16).x);
        add_to_element(order.sums, score.element_place(n, params.sums.copy, 0, 0, 0), sum);
      }
      __syncthreads();
    }
  }
};

/// The kernel.
template <class Spec>
SA_DEVICE void element_gradients(const ElementParams& params) {
  static_assert(
      requires {
        typename Spec::Element;
        Spec::Score::element_count + Spec::group_size;
        ElementOwners(Spec::owners);
        ElementTiling(Spec::tiling);
      },
      "Spec needs types Element and Score, an int group_size, ElementOwners owners and an "
      "ElementTiling tiling");
  extern __shared__ __align__(1024) unsigned char memory[];
  Fragment at{0, int(threadIdx.x / 32), int(threadIdx.x % 32)};
  ElementGradients<Spec>{params, shared_address(memory), at, ElementOrder<Spec>(params.sums)}.run();
}

}  // namespace streamattn
