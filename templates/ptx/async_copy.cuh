// Copies that a thread starts and does not wait for (PTX ISA 9.7.9.25, cp.async), for what TMA has
// no box for.
#pragma once

#include "ptx/types.cuh"

namespace streamattn {

/// Starts a copy of 16 bytes from global to shared memory, both aligned to them; of zeros where
/// there is nothing, and then `from` is not read. It counts as an access of the thread, not of TMA:
/// who has wgmma read the bytes needs fence_shared_to_async() behind the wait.
SA_DEVICE void copy_async(u32 to, const void* from, bool exists) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from),
               "r"(exists ? 16 : 0)
               : "memory");
}

/// One of the arrivals that the barrier was initialised with, once all copies that this thread has
/// started are complete.
SA_DEVICE void copy_async_arrive(u32 barrier) {
  asm volatile("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%0];" ::"r"(barrier) : "memory");
}

}  // namespace streamattn
