// mbarriers (PTX ISA 9.7.13.15), named barriers (9.7.13.1) and warp election.
#pragma once

#include "ptx/types.cuh"

namespace streamattn {

SA_DEVICE void mbarrier_init(u32 barrier, u32 arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory");
}

/// Makes initialised barriers visible to TMA. A __syncthreads() must follow.
SA_DEVICE void fence_mbarrier_init() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}

/// One arrival, and `bytes` more to come from TMA in this phase.
SA_DEVICE void mbarrier_arrive_expect(u32 barrier, u32 bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes)
               : "memory");
}

SA_DEVICE void mbarrier_arrive(u32 barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}

/// Waits until the phase of parity `parity` is complete. A fresh barrier passes parity 1.
SA_DEVICE void mbarrier_wait(u32 barrier, u32 parity) {
  asm volatile(
      "{\n.reg .pred done;\nwait_%=:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n@!done bra wait_%=;\n}" ::"r"(
          barrier),
      "r"(parity)
      : "memory");
}

/// The same, behind which what other blocks of the cluster stored by store_async is seen.
SA_DEVICE void mbarrier_wait_cluster(u32 barrier, u32 parity) {
  asm volatile(
      "{\n.reg .pred done;\nwait_%=:\n"
      "mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 done, [%0], %1;\n"
      "@!done bra wait_%=;\n}" ::"r"(barrier),
      "r"(parity)
      : "memory");
}

/// Whether the phase of parity `parity` is complete (9.7.13.15.16, test_wait).
SA_DEVICE bool mbarrier_test(u32 barrier, u32 parity) {
  u32 complete;
  asm volatile(
      "{\n.reg .pred done;\n"
      "mbarrier.test_wait.parity.shared::cta.b64 done, [%1], %2;\n"
      "selp.u32 %0, 1, 0, done;\n}"
      : "=r"(complete)
      : "r"(barrier), "r"(parity)
      : "memory");
  return complete != 0;
}

/// Waits until `threads` threads have arrived at or synchronised on named barrier `id` (1 to 15).
SA_DEVICE void named_barrier_sync(int id, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

SA_DEVICE void named_barrier_arrive(int id, int threads) {
  asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

/// The same wait, and whether any of the threads that meet gave true (PTX ISA 9.7.13.1, bar.red).
SA_DEVICE bool named_barrier_any(int id, int threads, bool value) {
  u32 any;
  asm volatile(
      "{\n.reg .pred mine, is_any;\nsetp.ne.u32 mine, %3, 0;\n"
      "bar.red.or.pred is_any, %1, %2, mine;\nselp.u32 %0, 1, 0, is_any;\n}"
      : "=r"(any)
      : "r"(id), "r"(threads), "r"(u32(value))
      : "memory");
  return any != 0;
}

/// True in exactly one lane of a converged warp.
SA_DEVICE bool elect_one() {
  u32 elected;
  asm volatile(
      "{\n.reg .pred is_elected;\nelect.sync _|is_elected, 0xffffffff;\n"
      "selp.u32 %0, 1, 0, is_elected;\n}"
      : "=r"(elected));
  return elected != 0;
}

}  // namespace streamattn
