// How right an append is: copies bit by bit, turned columns against float64.
#pragma once

#include <cstdint>

#include "measure/append_case.h"

namespace streamattn {

struct AppendAccuracy {
  std::int64_t rows = 0;          ///< of heads of k, v and rotated_q that are to be written
  std::int64_t wrong_copies = 0;  ///< columns of these that should be copied and are not
  double error = 0;               ///< of turned columns, the largest over what Rope allows
  bool untouched = false;         ///< nothing but these rows was written

  bool ok() const { return wrong_copies == 0 && error <= 1 && untouched; }
};

/// Checks all outputs in `tensors` after a launch with their arguments, or with `args`, whose
/// tensors are these.
AppendAccuracy check_append_result(const Problem& problem, const AppendTensors& tensors,
                                   const AppendArgs& args);
AppendAccuracy check_append_result(const Problem& problem, const AppendTensors& tensors);

}  // namespace streamattn
