// CUDA's words for the host compiler, in the place of templates/ptx/types.cuh.
#pragma once

#include "ptx/machine.h"

/// The machine of the calling operating system thread; the emulator sets it before it runs fibers.
extern "C" {
inline thread_local streamattn::emulator::Machine* streamattn_machine = nullptr;
__attribute__((visibility("default"), used)) inline void streamattn_set_machine(
    streamattn::emulator::Machine* machine) {
  streamattn_machine = machine;
}
}

#define __device__
#define __host__
#define __global__ __attribute__((visibility("default")))
#define __forceinline__ inline
#define __shared__
#define __grid_constant__
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))
#define threadIdx (streamattn_machine->thread_index())
#define blockIdx (streamattn_machine->block_index())
#define gridDim (streamattn_machine->grid_size())

#define SA_DEVICE inline
#define SA_SITE ::streamattn::emulator::Site site = ::streamattn::emulator::Site::here()

struct int4 {
  int x, y, z, w;
};
struct float2 {
  float x, y;
};
struct float4 {
  float x, y, z, w;
};
inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }

inline int min(int a, int b) { return b < a ? b : a; }
inline int max(int a, int b) { return a < b ? b : a; }

/// `x`, which must not be a register that a wgmma in flight will write. Arithmetic has made such a
/// register's NaN quiet, and may have flipped its sign.
inline float arrived(float x, streamattn::emulator::Site site) {
  constexpr unsigned sign = 0x80000000, quiet = 0x00400000;
  if (((__builtin_bit_cast(unsigned, x) & ~sign) | quiet) ==
      (streamattn::emulator::in_flight_bits | quiet))
    streamattn_machine->in_flight_used(site);
  return x;
}

inline float2 make_float2(float x, float y, SA_SITE) {
  return {arrived(x, site), arrived(y, site)};
}
inline float4 make_float4(float x, float y, float z, float w, SA_SITE) {
  return {arrived(x, site), arrived(y, site), arrived(z, site), arrived(w, site)};
}
inline float fmaf(float a, float b, float c, SA_SITE) {
  return __builtin_fmaf(arrived(a, site), arrived(b, site), arrived(c, site));
}
inline float fmaxf(float a, float b, SA_SITE) {
  return __builtin_fmaxf(arrived(a, site), arrived(b, site));
}
inline float fminf(float a, float b, SA_SITE) {
  return __builtin_fminf(arrived(a, site), arrived(b, site));
}
inline float fabsf(float a, SA_SITE) { return __builtin_fabsf(arrived(a, site)); }
inline int __float_as_int(float x, SA_SITE) { return __builtin_bit_cast(int, arrived(x, site)); }
inline float __int_as_float(int x) { return __builtin_bit_cast(float, x); }

inline void __syncthreads(SA_SITE) { streamattn_machine->sync_threads(site); }
inline void __syncwarp(unsigned = ~0u, SA_SITE) { streamattn_machine->sync_warp(site); }
inline bool __any_sync(unsigned, bool value, SA_SITE) {
  return streamattn_machine->any(value, site);
}
inline unsigned __match_any_sync(unsigned, unsigned value, SA_SITE) {
  return streamattn_machine->match(value, site);
}
inline unsigned __reduce_or_sync(unsigned, unsigned value, SA_SITE) {
  unsigned all = 0;
  for (int lane = 0; lane < 32; lane++) all |= streamattn_machine->shuffle(value, lane, site);
  return all;
}
inline int __ffs(int bits) { return __builtin_ffs(bits); }
inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
inline int __clz(int bits) { return bits == 0 ? 32 : __builtin_clz(unsigned(bits)); }
template <class T>
T __shfl_sync(unsigned, T value, int lane, SA_SITE) {
  return __builtin_bit_cast(
      T, streamattn_machine->shuffle(__builtin_bit_cast(unsigned, value), lane, site));
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lanes, SA_SITE) {
  return __shfl_sync(mask, value, (threadIdx.x ^ lanes) % 32, site);
}

namespace streamattn {

using u16 = unsigned short;
using u32 = unsigned int;
using u64 = unsigned long long;

/// Tags of the 16-bit element types, named as PTX names them.
struct f16 {};
struct bf16 {};

constexpr float infinity = __builtin_bit_cast(float, 0x7f800000);

}  // namespace streamattn
