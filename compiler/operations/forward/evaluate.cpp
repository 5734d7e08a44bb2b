// From rows of a call to points of expressions.
#include "compiler/operations/forward/evaluate.h"

#include <algorithm>

namespace streamattn {

FlatProblem::FlatProblem(const Problem& problem) : FlatProblem(problem, ExprNames(problem)) {}

FlatProblem::FlatProblem(const Problem& problem, const ExprNames& names)
    : ranges(problem.mask, names) {
  if (!problem.mask.same_as(Expr())) mask.emplace(problem.mask, names);
  if (problem.changes_score()) score.emplace(problem.score, names);
  if (problem.sink) sink.emplace(*problem.sink, names);
}

template <class Real>
CallEvaluator<Real>::CallEvaluator(const FlatProblem& problem, const ForwardCall& call)
    : call_(call) {
  if (problem.mask) mask_.emplace(*problem.mask, call.named);
  if (problem.score) score_.emplace(*problem.score, call.named);
  if (problem.sink) sink_.emplace(*problem.sink, call.named);
}

template <class Real>
void CallEvaluator<Real>::see(const CallRow& row, std::int64_t first, std::int64_t count,
                              std::uint8_t* to) {
  if (!mask_) return std::fill_n(to, count, std::uint8_t{1}), void();
  mask_->start(point_of(call_, row));
  mask_->evaluate(call_.k_position + first, count, to);
}

template <class Real>
void CallEvaluator<Real>::change(const CallRow& row, std::int64_t first, std::int64_t count,
                                 Real* scores) {
  if (!score_) return;
  score_->start(point_of(call_, row));
  score_->evaluate(call_.k_position + first, count, scores, scores);
}

template <class Real>
Real CallEvaluator<Real>::sink(const CallRow& row) {
  Real logit = 0;
  sink_->start(point_of(call_, row));
  sink_->evaluate(0, 1, nullptr, &logit);
  return logit;
}

template class CallEvaluator<float>;
template class CallEvaluator<double>;

}  // namespace streamattn
