// Global memory: plain accesses, and what blocks agree by (PTX ISA 8, memory consistency model).
// Words that several blocks touch in one launch are reached by the ordered functions alone.
#pragma once

#include "ptx/types.cuh"

namespace streamattn {

/// ld.global and st.global of 1 to 16 bytes, as wide as they are aligned.
SA_DEVICE unsigned char load_global(const unsigned char* from) { return *from; }
SA_DEVICE u16 load_global(const u16* from) { return *from; }
SA_DEVICE float load_global(const float* from) { return *from; }
SA_DEVICE float2 load_global(const float2* from) { return *from; }
SA_DEVICE float4 load_global(const float4* from) { return *from; }
SA_DEVICE u32 load_global(const u32* from) { return *from; }
SA_DEVICE int load_global(const int* from) { return *from; }
SA_DEVICE int4 load_global(const int4* from) { return *from; }

/// Brings the line of an address into the L2 cache (PTX ISA 9.7.9, prefetch).
SA_DEVICE void prefetch_l2(const void* address) {
  asm volatile("prefetch.global.L2 [%0];" ::"l"(address));
}

SA_DEVICE void store_global(float* to, float value) { *to = value; }
SA_DEVICE void store_global(float2* to, float2 value) { *to = value; }
SA_DEVICE void store_global(float4* to, float4 value) { *to = value; }
SA_DEVICE void store_global(u32* to, u32 value) { *to = value; }
SA_DEVICE void store_global(int* to, int value) { *to = value; }
SA_DEVICE void store_global(int4* to, int4 value) { *to = value; }

/// From here on the thread may store once more to elements of outputs. Nothing to the hardware; to
/// the emulator, which takes such stores for a mistake elsewhere.
SA_DEVICE void begin_second_stores() {}

/// Adds one, or goes from `last` back to zero; returns the word before. Orders nothing else.
SA_DEVICE u32 atomic_increment(u32* word, u32 last) { return atomicInc(word, last); }

/// Sees what was written before the store_release or atomic_add that wrote the value.
SA_DEVICE u32 load_acquire(const u32* from) {
  u32 value;
  asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(value) : "l"(from) : "memory");
  return value;
}

/// Shows what this thread has written and seen to whoever acquires the value.
SA_DEVICE void store_release(u32* to, u32 value) {
  asm volatile("st.release.gpu.global.u32 [%0], %1;" ::"l"(to), "r"(value) : "memory");
}

/// Adds and returns the word before; an acquire and a release in one.
SA_DEVICE u32 atomic_add(u32* word, u32 addend) {
  u32 before;
  asm volatile("atom.acq_rel.gpu.global.add.u32 %0, [%1], %2;"
               : "=r"(before)
               : "l"(word), "r"(addend)
               : "memory");
  return before;
}

/// Makes an access to a word before it a release and one behind it an acquire, on the whole GPU.
SA_DEVICE void fence_gpu() { asm volatile("fence.acq_rel.gpu;" ::: "memory"); }

/// Orders this thread's accesses to global memory before later ones by TMA, and the other way
/// round.
SA_DEVICE void fence_global_to_async() { asm volatile("fence.proxy.async.global;" ::: "memory"); }

}  // namespace streamattn
