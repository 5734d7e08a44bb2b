// Random tensor contents that depend on nothing but a seed and the element's index.
#pragma once

#include <cstdint>

#include "streamattn/dtype.h"

namespace streamattn {

enum class Distribution {
  normal,    ///< N(0, 1)
  outliers,  ///< the same, with 1 % of the entries 30 times as large
};

/// Element `index` of the sequence that `seed` names. Elements are independent of each other.
float random_element(std::uint64_t seed, std::uint64_t index, Distribution distribution);

/// Writes elements 0 to count - 1 of the sequence to `data`, an array of `type`, on all cores.
void fill_random(void* data, DType type, std::int64_t count, std::uint64_t seed,
                 Distribution distribution = Distribution::normal);

}  // namespace streamattn
