// Clusters: blocks that launch together (PTX ISA 9.7.13.4, barrier.cluster) and store to each
// other's shared memory (9.7.9.22, mapa; 9.7.9.12, st.async).
#pragma once

#include "ptx/types.cuh"

namespace streamattn {

/// The warp arrives, as all warps of the cluster must. What its threads did before is seen by who
/// waits: a fence that waits for the loads that are under way.
SA_DEVICE void cluster_arrive() {
  asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
}

/// The same without the fence: of what threads did, only the mbarriers are seen that they have
/// initialised and shown by fence_mbarrier_init.
SA_DEVICE void cluster_arrive_relaxed() {
  asm volatile("barrier.cluster.arrive.relaxed.aligned;" ::: "memory");
}

/// Waits until all warps of the cluster have arrived. Behind every arrival, before the next one.
SA_DEVICE void cluster_wait() {
  asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
}

/// The address of a place in shared memory in the block of rank `rank`, for store_async alone.
SA_DEVICE u32 shared_of_peer(u32 address, u32 rank) {
  u32 mapped;
  asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(mapped) : "r"(address), "r"(rank));
  return mapped;
}

/// Stores 16 bytes to another block, which must wait for them, by mbarrier_wait_cluster, before it
/// exits. They are counted on an mbarrier of that block.
SA_DEVICE void store_async(u32 to, float4 value, u32 barrier) {
  asm volatile(
      "st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v4.f32 [%0], {%1, %2, %3, %4}, "
      "[%5];" ::"r"(to),
      "f"(value.x), "f"(value.y), "f"(value.z), "f"(value.w), "r"(barrier)
      : "memory");
}

}  // namespace streamattn
