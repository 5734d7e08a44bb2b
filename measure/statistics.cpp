// Medians, spreads and means of measurements.
#include "measure/statistics.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace streamattn {

double median(std::vector<double> values) {
  assert(!values.empty());
  std::ranges::sort(values);
  const std::size_t middle = values.size() / 2;
  if (values.size() % 2 == 1) return values[middle];
  return 0.5 * (values[middle - 1] + values[middle]);
}

double spread(std::vector<double> values) {
  assert(!values.empty());
  std::ranges::sort(values);
  const std::size_t drop = values.size() < 4 ? 0 : 1;
  return values[values.size() - 1 - drop] / values[drop] - 1;
}

double geometric_mean(std::span<const double> values) {
  assert(!values.empty());
  double sum = 0;
  for (const double value : values) sum += std::log(value);
  return std::exp(sum / static_cast<double>(values.size()));
}

double log_log_slope(std::span<const double> x, std::span<const double> y) {
  assert(x.size() == y.size() && x.size() >= 2);
  const double middle_x = std::log(geometric_mean(x)), middle_y = std::log(geometric_mean(y));
  double covariance = 0, variance = 0;
  for (std::size_t i = 0; i < x.size(); i++) {
    const double apart = std::log(x[i]) - middle_x;
    covariance += apart * (std::log(y[i]) - middle_y);
    variance += apart * apart;
  }
  assert(variance > 0);
  return covariance / variance;
}

}  // namespace streamattn
