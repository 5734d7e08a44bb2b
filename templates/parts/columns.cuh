// Eight neighbouring columns of a row between global memory and registers.
#pragma once

#include "ptx/global.cuh"
#include "ptx/math.cuh"

namespace streamattn {

/// Of a 16-bit type, as 16 bytes.
template <class Element>
SA_DEVICE void unpack_columns(Element element, int4 from, float* x) {
  int words[4] = {from.x, from.y, from.z, from.w};
#pragma unroll
  for (int i = 0; i < 4; i++) {
    x[2 * i] = unpack(element, u16(words[i]));
    x[2 * i + 1] = unpack(element, u16(u32(words[i]) >> 16));
  }
}
template <class Element>
SA_DEVICE int4 pack_columns(Element element, const float* x) {
  u32 words[4];
#pragma unroll
  for (int i = 0; i < 4; i++) words[i] = pack(element, x[2 * i], x[2 * i + 1]);
  return make_int4(int(words[0]), int(words[1]), int(words[2]), int(words[3]));
}

/// From element `at` on, of a 16-bit type or of float; aligned to 16 bytes.
template <class Element>
SA_DEVICE void load_columns(Element element, const void* data, long long at, float (&x)[8]) {
  unpack_columns(element, load_global((const int4*)((const u16*)data + at)), x);
}
SA_DEVICE void load_columns(float, const void* data, long long at, float (&x)[8]) {
  const float4* from = (const float4*)((const float*)data + at);
  float4 low = load_global(from), high = load_global(from + 1);
  x[0] = low.x, x[1] = low.y, x[2] = low.z, x[3] = low.w;
  x[4] = high.x, x[5] = high.y, x[6] = high.z, x[7] = high.w;
}

template <class Element>
SA_DEVICE void store_columns(Element element, void* data, long long at, const float (&x)[8]) {
  store_global((int4*)((u16*)data + at), pack_columns(element, x));
}
SA_DEVICE void store_columns(float, void* data, long long at, const float (&x)[8]) {
  float4* to = (float4*)((float*)data + at);
  store_global(to, make_float4(x[0], x[1], x[2], x[3]));
  store_global(to + 1, make_float4(x[4], x[5], x[6], x[7]));
}

}  // namespace streamattn
