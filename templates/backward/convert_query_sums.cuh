// From sums of dQ in the order of registers to the tensor, scaled: a block for each query tile.
#pragma once

#include "backward/backward_params.h"
#include "parts/fragment.cuh"
#include "ptx/dependency.cuh"
#include "ptx/global.cuh"

namespace streamattn {

/// What convert_query_sums asks of its Spec: Element, the 16-bit type of d_q where that is not
/// float32, and head_dim. Blocks have 256 threads.
template <class Spec>
struct ConvertQuerySums {
  static constexpr int threads = 256, rows = BackwardTiling::sum_rows;
  static constexpr int columns = padded_columns(Spec::head_dim);
  static constexpr int chunk = chunk_columns(Spec::head_dim);
  static constexpr int fours = rows * columns / 4;  // of registers
  static constexpr int fours_of_chunk = rows * chunk / 4;

  const ConvertParams& params;

  SA_DEVICE void run() const {
    int tile = blockIdx.x % params.from.tiles, all_head = blockIdx.x / params.from.tiles;
    bool is_seen =
        load_global((const u32*)params.from.counters + blockIdx.x * params.from.parts) != 0;
    const float4* sums =
        (const float4*)(params.from.sums + (long long)blockIdx.x * (rows * columns));
    int batch = all_head / params.heads, head = all_head % params.heads;
    long long first = batch * params.strides.batch + head * params.strides.head;
#pragma unroll 4
    for (int i = threadIdx.x; i < fours; i += threads) {
      float4 sum = make_float4(0, 0, 0, 0);
      if (is_seen) sum = load_global(sums + i);
      int in_chunk = i % fours_of_chunk, thread = in_chunk % 128;
      Fragment at{0, thread / 32, thread % 32};
      int column = i / fours_of_chunk * chunk + in_chunk / 128 * 8 + at.column();
      if (column >= Spec::head_dim) continue;
      store(first, tile * rows + at.row(0), column, sum.x, sum.y);
      store(first, tile * rows + at.row(1), column, sum.z, sum.w);
    }
  }

 private:
  SA_DEVICE void store(long long first, int row, int column, float left, float right) const {
    if (row >= params.q_len) return;
    long long at = first + row * params.strides.seq + column;
    left *= params.scale, right *= params.scale;
    if (!params.is_float) {
      store_global((u32*)((u16*)params.d_q + at), pack(typename Spec::Element(), left, right));
      return;
    }
    float2* to = (float2*)((float*)params.d_q + at);
    float2 before = make_float2(0, 0);
    if (params.accumulate) before = load_global(to);
    store_global(to, make_float2(left + before.x, right + before.y));
  }
};

/// The kernel: a programmatic dependent of the one that writes the sums.
template <class Spec>
SA_DEVICE void convert_query_sums(const ConvertParams& params) {
  static_assert(
      requires {
        typename Spec::Element;
        Spec::head_dim + 0;
      }, "Spec needs a type Element and an int head_dim");
  dependency_wait();
  ConvertQuerySums<Spec>{params}.run();
}

}  // namespace streamattn
