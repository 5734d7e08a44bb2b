// Backward attention on Hopper: gradients of K and V of a tile of keys, and its part of dQ.
//
// A block draws items: 128 keys of one key-value head, whose query tiles it walks, of all heads of
// the group, that see some of them. Two math warpgroups compute S, dP, dV and dK and never wait for
// each other within an item; one computes dQ = dS K. Of the fourth, a warp loads, one for each
// buffer adds dQ up in global memory, in the order of key tiles, so that results are the same each
// time, or fetches what others have added, and one stores dK and dV, under the first visits of the
// next item.
#pragma once

#include "backward/backward_loader.cuh"
#include "backward/gradient_store.cuh"
#include "backward/key_roles.cuh"
#include "backward/operand_cleaner.cuh"
#include "backward/query_gradient.cuh"
#include "ptx/dependency.cuh"

namespace streamattn {

template <class Spec>
SA_DEVICE void run_backward_block(const BackwardParams& params) {
  extern __shared__ __align__(1024) unsigned char memory[];
  BackwardShared<Spec> shared{shared_address(memory)};
  constexpr bool by_role = Spec::tiling.by_role();
  int warp = __shfl_sync(~0u, threadIdx.x / 32, 0);
  if (threadIdx.x == 0) {
    shared.keys_ring().init(13);
    shared.gradient_ring().init(1, 8);
    shared.q_ring().init(12 + SumTurns<Spec>::readers);  // read by math; others see whose it is
    shared.d_o_ring().init(8);
    shared.ds_ring().init(4, 4 * Spec::tiling.ds_writers());  // written by warps, read by four
    shared.sum_ring().init(4);
    if constexpr (by_role) shared.weights_ring().init(4, 4);
    if constexpr (watches<Spec>)
      for (int i = 0; i < Spec::tiling.ring_bytes; i += 8)
        mbarrier_init(shared.keys_ring().full + Spec::tiling.landed + i, 1);
    fence_mbarrier_init();
  }
  __syncthreads();
  dependency_wait();
  int lane = threadIdx.x % 32;
  if (warp < 4) {
    shrink_registers<Spec::dq_registers>();
    QueryGradient<Spec>{params, shared, {0, warp, lane}}.run();
  } else if (warp < 12) {
    grow_registers<Spec::math_registers>();
    Fragment at{by_role ? 0 : warp / 4 - 1, warp % 4, lane};
    if constexpr (!by_role)
      KeyGradients<Spec>{params, shared, at}.run();
    else if (warp < 8)
      ValueRole<Spec>{{{params, shared, at}}}.run();
    else
      KeysRole<Spec>{{{params, shared, at, 4}}}.run();
  } else {
    shrink_registers<Spec::loader_registers>();
    if (lane == 0 && warp == 12)
      BackwardLoader<Spec>{params, shared}.run();
    else if (lane == 0 && warp < 15)
      SumTurns<Spec>{params, shared, {u32(warp - 13)}}.run();
    else if (lane == 0)
      GradientStore<Spec>{params, shared}.run();
    else if (watches<Spec> && lane == 1 && warp == 15 && params.watch.landed > 0)
      OperandCleaner<Spec>{shared}.run();
  }
}

/// The kernel: a programmatic dependent of row_sums.
template <class Spec>
SA_DEVICE void backward_wgmma(const BackwardParams& params) {
  if constexpr (is_backward_spec<Spec>()) {
    if constexpr (watches<Spec>)
      if (params.watch.unless) {
        dependency_wait();
        if (load_global(params.watch.unless) == 0) return;
        begin_second_stores();
      }
    run_backward_block<Spec>(params);
  }
}

}  // namespace streamattn
