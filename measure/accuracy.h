// How right a result is: against float64, beside plain attention in the same precision.
#pragma once

#include <cstdint>

#include "measure/operands.h"

namespace streamattn {

struct Accuracy {
  std::int64_t rows = 0;          ///< output rows computed
  std::int64_t checked_rows = 0;  ///< of these, compared with float64
  std::int64_t nan_rows = 0;      ///< of these, with a NaN: wrong, or never written
  double error = 0;               ///< of O over the checked rows, relative L2 norm
  double plain_error = 0;         ///< the same of textbook attention in the problem's precision
  double lse_error = 0;           ///< largest difference, natural log
  double plain_lse_error = 0;

  /// No NaN, and errors at most twice the plain ones.
  bool ok() const;
};

/// Multiplications that check_accuracy() spends where it is not told: a few seconds of one core.
inline constexpr double reference_budget = 4e9;

/// Compares the outputs in `tensors` with float64. Problems that cost at most `budget` are checked
/// whole; of larger ones, rows drawn by `seed`.
Accuracy check_accuracy(const Call& call, HostTensors& tensors, std::uint64_t seed,
                        double budget = reference_budget);

}  // namespace streamattn
