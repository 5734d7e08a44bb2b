// Bulk copies of bytes that lie one after the other, between global and shared memory (PTX ISA
// 9.7.9.25). Addresses and counts are multiples of 16.
#pragma once

#include "ptx/types.cuh"

namespace streamattn {

/// Starts the load of `bytes` to `destination`, shared; they complete on `barrier`.
SA_DEVICE void bulk_load(u32 destination, const void* from, u32 bytes, u32 barrier) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::
          "r"(destination),
      "l"(from), "r"(bytes), "r"(barrier)
      : "memory");
}

/// Starts the store of `bytes` from `source`, shared: one of this thread's group of stores, which
/// tma_store_commit() closes.
SA_DEVICE void bulk_store(void* to, u32 source, u32 bytes) {
  asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;" ::"l"(to), "r"(source),
               "r"(bytes)
               : "memory");
}

/// The same, adding floats to what is there; each addition is atomic by itself.
SA_DEVICE void bulk_add(float* to, u32 source, u32 bytes) {
  asm volatile(
      "cp.reduce.async.bulk.global.shared::cta.bulk_group.add.f32 [%0], [%1], %2;" ::"l"(to),
      "r"(source), "r"(bytes)
      : "memory");
}

}  // namespace streamattn
