// Evaluates the expressions of a problem for the rows of a call, on the host.
#pragma once

#include <cstdint>
#include <optional>

#include "compiler/expr/evaluate.h"
#include "compiler/operations/forward/call.h"
#include "compiler/operations/forward/key_rows.h"
#include "streamattn/problem.h"

namespace streamattn {

/// The expressions of a problem, each where it has something to do.
struct FlatProblem {
  explicit FlatProblem(const Problem& problem);

  std::optional<FlatExpr> mask;   ///< none: every key is seen
  std::optional<FlatExpr> score;  ///< none: the scaled product
  std::optional<FlatExpr> sink;
  MaskRanges ranges;

 private:
  FlatProblem(const Problem& problem, const ExprNames& names);
};

/// What the rows of a call see and make of scores, in type Real: float or double. Named tensors are
/// in host memory. Not to be shared between threads.
template <class Real>
class CallEvaluator {
 public:
  /// Both must outlive it.
  CallEvaluator(const FlatProblem& problem, const ForwardCall& call);

  /// to[i] = 1 where the row sees key `first` + i, a row of call.k, else 0.
  void see(const CallRow& row, std::int64_t first, std::int64_t count, std::uint8_t* to);

  /// Turns the scaled products of the row and keys from `first` on into scores.
  void change(const CallRow& row, std::int64_t first, std::int64_t count, Real* scores);

  /// The logit of the sink, of problems that have one.
  Real sink(const CallRow& row);

 private:
  const ForwardCall& call_;
  std::optional<RowEvaluator<Real>> mask_, score_, sink_;
};

}  // namespace streamattn
