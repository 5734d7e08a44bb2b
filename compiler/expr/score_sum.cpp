// Takes scores apart.
#include "compiler/expr/score_sum.h"

#include <numbers>

#include "compiler/expr/node.h"
#include "streamattn/error.h"

namespace streamattn {
namespace {

ScoreSum scaled(const ScoreSum& sum, double factor) {
  return {sum.factor * factor, Expr(factor) * sum.rest};
}

// With a rest that is the score's own, not yet of base 2.
std::optional<ScoreSum> sum_of(const Expr& score) {
  const ExprNode& node = score.node();
  const auto& x = node.operands;
  const auto uses_score = [](const Expr& part) {
    return part.node().uses_variable(Variable::score);
  };
  if (!uses_score(score)) return {};
  switch (node.op) {
    case ExprOp::variable:
      return ScoreSum{1, Expr(0.0)};
    case ExprOp::add:
      for (const int i : {0, 1})
        if (!uses_score(x[1 - i]))
          if (const auto sum = sum_of(x[i])) return ScoreSum{sum->factor, sum->rest + x[1 - i]};
      return {};
    case ExprOp::subtract:
      if (uses_score(x[1])) return {};
      if (const auto sum = sum_of(x[0])) return ScoreSum{sum->factor, sum->rest - x[1]};
      return {};
    case ExprOp::multiply:
      if (!x[0].node().is_constant()) return {};
      if (const auto sum = sum_of(x[1])) return scaled(*sum, x[0].node().real);
      return {};
    case ExprOp::divide:
      if (!x[1].node().is_constant()) return {};
      if (const auto sum = sum_of(x[0])) return scaled(*sum, 1 / x[1].node().real);
      return {};
    default:
      return {};
  }
}

}  // namespace

std::optional<ScoreSum> as_sum(const Expr& score) {
  try {
    const auto sum = sum_of(score);
    if (!sum || !(sum->factor > 0)) return {};
    return ScoreSum{sum->factor, Expr(std::numbers::log2e) * sum->rest};
  } catch (const Error&) {
    return {};  // a constant that float32 does not hold, or too large an expression
  }
}

}  // namespace streamattn
