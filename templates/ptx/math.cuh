// Special functions and conversions of one instruction.
#pragma once

#include "ptx/types.cuh"

namespace streamattn {

/// 2^x; denormals are zero. PTX ISA 9.7.3, ex2: max relative error 2^-22.
SA_DEVICE float exp2_approx(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

/// log2(x). PTX ISA 9.7.3, lg2.
SA_DEVICE float log2_approx(float x) {
  float y;
  asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

/// 1 / x. PTX ISA 9.7.3, rcp: max 1 ulp.
SA_DEVICE float reciprocal_approx(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

/// The square root. PTX ISA 9.7.3, sqrt.
SA_DEVICE float sqrt_approx(float x) {
  float y;
  asm("sqrt.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

/// The float that 16 bits are.
SA_DEVICE float unpack(bf16, u16 bits) { return __int_as_float(int(bits) << 16); }
SA_DEVICE float unpack(f16, u16 bits) {
  float x;
  asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(bits));
  return x;
}

/// Two floats rounded to nearest even, `low` in the lower half. PTX ISA 9.7.9, cvt: the first
/// source goes to the upper half.
SA_DEVICE u32 pack(bf16, float low, float high) {
  u32 r;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
  return r;
}
SA_DEVICE u32 pack(f16, float low, float high) {
  u32 r;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
  return r;
}

/// a * b + c of both halves. PTX ISA 9.7.4, fma: nothing is flushed, NaNs stay NaNs.
SA_DEVICE u32 fma_pair(bf16, u32 a, u32 b, u32 c) {
  u32 r;
  asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(r) : "r"(a), "r"(b), "r"(c));
  return r;
}
SA_DEVICE u32 fma_pair(f16, u32 a, u32 b, u32 c) {
  u32 r;
  asm("fma.rn.f16x2 %0, %1, %2, %3;" : "=r"(r) : "r"(a), "r"(b), "r"(c));
  return r;
}

}  // namespace streamattn
