// Bootstraps ratios of paired rounds.
#include "autotune/paired.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <random>
#include <vector>

#include "measure/statistics.h"

namespace streamattn {

PairedRatio paired_ratio(std::span<const double> logs, std::span<const double> logs_of_other,
                         std::uint64_t seed) {
  assert(logs.size() == logs_of_other.size() && !logs.empty());
  constexpr int draws = 400;
  std::vector<double> differences;
  for (std::size_t i = 0; i < logs.size(); i++) differences.push_back(logs[i] - logs_of_other[i]);
  std::mt19937_64 random(seed);
  std::vector<double> medians, drawn(differences.size());
  for (int draw = 0; draw < draws; draw++) {
    for (double& value : drawn) value = differences[random() % differences.size()];
    medians.push_back(median(drawn));
  }
  std::ranges::sort(medians);
  return {.ratio = std::exp(median(differences)),
          .low = std::exp(medians[draws * 25 / 1000]),
          .high = std::exp(medians[draws - 1 - draws * 25 / 1000])};
}

}  // namespace streamattn
