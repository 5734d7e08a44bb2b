// A call as its mask sees it: sizes, positions and named values, without Q, K and V. Of sequences
// that differ it is the call in which all are as long as the longest.
#pragma once

#include "compiler/operations/forward/evaluate.h"
#include "measure/forward_case.h"

namespace streamattn {

class MaskedCall {
 public:
  /// Throws Error (invalid_argument) for sizes and values that no call can have.
  explicit MaskedCall(const ForwardCase& given);

  // What it gives points into it.
  MaskedCall(const MaskedCall&) = delete;
  MaskedCall& operator=(const MaskedCall&) = delete;

  const ForwardCall& call() const { return call_; }
  const Expr& mask() const { return problem_.mask; }
  const FlatProblem& exprs() const { return exprs_; }

  /// Batch entries and heads that the mask tells apart: the first ones stand for all.
  std::int64_t batches() const { return batches_; }
  std::int64_t heads() const { return heads_; }

  /// How many each of them stands for.
  double repeats() const;

 private:
  Problem problem_;  // its mask alone
  FlatProblem exprs_;
  NamedInputs named_;
  ForwardCall call_;
  std::int64_t batches_, heads_;
};

}  // namespace streamattn
