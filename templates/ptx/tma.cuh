// Bulk tensor copies between global and shared memory (PTX ISA 9.7.9.27).
#pragma once

#include "params.h"
#include "ptx/types.cuh"

namespace streamattn {

/// L2 eviction policies as createpolicy encodes them for a whole access.
enum class CachePolicy : u64 { evict_first = 0x12F0000000000000, evict_last = 0x14F0000000000000 };

/// Starts the load of the box at (column, row, head, batch) to `destination`. Its bytes, those out
/// of bounds included (they read as zero), complete on `barrier`.
SA_DEVICE void tma_load(u32 destination, const TensorMap& map, u32 barrier, int column, int row,
                        int head, int batch, CachePolicy policy) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes"
      ".L2::cache_hint [%0], [%1, {%3, %4, %5, %6}], [%2], %7;" ::"r"(destination),
      "l"(&map), "r"(barrier), "r"(column), "r"(row), "r"(head), "r"(batch), "l"((u64)policy)
      : "memory");
}

/// The same without a policy: streams of K and V that are read once are faster so.
SA_DEVICE void tma_load(u32 destination, const TensorMap& map, u32 barrier, int column, int row,
                        int head, int batch) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes"
      " [%0], [%1, {%3, %4, %5, %6}], [%2];" ::"r"(destination),
      "l"(&map), "r"(barrier), "r"(column), "r"(row), "r"(head), "r"(batch)
      : "memory");
}

/// Starts the store of the box at (column, row, head, batch); what is out of bounds is not written.
SA_DEVICE void tma_store(const TensorMap& map, u32 source, int column, int row, int head,
                         int batch) {
  asm volatile(
      "cp.async.bulk.tensor.4d.global.shared::cta.bulk_group [%0, {%2, %3, %4, %5}], [%1];" ::"l"(
          &map),
      "r"(source), "r"(column), "r"(row), "r"(head), "r"(batch)
      : "memory");
}

/// Closes this thread's group of stores.
SA_DEVICE void tma_store_commit() { asm volatile("cp.async.bulk.commit_group;" ::: "memory"); }

/// Waits until this thread's stores have read their shared memory.
SA_DEVICE void tma_store_wait_read() {
  asm volatile("cp.async.bulk.wait_group.read 0;" ::: "memory");
}

/// Waits until this thread's stores are complete: others see them in global memory behind a barrier
/// or a release.
SA_DEVICE void tma_store_wait() { asm volatile("cp.async.bulk.wait_group 0;" ::: "memory"); }

/// Fetches a tensor map ahead of its first use.
SA_DEVICE void tma_prefetch_map(const TensorMap& map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(&map) : "memory");
}

}  // namespace streamattn
