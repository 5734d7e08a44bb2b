// Units in the last place of element types.
#pragma once

#include <algorithm>
#include <cmath>

#include "streamattn/dtype.h"

namespace streamattn {

/// Half of the distance between elements of `type`, a real one, next to `value`.
inline double half_unit(DType type, double value) {
  const int bits = type == DType::bf16 ? 8 : type == DType::f16 ? 11 : 24;
  const int least = type == DType::f16 ? -13 : -125;
  int exponent = 0;
  std::frexp(value, &exponent);
  return std::ldexp(0.5, std::max(exponent, least) - bits);
}

}  // namespace streamattn
