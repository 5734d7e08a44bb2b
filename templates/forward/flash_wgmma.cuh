// Forward attention on Hopper: TMA producer, wgmma consumers, a persistent grid.
//
// One warpgroup loads; it hands its registers to two or three math warpgroups, each of which owns
// 64 query rows of a tile, keeps S, P and O in registers and walks the key tiles from the last to
// the first. The tensor cores do not wait for the softmax: PV of the previous key tile and QK of
// this one are issued together, and the softmax runs while PV does; with ping_pong, warpgroups
// issue in turns, so that one's softmax runs under the other's products. The order of loads, waits
// and releases follows FlashAttention-3 (Shah et al., 2024).
#pragma once

#include "forward/flash_consumer.cuh"
#include "forward/flash_producer.cuh"
#include "forward/flash_screen.cuh"
#include "forward/flash_spec.cuh"

namespace streamattn {

template <class Spec>
SA_DEVICE void init_barriers(FlashShared<Spec> shared) {
  constexpr int warpgroups = Spec::tiling.tile_q / 64;
  mbarrier_init(shared.q_full(), 1);
  mbarrier_init(shared.q_empty(), 4 * warpgroups);
  shared.k_ring().init(4 * warpgroups);
  shared.v_ring().init(4 * warpgroups + hides_v<Spec>);
  if constexpr (has_screen<Spec>) {
    mbarrier_init(shared.found(), 1);
    shared.screen_queue().init();
    if constexpr (hides_v<Spec>) {
      mbarrier_init(shared.all_watched(), 1);
      store_shared(shared.repeats(), {});
    }
    if constexpr (is_paged<Spec>) mbarrier_init(shared.copied(), 32 * screen_warps);
  }
}

/// The kernel. NVRTC copies a function into its caller once for each of these, from the innermost
/// out, so what contains all of a role is called here and here alone.
template <class Spec>
SA_DEVICE void flash_wgmma(const FlashParams& params) {
  if constexpr (is_flash_spec<Spec>()) {
    extern __shared__ __align__(1024) unsigned char memory[];
    FlashShared<Spec> shared{shared_address(memory)};
    int warp = __shfl_sync(~0u, threadIdx.x / 32, 0);
    if (threadIdx.x == 0) {
      init_barriers(shared);
      fence_mbarrier_init();
    }
    __syncthreads();
    // So far the kernel before this one on the stream may run.
    dependency_wait();
    if (warp < 4) {
      shrink_registers<Spec::producer_registers>();
      if (warp == 0 && (is_paged<Spec> || elect_one()))
        FlashProducer<Spec>{params, shared, int(threadIdx.x % 32)}.run();
      if constexpr (has_screen<Spec>)
        if (warp > 0) FlashScreen<Spec>{params, shared, int(threadIdx.x) - 32}.run();
    } else {
      grow_registers<Spec::consumer_registers>();
      Fragment at{warp / 4 - 1, warp % 4, int(threadIdx.x % 32)};
      FlashConsumer<Spec>{params, shared, at}.run();
    }
  }
}

}  // namespace streamattn
