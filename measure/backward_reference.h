// Slow and obvious gradients on the host, which every backward kernel is checked against.
#pragma once

#include <span>
#include <vector>

#include "measure/reference.h"
#include "streamattn/backward.h"

namespace streamattn {

/// A gradient, dense, and of each element the sum of the absolute values of all that was added up
/// to it: what rounding is measured by.
struct GradientValues {
  std::vector<double> values, magnitudes;
};

/// Rows of k and v with their gradients; `head` of an OutputRow is a key-value head there.
struct KeyGradients {
  GradientValues d_k, d_v;  ///< [rows, dim]
};

/// Who computes.
enum class Precision {
  float64,  ///< exact for the arguments: o and lse are inputs as any other
  plain,    ///< textbook: float32 but for P and dS, which are kept in the element type; results are
            ///< rounded to that of the gradient
};

/// d_q of some rows, [rows, head_dim]. Reads host tensors of `args`, and of these only what a row
/// sees. Works on all cores. What is there before does not count, even if args.accumulate is set.
GradientValues query_gradients(const Problem& problem, const BackwardArgs& args,
                               std::span<const OutputRow> rows, Precision precision);

/// d_k and d_v of some rows of k, in the order batch, key-value head, row.
KeyGradients key_gradients(const Problem& problem, const BackwardArgs& args,
                           std::span<const OutputRow> rows, Precision precision);

/// Of each named tensor in args.gradients, all of its elements, dense.
std::vector<GradientValues> tensor_gradients(const Problem& problem, const BackwardArgs& args,
                                             Precision precision);

}  // namespace streamattn
