// Vector building blocks of the CPU target; compiled once per instruction set (hence no plain
// include guard, see Highway's foreach_target.h).
#if defined(STREAMATTN_CPU_VECTORS) == defined(HWY_TARGET_TOGGLE)
#ifdef STREAMATTN_CPU_VECTORS
#undef STREAMATTN_CPU_VECTORS
#else
#define STREAMATTN_CPU_VECTORS
#endif

#include <hwy/highway.h>

#include "streamattn/dtype.h"

HWY_BEFORE_NAMESPACE();
namespace streamattn {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Lanes = hn::ScalableTag<float>;
using Vector = hn::Vec<Lanes>;

/// A block is two vectors of query rows.
inline size_t block_lanes() { return 2 * hn::Lanes(Lanes()); }

// Rows of the other operand that meet a block at once: the accumulators then fill 24 of the 32
// registers of AVX-512 (12 of 16 elsewhere), enough to hide the latency of the multiply-adds, and
// the loads are few beside these.
constexpr int most_rows = HWY_TARGET <= HWY_AVX3 ? 12 : 6;

/// e^x for x <= 0, to 2 ulp and what rounding x has cost; 0 below -87.33 (2^-126), NaN for NaN.
HWY_INLINE Vector exp(Vector x) {
  const Lanes d;
  const hn::RebindToSigned<Lanes> di;
  const Vector log2_e = hn::Set(d, 1.44269504F);
  // Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits, here with the exponent's
  // bias on top.
  const Vector magic = hn::Set(d, 12582912.0F + 127.0F);
  const Vector shifted = hn::MulAdd(x, log2_e, magic);
  const Vector fraction = hn::MulSub(x, log2_e, hn::Sub(shifted, magic));
  const Vector power = hn::BitCast(d, hn::ShiftLeft<23>(hn::BitCast(di, shifted)));
  // 2^fraction: minimax for the relative error (9.2e-8) on [-0.5, 0.5], exact at 0.
  Vector y = hn::Set(d, 0.00132647369F);
  y = hn::MulAdd(y, fraction, hn::Set(d, 0.00967151672F));
  y = hn::MulAdd(y, fraction, hn::Set(d, 0.0555073359F));
  y = hn::MulAdd(y, fraction, hn::Set(d, 0.240222424F));
  y = hn::MulAdd(y, fraction, hn::Set(d, 0.693147004F));
  y = hn::MulAdd(y, fraction, hn::Set(d, 1.0F));
  return hn::IfThenElse(hn::Lt(x, hn::Set(d, -87.33F)), hn::Zero(d), hn::Mul(y, power));
}

/// The left operand of multiply(): value (i, s) is data[i * row_step + s * sum_step].
struct Left {
  const float* data;
  size_t row_step, sum_step;
};

/// c[i] = c[i] * factor + sum over s of a(i, s) * b[s], for i < rows, where c[i], factor and b[s]
/// are blocks. Without `factor`, what was in c does not count. The sum is added up by itself, so
/// that a long c does not swallow its terms. With is_masked, terms whose block of `mask` is zero do
/// not count, even if a is not finite.
template <bool is_masked, int rows>
HWY_INLINE void multiply_rows(Left a, const float* HWY_RESTRICT b, const float* HWY_RESTRICT mask,
                              size_t sums, const float* HWY_RESTRICT factor,
                              float* HWY_RESTRICT c) {
  const Lanes d;
  const size_t lanes = hn::Lanes(d);
  const Vector zero = hn::Zero(d);
  Vector sum[rows][2];
  for (int i = 0; i < rows; ++i) sum[i][0] = sum[i][1] = zero;
  for (size_t s = 0; s < sums; ++s) {
    const Vector b0 = hn::Load(d, b + 2 * s * lanes);
    const Vector b1 = hn::Load(d, b + (2 * s + 1) * lanes);
    for (int i = 0; i < rows; ++i) {
      const Vector value = hn::Set(d, a.data[i * a.row_step + s * a.sum_step]);
      const Vector sum0 = hn::MulAdd(value, b0, sum[i][0]);
      const Vector sum1 = hn::MulAdd(value, b1, sum[i][1]);
      if constexpr (is_masked) {
        const auto hides0 = hn::Eq(hn::Load(d, mask + 2 * s * lanes), zero);
        const auto hides1 = hn::Eq(hn::Load(d, mask + (2 * s + 1) * lanes), zero);
        sum[i][0] = hn::IfThenElse(hides0, sum[i][0], sum0);
        sum[i][1] = hn::IfThenElse(hides1, sum[i][1], sum1);
      } else {
        sum[i][0] = sum0;
        sum[i][1] = sum1;
      }
    }
  }
  for (int i = 0; i < rows; ++i) {
    for (int half = 0; half < 2; ++half) {
      float* to = c + (2 * i + half) * lanes;
      if (factor != nullptr) {
        const Vector before = hn::Load(d, to);
        sum[i][half] = hn::MulAdd(before, hn::Load(d, factor + half * lanes), sum[i][half]);
      }
      hn::Store(sum[i][half], d, to);
    }
  }
}

/// multiply_rows for any number of rows: as many as possible at once, then in fours, then singly.
template <bool is_masked, int at_once = most_rows>
HWY_INLINE void multiply(Left a, size_t rows, const float* b, const float* mask, size_t sums,
                         const float* factor, float* c) {
  for (; rows >= at_once; rows -= at_once) {
    multiply_rows<is_masked, at_once>(a, b, mask, sums, factor, c);
    a.data += at_once * a.row_step;
    c += at_once * block_lanes();
  }
  if constexpr (at_once > 1) {
    multiply<is_masked, (at_once > 4 ? 4 : 1)>(a, rows, b, mask, sums, factor, c);
  }
}

/// One vector of 16-bit or 32-bit elements as floats.
template <typename Element>
HWY_INLINE Vector load_floats(const Element* from) {
  const Lanes d;
  if constexpr (sizeof(Element) == sizeof(float)) {
    return hn::LoadU(d, from);
  } else {
    return hn::PromoteTo(d, hn::LoadU(hn::Rebind<Element, Lanes>(), from));
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace streamattn
HWY_AFTER_NAMESPACE();

#endif
