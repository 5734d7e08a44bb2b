// What the backward pass needs of every row of queries beforehand: the sum of dO * O and the LSE.
// Reads O and dO once.
#pragma once

#include "backward/packed_tiles.cuh"
#include "parts/row_statistics.cuh"
#include "ptx/global.cuh"

namespace streamattn {

/// What row_sums asks of its Spec: Element, the type of O and dO; columns of them; threads of a
/// block; of packed sequences their layout, and tile_q and tile_kv, the rows of a tile of theirs.
template <class Spec>
struct RowSums {
  static constexpr int width = 8;  // columns of a thread, 16 bytes
  static constexpr int parts = (Spec::columns + width - 1) / width;
  static constexpr int lanes = parts <= 2    ? 2
                               : parts <= 4  ? 4
                               : parts <= 8  ? 8
                               : parts <= 16 ? 16
                                             : 32;  // of a row
  static constexpr float log2_e = 1.44269504088896f;

  static constexpr int at_a_time = Spec::threads / lanes;  // rows of a block
  static constexpr int rounds = 2;

  const RowSumParams& params;

  /// Rows in the order of memory, those of all heads of a query before the next query's: a block
  /// has so many that follow each other, lanes of a row go round together. There are less than
  /// 2^30; divisions of 64 bits would be most of the work.
  SA_DEVICE void run() const {
    u32 thread = blockIdx.x * Spec::threads + threadIdx.x;
    for (u32 i = thread; i < u32(params.counter_count); i += gridDim.x * Spec::threads)
      store_global(params.counters + i, 0u);
    u32 rows = params.all_heads * params.to.padded_len;
    PackedTile tile;
#pragma unroll 1
    for (u32 first = blockIdx.x * (rounds * at_a_time); first < rows;
         first += gridDim.x * (rounds * at_a_time)) {
      Row row[rounds];
#pragma unroll
      for (int i = 0; i < rounds; i++)
        row[i] = load(first + i * at_a_time + threadIdx.x / lanes, rows, tile);
#pragma unroll
      for (int i = 0; i < rounds; i++) finish(row[i]);
    }
    if constexpr (is_packed<Spec>)
      if (thread < 32)
        PackedTiles(params.key_tiles)
            .template write<Spec>(params.batch, Spec::tile_kv, params.key_tiles);
  }

 private:
  /// What a lane has of a row.
  struct Row {
    int4 o, d_o;
    float lse;
    int at;  // where its results go; negative: nowhere
  };

  /// The tile of the row before, of packed sequences.
  struct PackedTile {
    int place = -1;
    PlacedQueries queries;
  };

  SA_DEVICE Row load(u32 index, u32 rows, PackedTile& tile) const {
    u32 query = index / u32(params.heads), batch = query / u32(params.to.padded_len);
    int head = index - query * params.heads, row = query - batch * params.to.padded_len;
    Row found = {{0, 0, 0, 0}, {0, 0, 0, 0}, -infinity, -1};
    if (index >= rows) return found;
    found.at = (batch * params.heads + head) * params.to.padded_len + row / 64 * 64 +
               statistic_place(row % 64);
    bool exists = row < params.q_len;
    if constexpr (is_packed<Spec>) {
      int place = row / Spec::tile_q, in_tile = row % Spec::tile_q;
      if (place != tile.place) tile = {place, queries_at<Spec>(params.batch, place)};
      exists = tile.queries.first + in_tile < tile.queries.q.count;
      row = tile.queries.row + in_tile;
    }
    if (!exists) return found;
    auto place = [&](const Strides& s) { return batch * s.batch + head * s.head + row * s.seq; };
    found.lse = load_global(params.lse + place(params.lse_strides));
    int column = threadIdx.x % lanes * width;
    if (column >= parts * width) return found;
    found.o = load_global((const int4*)((const u16*)params.o + place(params.o_strides) + column));
    found.d_o =
        load_global((const int4*)((const u16*)params.d_o + place(params.d_o_strides) + column));
    return found;
  }

  // A row that sees no key has no weights; nor has one that does not exist. Weights of one whose O,
  // LSE or dO is not finite are NaN, and all that sees it.
  SA_DEVICE void finish(const Row& row) const {
    float sum = 0;
    add_products(sum, row.o.x, row.d_o.x);
    add_products(sum, row.o.y, row.d_o.y);
    add_products(sum, row.o.z, row.d_o.z);
    add_products(sum, row.o.w, row.d_o.w);
#pragma unroll
    for (int other = lanes / 2; other > 0; other /= 2) sum += __shfl_xor_sync(~0u, sum, other);
    if (threadIdx.x % lanes != 0 || row.at < 0) return;
    bool is_finite = sum * 0 == 0;
    float minus_lse = row.lse * -log2_e / params.to.lse_unit;
    if (!is_finite) minus_lse = sum * 0;
    if (row.lse == -infinity) minus_lse = -infinity;
    store_global(params.to.minus_lse + row.at, minus_lse);
    store_global(params.to.minus_delta + row.at, is_finite ? -sum : 0);
  }

  SA_DEVICE static void add_products(float& sum, int a, int b) {
    using Element = typename Spec::Element;
    sum = fmaf(unpack(Element(), u16(a)), unpack(Element(), u16(b)), sum);
    sum = fmaf(unpack(Element(), u16(u32(a) >> 16)), unpack(Element(), u16(u32(b) >> 16)), sum);
  }
};

/// The kernel.
template <class Spec>
SA_DEVICE void row_sums(const RowSumParams& params) {
  static_assert(
      requires {
        typename Spec::Element;
        Spec::columns + Spec::threads;
      }, "Spec needs a type Element, ints columns and threads");
  RowSums<Spec>{params}.run();
}

}  // namespace streamattn
