// Attention of few queries against many keys on Hopper: one warp loads, one warpgroup multiplies.
//
// The query rows of all heads that share a KV head are one tile, so that its keys are read once.
// Products are computed on their side, keys by rows: S^T = K Q^T and O^T = V^T P^T, so that as few
// as 8 rows fill a matrix instruction, an accumulator is a few registers, and a softmax needs no
// shuffles. Keys are shared out over the blocks as one stream of tiles, whatever the lengths of the
// sequences (after FlashMLA's schedule); whoever finishes the last piece of an item merges it, in
// the same launch. Blocks of a cluster share a piece, and merge it through their shared memory.
#pragma once

#include "decode/decode_consumer.cuh"
#include "decode/decode_producer.cuh"
#include "decode/decode_spec.cuh"
#include "ptx/dependency.cuh"

namespace streamattn {

template <class Spec>
SA_DEVICE void run_decode_block(const DecodeParams& params) {
  extern __shared__ __align__(1024) unsigned char memory[];
  DecodeShared<Spec> shared{shared_address(memory)};
  int warp = __shfl_sync(~0u, threadIdx.x / 32, 0), lane = threadIdx.x % 32;
  if (threadIdx.x == 0) {
    tma_prefetch_map(params.k);
    tma_prefetch_map(params.v);
    // Where there are no boxes all lanes of the loading warp arrive.
    int arrivals = Spec::layout.kv_paged && params.box_rows == 0 ? 32 : 1;
    shared.k_ring().init(DecodeTiling::warps, arrivals);
    shared.v_ring().init(DecodeTiling::warps, arrivals);
    if constexpr (Spec::tiling.cluster > 1) ClusterMerge<Spec>::begin(shared);
    fence_mbarrier_init();
  }
  __syncthreads();
  if constexpr (Spec::tiling.cluster > 1) cluster_arrive_relaxed();
  // So far the kernel before this one on the stream may run. What it wrote, in keys, lengths or
  // anything else, is read behind this alone.
  dependency_wait();
  launch_dependents();
  if (warp == DecodeTiling::warps)
    DecodeProducer<Spec>{params, shared, lane}.run();
  else
    DecodeConsumer<Spec>{params, shared, warp, lane}.run();
}

/// The kernel: 4 math warps and the one that loads.
template <class Spec>
SA_DEVICE void decode_wgmma(const DecodeParams& params) {
  if constexpr (is_decode_spec<Spec>()) run_decode_block<Spec>(params);
}

}  // namespace streamattn
