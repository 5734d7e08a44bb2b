// How right gradients are: against float64, beside plain attention differentiated in the same
// precision.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "measure/accuracy.h"
#include "measure/backward_case.h"

namespace streamattn {

/// The error of one gradient, relative L2, or absolute where all of it should be 0.
struct GradientError {
  std::string name;  ///< "d_q", or that of a named tensor
  double error = 0, plain = 0, allowed = 0;

  bool ok() const { return error <= allowed; }
};

struct BackwardAccuracy {
  std::int64_t rows = 0, checked_rows = 0;  ///< of d_q
  std::int64_t keys = 0, checked_keys = 0;  ///< rows of d_k and d_v
  bool untouched = false;                   ///< nothing but the rows asked for was written
  std::vector<GradientError> errors;        ///< d_q, d_k, d_v, then named tensors that were checked

  bool ok() const;
};

/// Checks the gradients in `tensors`, those of `given` after a launch by `arithmetic`; o and lse
/// are taken as they are. Allowed is twice the error of the textbook in the same precision, and
/// what rounding alone can cost where that is more. Problems that cost at most `budget`
/// multiplications are compared whole, with their named tensors; of larger ones, rows drawn by the
/// seed and no named tensors.
BackwardAccuracy check_backward(const BackwardCase& given, const BackwardTensors& tensors,
                                Arithmetic arithmetic, double budget = reference_budget);

}  // namespace streamattn
