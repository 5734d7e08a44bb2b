// dQ of queries that see no key at all: zero, which no block of the main kernel writes.
#pragma once

#include "backward/sequences.cuh"
#include "ptx/dependency.cuh"
#include "ptx/global.cuh"

namespace streamattn {

/// What clear_unseen asks of its Spec: threads of a block; of packed sequences their layout, and
/// tile_q, the rows of a tile of theirs. Blocks ask of query tiles in turn whether anything was
/// added to them.
template <class Spec>
struct ClearUnseen {
  static constexpr int tile_rows = BackwardTiling::sum_rows;

  const ClearParams& params;

  SA_DEVICE void run() const {
#pragma unroll 1
    for (int tile = blockIdx.x; tile < params.count; tile += gridDim.x)
      if (load_global((const u32*)params.of.counters + tile * params.of.parts) == 0) clear(tile);
  }

 private:
  // 16 bytes a thread at a time.
  SA_DEVICE void clear(int tile) const {
    int all_head = tile / params.of.tiles, first_row = tile % params.of.tiles * tile_rows;
    int batch = all_head / params.heads, head = all_head % params.heads;
    int rows = min(tile_rows, params.q_len - first_row), vectors = params.row_bytes / 16;
    if constexpr (is_packed<Spec>) {
      int in_tile = first_row % Spec::tile_q;
      PlacedQueries of = queries_at<Spec>(params.batch, first_row / Spec::tile_q);
      rows = min(tile_rows, of.q.count - of.first - in_tile);
      first_row = of.row + in_tile;
    }
    const Strides& strides = params.strides;
    long long first = batch * strides.batch + head * strides.head + first_row * strides.seq;
    char* to = (char*)params.d_q + first * params.element_bytes;
    for (int i = threadIdx.x; i < rows * vectors; i += Spec::threads)
      store_global((int4*)(to + i / vectors * strides.seq * params.element_bytes) + i % vectors,
                   make_int4(0, 0, 0, 0));
  }
};

/// The kernel: a programmatic dependent of the one that adds.
template <class Spec>
SA_DEVICE void clear_unseen(const ClearParams& params) {
  static_assert(requires { Spec::threads + 0; }, "Spec needs an int threads");
  dependency_wait();
  ClearUnseen<Spec>{params}.run();
}

}  // namespace streamattn
