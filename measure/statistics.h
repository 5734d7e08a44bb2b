// Medians, spreads and means of measurements.
#pragma once

#include <span>
#include <vector>

namespace streamattn {

/// The middle value, or the mean of the two in the middle. `values` must not be empty.
double median(std::vector<double> values);

/// How far measurements of one thing lie apart: the second largest over the second smallest, less
/// one; of fewer than four values the largest over the smallest. `values` must not be empty.
double spread(std::vector<double> values);

/// exp(mean(log)). `values` must not be empty and > 0.
double geometric_mean(std::span<const double> values);

/// The exponent of the power law y = c x^slope that fits best: least squares of log y over log x.
/// At least two different x, all numbers > 0.
double log_log_slope(std::span<const double> x, std::span<const double> y);

}  // namespace streamattn
