// How much slower one schedule is than another, from rounds in which both ran.
#pragma once

#include <cstdint>
#include <span>

namespace streamattn {

/// A ratio of times and between which values it lies, with 95 % confidence.
struct PairedRatio {
  double ratio = 1, low = 1, high = 1;
};

/// Times of one schedule over those of another: the median over rounds of differences of
/// logarithms, and a bootstrap over the rounds, drawn by `seed`. Both have as many rounds, >= 1.
PairedRatio paired_ratio(std::span<const double> logs, std::span<const double> logs_of_other,
                         std::uint64_t seed = 1);

}  // namespace streamattn
