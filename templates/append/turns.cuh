// Rotary embeddings: sines and cosines of fractions of a turn, and pairs of columns turned by them.
#pragma once

#include "append/append_params.h"
#include "parts/columns.cuh"

namespace streamattn {

/// Sine and cosine of an angle in turns, 64 bits behind the point. The nearest quarter of a turn
/// comes off exactly; of the rest, within +-pi / 4, 30 bits count. Polynomials: S. Moshier, Cephes,
/// sinf.c; 1e-7.
SA_DEVICE void sine_and_cosine(u64 turns, float& sine, float& cosine) {
  u32 quarter = u32((turns + (u64(1) << 61)) >> 62);
  int rest = int(u32((turns - (u64(quarter) << 62)) >> 32));
  float x = float(rest) * 1.46291807927e-9f;  // 2 pi / 2^32
  float z = x * x;
  float s =
      fmaf(fmaf(fmaf(-1.9515295891e-4f, z, 8.3321608736e-3f), z, -1.6666654611e-1f), z * x, x);
  float c =
      fmaf(fmaf(fmaf(2.443315711809948e-5f, z, -1.388731625493765e-3f), z, 4.166664568298827e-2f),
           z * z, fmaf(-0.5f, z, 1.0f));
  bool odd = quarter & 1;
  sine = odd ? c : s;
  cosine = odd ? s : c;
  if (quarter & 2) sine = -sine;
  if ((quarter + 1) & 2) cosine = -cosine;
}

/// The factors of the eight pairs that a lane turns in every head of a token.
struct PairFactors {
  static constexpr int pairs = 8;

  float sine[pairs], cosine[pairs];

  /// Of lane `lane` at a position. Its two vectors of eight columns are vector `lane` of each half
  /// of what is turned.
  SA_DEVICE void load(const RopeParams& rope, long long position, int lane) {
    int low = rope.split_half ? lane * pairs : lane * (pairs / 2);
    int high = rope.split_half ? low + pairs / 2 : (lane + rope.vectors) * (pairs / 2);
#pragma unroll
    for (int i = 0; i < pairs; i++) {
      int pair = i < pairs / 2 ? low + i : high + i - pairs / 2;
      if (rope.cos) {
        int last = rope.positions - 1, row = position < 0      ? 0
                                             : position < last ? int(position)
                                                               : last;
        cosine[i] = load_global(rope.cos + row * rope.cos_stride + pair);
        sine[i] = load_global(rope.sin + row * rope.sin_stride + pair);
      } else {
        sine_and_cosine(rope.steps[pair] * u64(position), sine[i], cosine[i]);
      }
    }
  }

  /// Turns the columns of both vectors.
  template <class Element>
  SA_DEVICE void turn(Element element, bool split_half, int4& low, int4& high) const {
    float x[2 * pairs];
    unpack_columns(element, low, x);
    unpack_columns(element, high, x + pairs);
    if (split_half) {
      turn_pairs<1, pairs>(x);
    } else {
      turn_pairs<2, 1>(x);
    }
    low = pack_columns(element, x);
    high = pack_columns(element, x + pairs);
  }

 private:
  // Pair i is columns i * step and i * step + other.
  template <int step, int other>
  SA_DEVICE void turn_pairs(float (&x)[2 * pairs]) const {
#pragma unroll
    for (int i = 0; i < pairs; i++) {
      float a = x[i * step], b = x[i * step + other];
      x[i * step] = fmaf(a, cosine[i], -b * sine[i]);
      x[i * step + other] = fmaf(b, cosine[i], a * sine[i]);
    }
  }
};

}  // namespace streamattn
