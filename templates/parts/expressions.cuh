// What masks and scores are computed with: elements of named tensors, arithmetic.
#pragma once

#include "params.h"
#include "ptx/global.cuh"
#include "ptx/math.cuh"

namespace streamattn {

/// The quotient rounded down, and its remainder, for a positive divisor.
SA_DEVICE int floor_divide(int a, int b) { return a / b - (a % b < 0); }
SA_DEVICE int floor_modulo(int a, int b) {
  int rest = a % b;
  return rest < 0 ? rest + b : rest;
}

SA_DEVICE int magnitude(int a) { return max(a, -a); }

/// e^x and the natural logarithm.
SA_DEVICE float exp_approx(float x) { return exp2_approx(x * 1.44269504088896f); }
SA_DEVICE float log_approx(float x) { return log2_approx(x) * 0.693147180559945f; }

/// tanh(x), off by 2^-23 or so: tanh.approx is off by 2^-11, which the cap of a score multiplies.
SA_DEVICE float tangent(float x) {
  return 1 - 2 * reciprocal_approx(1 + exp2_approx(x * 2.88539008177793f));
}

/// tanh of a tile. Small arguments, which most scores are, go without special functions, of which
/// softmax needs all that there are: a polynomial, fitted for the least largest error.
template <int N>
SA_DEVICE void tangents(float (&tile)[N]) {
  constexpr float small = 0.5f;
  float largest = 0;
#pragma unroll
  for (int i = 0; i < N; i++) largest = fmaxf(largest, fabsf(tile[i]));
  if (__any_sync(~0u, largest > small)) {
#pragma unroll
    for (int i = 0; i < N; i++) tile[i] = tangent(tile[i]);
  } else {
#pragma unroll
    for (int i = 0; i < N; i++) {
      float x = tile[i], square = x * x;
      float p = fmaf(0.0170059856f, square, -0.0529243648f);
      p = fmaf(fmaf(p, square, 0.133239403f), square, -0.333330512f);
      tile[i] = fmaf(x * square, p, x);
    }
  }
}

SA_DEVICE float load_named(float, const void* data, long long at) {
  return load_global((const float*)data + at);
}
SA_DEVICE int load_named(int, const void* data, long long at) {
  return load_global((const int*)data + at);
}
SA_DEVICE int load_named(unsigned char, const void* data, long long at) {
  return load_global((const unsigned char*)data + at);
}
template <class Half>
SA_DEVICE float load_named(Half type, const void* data, long long at) {
  return unpack(type, load_global((const u16*)data + at));
}

/// The element, of type f16, bf16, float, int or unsigned char, that is nearest to the indices. The
/// last stride fits 32 bits: the last index is the one that most often differs between elements of
/// a tile.
template <class Element, class... Indices>
SA_DEVICE auto named_element(const NamedTensor& tensor, Indices... indices) {
  constexpr int last = sizeof...(indices) - 1;
  int dimension = 0;
  long long at = 0;
  auto add = [&](int index) {
    long long nearest = min(max(index, 0), tensor.sizes[dimension] - 1);
    at += nearest * (dimension == last ? int(tensor.strides[last]) : tensor.strides[dimension]);
    dimension++;
  };
  (..., add(indices));
  return load_named(Element(), tensor.data, at);
}

}  // namespace streamattn
