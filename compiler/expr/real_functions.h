// Functions of reals that compilers vectorise: without branches and calls.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace streamattn::real_functions {

inline double exp(double x) { return std::exp(x); }
inline double tanh(double x) { return std::tanh(x); }

/// a where the condition holds, else b: of values that are both computed, as `?:` need not be,
/// which keeps compilers from vectorising it.
inline float chosen(bool condition, float a, float b) {
  const auto mask = 0U - static_cast<std::uint32_t>(condition);
  return std::bit_cast<float>((std::bit_cast<std::uint32_t>(a) & mask) |
                              (std::bit_cast<std::uint32_t>(b) & ~mask));
}

/// e^x to 2 ulp, denormal results to 2^-149; infinite from 88.73 on, 0 below -104; NaN for NaN.
inline float exp(float x) {
  // Beyond these the result is infinite or zero all the same. A NaN passes.
  const float bounded = chosen(x > 89, 89, chosen(x < -105, -105, x));
  // Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits.
  constexpr float magic = 12582912;
  const float shifted = bounded * 1.44269504F + magic;
  const float whole = shifted - magic;
  // ln 2 in two parts, the first with few enough bits for an exact product.
  const float rest = (bounded - whole * 0.693359375F) + whole * 2.12194440e-4F;
  // Cephes, expf: e^rest on [-ln 2 / 2, ln 2 / 2].
  float y = 1.9875691500e-4F;
  y = y * rest + 1.3981999507e-3F;
  y = y * rest + 8.3334519073e-3F;
  y = y * rest + 4.1665795894e-2F;
  y = y * rest + 1.6666665459e-1F;
  y = y * rest + 5.0000001201e-1F;
  y = y * rest * rest + rest + 1;
  // 2^whole in two factors: whole is -152 to 129.
  const auto exponent = std::bit_cast<std::int32_t>(shifted) - std::bit_cast<std::int32_t>(magic);
  const std::int32_t half = exponent >> 1;
  const auto power = [](std::int32_t n) { return std::bit_cast<float>((n + 127) << 23); };
  return y * power(half) * power(exponent - half);
}

/// tanh(x) to 2 ulp; NaN for NaN.
inline float tanh(float x) {
  const float size = std::fabs(x);
  // Cephes, tanhf: near zero a polynomial.
  const float square = x * x;
  float y = -5.70498872745e-3F;
  y = y * square + 2.06390887954e-2F;
  y = y * square - 5.37397155531e-2F;
  y = y * square + 1.33314422036e-1F;
  y = y * square - 3.33332819422e-1F;
  const float near = y * square * x + x;
  const float far = 1 - 2 / (exp(2 * size) + 1);
  return chosen(size < 0.625F, near, std::copysign(far, x));
}

}  // namespace streamattn::real_functions
