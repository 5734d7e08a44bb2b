// What masks and scores are computed with: elements of named tensors, arithmetic.
#pragma once

#include "params.h"
#include "ptx/global.cuh"
#include "ptx/math.cuh"

namespace streamattn {

template <class T>
constexpr bool is_float = false;
template <>
constexpr bool is_float<float> = true;

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

/// NaN only where two neighbours are.
template <int N>
SA_DEVICE float largest_magnitude(const float (&tile)[N]) {
  // Floats above zero order as the integers that their bits are, of which one instruction compares
  // three. Two maxima side by side: one would be a chain of dependent instructions.
  auto larger = [](float a, float b) { return __float_as_int(fmaxf(fabsf(a), fabsf(b))); };
  int largest[2] = {0, 0};
#pragma unroll
  for (int i = 0; i < N; i += 2)
    largest[i / 4 % 2] = max(largest[i / 4 % 2], larger(tile[i], tile[i + 1]));
  return __int_as_float(max(largest[0], largest[1]));
}

/// x becomes tanh(factor * x) / factor. Small arguments, which most scores are, go without special
/// functions, of which softmax needs all that there are: a polynomial, fitted for the least largest
/// error.
template <int N>
SA_DEVICE void tangents(float (&tile)[N], float factor) {
  constexpr float small = 0.35f;
  if (__any_sync(~0u, !(largest_magnitude(tile) * fabsf(factor) <= small))) {
    float inverse = reciprocal_approx(factor);
#pragma unroll
    for (int i = 0; i < N; i++) tile[i] = tangent(factor * tile[i]) * inverse;
  } else {
    float f2 = factor * factor;
    float c3 = f2 * -0.333324313f, c5 = f2 * f2 * 0.132943824f, c7 = f2 * f2 * f2 * -0.0488511585f;
#pragma unroll
    for (int i = 0; i < N; i++) {
      float x = tile[i], square = x * x;
      tile[i] = fmaf(x * square, fmaf(fmaf(c7, square, c5), square, c3), x);
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

/// In front of the last index: where the row of it begins. With all of them: where the element is.
template <class... Indices>
SA_DEVICE long long named_row(const NamedTensor& tensor, Indices... indices) {
  int dimension = 0;
  long long at = 0;
  (..., (at += tensor.strides[dimension] * min(max(indices, 0), tensor.sizes[dimension] - 1),
         dimension++));
  return at;
}

/// Whether rows of a tensor can be read in vectors of so many elements and bytes from `key` on. The
/// same for all threads.
template <int last>
SA_DEVICE bool are_aligned(const NamedTensor& tensor, int key, int elements, int bytes) {
  long long odd = tensor.sizes[last] | key;
#pragma unroll
  for (int i = 0; i < last; i++) odd |= tensor.strides[i];
  return odd % elements == 0 && tensor.strides[last] == 1 &&
         (unsigned long long)tensor.data % bytes == 0;
}

/// Elements of a tensor's rows at the keys of a thread's part of a tile (parts/fragment.cuh):
/// loaded ahead, arranged when they are needed.
template <class Element, int N, int last>
struct KeyElements {
  u32 pairs[N / 2];  // of neighbouring columns; as loaded, of the thread's vectors
  bool are_vectors;

  SA_DEVICE float operator[](int i) const {
    return unpack(Element(), u16(pairs[i / 2] >> (i % 2 * 16)));
  }

  // A quad reads 32 columns of a row in one go where they are aligned.
  SA_DEVICE void load(const NamedTensor& tensor, const long long (&rows)[2], int key) {
    const u16* data = (const u16*)tensor.data;
    int end = tensor.sizes[last], stride = int(tensor.strides[last]), lane = threadIdx.x % 4;
    are_vectors = N % 16 == 0 && are_aligned<last>(tensor, key - 2 * lane, 8, 16);
    if (are_vectors) {
#pragma unroll
      for (int i = 0; i < N / 8; i++) {
        int column = 32 * (i / 2) + 8 * lane - 2 * lane;
        int4 v =
            load_global((const int4*)(data + rows[i % 2] + min(max(key + column, 0), end - 8)));
        u32 x[4] = {u32(v.x), u32(v.y), u32(v.z), u32(v.w)};
#pragma unroll
        for (int j = 0; j < 4; j++) pairs[8 * (i / 2) + 2 * j + i % 2] = x[j];
      }
    } else {
#pragma unroll
      for (int p = 0; p < N / 2; p++) {
        auto at = [&](int k) {
          return u32(load_global(data + rows[p % 2] + (long long)min(max(k, 0), end - 1) * stride));
        };
        pairs[p] = at(key + 8 * (p / 2)) | at(key + 8 * (p / 2) + 1) << 16;
      }
    }
  }

  // Lane t has columns 8t to 8t + 7 of 32 and needs columns 2t and 2t + 1 of every eight: the quad
  // transposes 4 x 4 pairs, first in blocks of two.
  SA_DEVICE void arrange() {
    if (!are_vectors) return;
    bool upper = threadIdx.x & 2, odd = threadIdx.x & 1;
#pragma unroll
    for (int i = 0; i < N / 8; i++) {
      u32* x = pairs + 8 * (i / 2) + i % 2;  // x[2 j] is pair j
      exchange(x[0], x[4], upper, 2);
      exchange(x[2], x[6], upper, 2);
      exchange(x[0], x[2], odd, 1);
      exchange(x[4], x[6], odd, 1);
    }
  }

 private:
  // Swaps b of the lower lane with a of the upper one.
  SA_DEVICE static void exchange(u32& a, u32& b, bool is_upper, int lanes) {
    u32 received = __shfl_xor_sync(~0u, is_upper ? a : b, lanes);
    if (is_upper)
      a = received;
    else
      b = received;
  }
};
template <int N, int last>
struct KeyElements<float, N, last> {
  float values[N];

  SA_DEVICE float operator[](int i) const { return values[i]; }
  SA_DEVICE void arrange() {}

  SA_DEVICE void load(const NamedTensor& tensor, const long long (&rows)[2], int key) {
    const float* data = (const float*)tensor.data;
    int end = tensor.sizes[last], stride = int(tensor.strides[last]);
    if (are_aligned<last>(tensor, key, 2, 8)) {
#pragma unroll
      for (int p = 0; p < N / 2; p++) {
        float2 pair = load_global(
            (const float2*)(data + rows[p % 2] + min(max(key + 8 * (p / 2), 0), end - 2)));
        values[2 * p] = pair.x;
        values[2 * p + 1] = pair.y;
      }
    } else {
#pragma unroll
      for (int i = 0; i < N; i++)
        values[i] =
            load_global(data + rows[i / 2 % 2] +
                        (long long)min(max(key + 8 * (i / 4) + i % 2, 0), end - 1) * stride);
    }
  }
};

/// Brings the element at `key` of a row into the L2 cache.
template <class Element, int last>
SA_DEVICE void prefetch_named(const NamedTensor& tensor, long long row, int key) {
  constexpr int bytes = is_float<Element> ? 4 : 2;
  int nearest = min(max(key, 0), tensor.sizes[last] - 1);
  prefetch_l2((const char*)tensor.data +
              bytes * (row + (long long)nearest * int(tensor.strides[last])));
}

/// None.
struct NoElements {
  SA_DEVICE float operator[](int) const { return 0; }
  SA_DEVICE void arrange() {}
};

}  // namespace streamattn
