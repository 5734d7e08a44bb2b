// One forward call on random host tensors, and the check of what it gave.
#pragma once

#include <optional>
#include <string>

#include "measure/reference.h"
#include "streamattn/problem.h"
#include "streamattn/tensor.h"
#include "tests/support/host_tensor.h"

namespace streamattn {

/// A call as a test writes it down. Memory comes from ForwardTensors.
struct ForwardCase {
  Problem problem = {};
  Shape shape = {};
  Layout layout = Layout::bshd;
  Distribution distribution = Distribution::normal;
  std::uint64_t seed = 1;

  std::string describe() const;
};

/// The tensors of a case: random q, k and v, poisoned o and lse.
struct ForwardTensors {
  explicit ForwardTensors(const ForwardCase& given);

  /// Arguments with these tensors; the rest are defaults.
  ForwardArgs args() const;

  HostTensor q, k, v, o, lse;
};

/// Errors of a result against float64, and the largest ones it may have.
struct Errors {
  double o = 0, lse = 0;  ///< relative L2; largest absolute
  double o_allowed = 0, lse_allowed = 0;
};

/// Compares `rows` of the host tensors o and lse with float64. Allowed is twice the error of a
/// plain implementation in the same precision, or what rounding alone can cost where that is more.
/// Rows see keys by `visible`, or the problem's mask where that is empty.
Errors errors_of(const Problem& problem, const ForwardArgs& args, std::span<const OutputRow> rows,
                 const Visible& visible = {});

/// Fails the test unless all rows that `args` asks for are as exact as they must be and nothing but
/// these was written.
void check_result(const Problem& problem, const ForwardArgs& args, const ForwardTensors& tensors,
                  const Visible& visible = {});

}  // namespace streamattn
