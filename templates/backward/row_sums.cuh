// What the backward pass needs of every row of queries beforehand: the sum of dO * O and the LSE.
// Reads O and dO once.
#pragma once

#include "backward/sequences.cuh"
#include "parts/row_statistics.cuh"
#include "ptx/global.cuh"

namespace streamattn {

/// What row_sums asks of its Spec: Element, the type of O and dO; columns of them; threads of a
/// block; of packed sequences their layout, and tile_q, the rows of a tile of theirs.
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

  const RowSumParams& params;

  SA_DEVICE void run() const {
    int thread = blockIdx.x * Spec::threads + threadIdx.x, threads = gridDim.x * Spec::threads;
    for (int i = thread; i < params.counter_count; i += threads)
      store_global(params.counters + i, 0u);
    // Rows of a batch entry in the order of memory: heads of a row follow each other. Lanes of a
    // row go round together.
    long long rows = (long long)params.all_heads * params.to.padded_len;
#pragma unroll 1
    for (long long row = thread / lanes; row < rows; row += threads / lanes)
      sum_row(row, thread % lanes);
  }

 private:
  SA_DEVICE void sum_row(long long index, int lane) const {
    int head = index % params.heads;
    long long rest = index / params.heads;
    int row = rest % params.to.padded_len, batch = rest / params.to.padded_len;
    bool exists = row < params.q_len;
    int place = row;
    if constexpr (is_packed<Spec>) {
      PlacedQueries tile = queries_at<Spec>(params.batch, row / Spec::tile_q);
      exists = tile.first + row % Spec::tile_q < tile.q.count;
      row = tile.row + row % Spec::tile_q;
    }
    float sum = 0;
    if (exists && lane < parts) {
      auto place = [&](const Strides& s) {
        return batch * s.batch + head * s.head + row * s.seq + lane * width;
      };
      int4 o = load_global((const int4*)((const u16*)params.o + place(params.o_strides)));
      int4 d_o = load_global((const int4*)((const u16*)params.d_o + place(params.d_o_strides)));
      add_products(sum, o.x, d_o.x);
      add_products(sum, o.y, d_o.y);
      add_products(sum, o.z, d_o.z);
      add_products(sum, o.w, d_o.w);
    }
#pragma unroll
    for (int other = lanes / 2; other > 0; other /= 2) sum += __shfl_xor_sync(~0u, sum, other);
    if (lane == 0) store(batch, head, row, place, exists, sum);
  }

  SA_DEVICE static void add_products(float& sum, int a, int b) {
    using Element = typename Spec::Element;
    sum = fmaf(unpack(Element(), u16(a)), unpack(Element(), u16(b)), sum);
    sum = fmaf(unpack(Element(), u16(u32(a) >> 16)), unpack(Element(), u16(u32(b) >> 16)), sum);
  }

  // A row that sees no key has no weights; nor has one that does not exist.
  SA_DEVICE void store(int batch, int head, int row, int place, bool exists, float sum) const {
    const Strides& strides = params.lse_strides;
    float lse = exists ? load_global(params.lse + batch * strides.batch + head * strides.head +
                                     row * strides.seq)
                       : -infinity;
    float minus_lse = lse == -infinity ? -infinity : lse * -log2_e / params.to.lse_unit;
    long long at = (long long)(batch * params.heads + head) * params.to.padded_len +
                   place / 64 * 64 + statistic_place(place % 64);
    store_global(params.to.minus_lse + at, minus_lse);
    store_global(params.to.minus_delta + at, -sum);
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
