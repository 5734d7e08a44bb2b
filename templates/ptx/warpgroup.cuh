// Warpgroup-wide state: register budgets (PTX ISA 9.7.19.5) and the ordering of wgmma (9.7.15.7).
#pragma once

#include "ptx/types.cuh"

namespace streamattn {

/// Gives registers back; every warp of the warpgroup must execute it.
template <int Registers>
SA_DEVICE void shrink_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(Registers));
}

/// Waits for registers that another warpgroup gave back.
template <int Registers>
SA_DEVICE void grow_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(Registers));
}

/// Before the first wgmma after registers it reads were written by other instructions.
SA_DEVICE void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }

/// Closes a group of wgmmas. Groups complete in order.
SA_DEVICE void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }

/// Waits until at most `Pending` groups are incomplete.
template <int Pending>
SA_DEVICE void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(Pending) : "memory");
}

/// Makes the compiler believe that registers change here, so that it moves no access across a
/// fence or wait that speaks of them.
template <int N>
SA_DEVICE void pin(float (&r)[N]) {
#pragma unroll
  for (int i = 0; i < N; i += 4)
    asm volatile("" : "+f"(r[i]), "+f"(r[i + 1]), "+f"(r[i + 2]), "+f"(r[i + 3])::"memory");
}
template <int N>
SA_DEVICE void pin(u32 (&r)[N]) {
#pragma unroll
  for (int i = 0; i < N; i += 4)
    asm volatile("" : "+r"(r[i]), "+r"(r[i + 1]), "+r"(r[i + 2]), "+r"(r[i + 3])::"memory");
}

/// Makes the compiler believe that a value changes here, so that it is computed here and not where
/// it is used.
SA_DEVICE void pin(u64& value) { asm volatile("" : "+l"(value)); }
SA_DEVICE void pin(int& value) { asm volatile("" : "+r"(value)); }

}  // namespace streamattn
