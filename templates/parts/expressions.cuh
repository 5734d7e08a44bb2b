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
