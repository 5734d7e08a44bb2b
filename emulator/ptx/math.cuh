// Special functions and conversions; contracts are those of templates/ptx/math.cuh. Conversions
// round as the hardware does; the functions are exact where the hardware is off by a few ulps.
#pragma once

#include "ptx/types.cuh"

namespace streamattn {

/// Zero of the same sign for a denormal: .ftz.
SA_DEVICE float flushed(float x) {
  return __builtin_fabsf(x) < 0x1p-126f ? __builtin_copysignf(0, x) : x;
}

SA_DEVICE float exp2_approx(float x, SA_SITE) {
  return flushed(__builtin_exp2f(flushed(arrived(x, site))));
}

SA_DEVICE float log2_approx(float x, SA_SITE) {
  return flushed(__builtin_log2f(flushed(arrived(x, site))));
}

SA_DEVICE float reciprocal_approx(float x, SA_SITE) {
  return flushed(1 / flushed(arrived(x, site)));
}

SA_DEVICE float sqrt_approx(float x, SA_SITE) {
  return flushed(__builtin_sqrtf(flushed(arrived(x, site))));
}

SA_DEVICE float unpack(bf16, u16 bits) { return __builtin_bit_cast(float, u32(bits) << 16); }
SA_DEVICE float unpack(f16, u16 bits) {
  u32 sign = u32(bits & 0x8000) << 16, magnitude = bits & 0x7FFF;
  float x = magnitude < 0x400
                ? float(magnitude) * 0x1p-24f
                : __builtin_bit_cast(
                      float, (magnitude << 13) + (magnitude < 0x7C00 ? 112u << 23 : 224u << 23));
  return __builtin_bit_cast(float, __builtin_bit_cast(u32, x) | sign);
}

/// Rounds to nearest, ties to even; every NaN becomes 0x7FFF.
SA_DEVICE u32 rounded(bf16, float x) {
  u32 bits = __builtin_bit_cast(u32, x);
  return x != x ? 0x7FFF : (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
}
SA_DEVICE u32 rounded(f16, float x) {
  u32 bits = __builtin_bit_cast(u32, x), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7FFFFFFF;
  if (x != x) return 0x7FFF;
  if (magnitude >= 0x477FF000) return sign | 0x7C00;  // from 65520 on: infinity
  // Denormals: adding 0.5 leaves the rounded multiple of 2^-24 in the low bits.
  if (magnitude < 0x38800000)
    return sign | (__builtin_bit_cast(u32, __builtin_bit_cast(float, magnitude) + 0.5f) & 0xFFFF);
  return sign | (magnitude - (112u << 23) + 0xFFF + (magnitude >> 13 & 1)) >> 13;
}

SA_DEVICE u32 pack(bf16, float low, float high, SA_SITE) {
  return rounded(bf16(), arrived(low, site)) | rounded(bf16(), arrived(high, site)) << 16;
}
SA_DEVICE u32 pack(f16, float low, float high, SA_SITE) {
  return rounded(f16(), arrived(low, site)) | rounded(f16(), arrived(high, site)) << 16;
}

template <class Element>
SA_DEVICE u32 fma_pair(Element e, u32 a, u32 b, u32 c) {
  auto half = [&](int shift) {
    auto of = [&](u32 x) { return unpack(e, u16(x >> shift)); };
    return rounded(e, __builtin_fmaf(of(a), of(b), of(c))) << shift;
  };
  return half(0) | half(16);
}

}  // namespace streamattn
