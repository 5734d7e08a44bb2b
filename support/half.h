// Exact conversions between float and the 16-bit element types, and what rounding to these costs.
#pragma once

#include <bit>
#include <cstdint>

#include "streamattn/dtype.h"

namespace streamattn {

constexpr float float_from_bf16(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

/// Rounds to nearest, ties to even; a NaN stays a (quiet) NaN.
constexpr std::uint16_t bf16_from_float(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if (value != value) return static_cast<std::uint16_t>(bits >> 16 | 0x40);
  return static_cast<std::uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

constexpr float float_from_f16(std::uint16_t bits) {
  const std::uint32_t sign = (bits & 0x8000U) << 16;
  const std::uint32_t magnitude = bits & 0x7FFFU;
  // Denormals are multiples of 2^-24.
  if (magnitude < 0x400) {
    const float value = static_cast<float>(magnitude) * 0x1p-24F;
    return sign != 0 ? -value : value;
  }
  const std::uint32_t bias = magnitude >= 0x7C00 ? 255 - 31 : 127 - 15;  // infinities, NaNs; rest
  return std::bit_cast<float>(sign | ((magnitude << 13) + (bias << 23)));
}

/// Rounds to nearest, ties to even; overflows to infinity; a NaN stays a (quiet) NaN.
constexpr std::uint16_t f16_from_float(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>(bits >> 16 & 0x8000);
  const std::uint32_t magnitude = bits & 0x7FFFFFFFU;
  if (magnitude > 0x7F800000U) return sign | 0x7E00 | (magnitude >> 13 & 0x1FF);
  // From 65520, halfway between the largest number and the next power of two.
  if (magnitude >= 0x477FF000U) return sign | 0x7C00;
  // Below 2^-14: adding 0.5 leaves the rounded multiple of 2^-24 in the low bits.
  if (magnitude < 0x38800000U) {
    const float shifted = std::bit_cast<float>(magnitude) + 0.5F;
    return sign | static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(shifted) - 0x3F000000U);
  }
  const std::uint32_t rebiased = magnitude - ((127U - 15U) << 23);
  return sign | static_cast<std::uint16_t>((rebiased + 0xFFF + (rebiased >> 13 & 1)) >> 13);
}

/// Element `index` of an array of `type`, a real one.
inline float load_element(const void* data, DType type, std::int64_t index) {
  if (type == DType::f32) return static_cast<const float*>(data)[index];
  const std::uint16_t bits = static_cast<const std::uint16_t*>(data)[index];
  return type == DType::bf16 ? float_from_bf16(bits) : float_from_f16(bits);
}

/// Writes element `index` of an array of `type`, a real one, rounding to nearest even.
inline void store_element(void* data, DType type, std::int64_t index, float value) {
  if (type == DType::f32) {
    static_cast<float*>(data)[index] = value;
  } else {
    static_cast<std::uint16_t*>(data)[index] =
        type == DType::bf16 ? bf16_from_float(value) : f16_from_float(value);
  }
}

/// The value that an element of `type`, a real one, nearest to `value` has.
inline float rounded(DType type, float value) {
  if (type == DType::bf16) return float_from_bf16(bf16_from_float(value));
  return type == DType::f16 ? float_from_f16(f16_from_float(value)) : value;
}

/// The largest relative error of rounded() to `type`, where it neither overflows nor is denormal.
constexpr double unit_roundoff(DType type) {
  if (type == DType::bf16) return 0x1p-8;
  return type == DType::f16 ? 0x1p-11 : 0x1p-24;
}

}  // namespace streamattn
