// A counter-based generator: hash of seed and index, then Box-Muller.
#include "measure/random_inputs.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "runtime/cpu/threads.h"
#include "support/half.h"

namespace streamattn {
namespace {

/// The finalizer of splitmix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number
/// Generators, 2014).
std::uint64_t mix(std::uint64_t x) {
  x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9;
  x = (x ^ x >> 27) * 0x94D049BB133111EB;
  return x ^ x >> 31;
}

}  // namespace

float random_element(std::uint64_t seed, std::uint64_t index, Distribution distribution) {
  constexpr std::uint64_t golden_ratio = 0x9E3779B97F4A7C15;  // the step of splitmix64
  const std::uint64_t bits = mix(mix(seed + golden_ratio) + (index + 1) * golden_ratio);
  const float radius_uniform = (static_cast<float>(bits >> 40) + 0.5F) * 0x1p-24F;  // in (0, 1)
  const float angle_uniform = static_cast<float>(bits >> 16 & 0xFFFFFF) * 0x1p-24F;
  const float normal = std::sqrt(-2 * std::log(radius_uniform)) *
                       std::cos(2 * std::numbers::pi_v<float> * angle_uniform);
  const bool is_outlier = distribution == Distribution::outliers && mix(bits) % 100 == 0;
  return is_outlier ? 30 * normal : normal;
}

void fill_random(void* data, DType type, std::int64_t count, std::uint64_t seed,
                 Distribution distribution) {
  constexpr std::int64_t piece = 1 << 16;
  parallel_for((count + piece - 1) / piece, 0, [&](std::int64_t i) {
    for (std::int64_t e = i * piece; e < std::min(count, (i + 1) * piece); ++e) {
      store_element(data, type, e,
                    random_element(seed, static_cast<std::uint64_t>(e), distribution));
    }
  });
}

}  // namespace streamattn
