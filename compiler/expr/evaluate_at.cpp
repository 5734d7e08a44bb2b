// The value of an expression at one point.
#include "compiler/expr/evaluate.h"

namespace streamattn {
namespace {

template <class Value>
Value value_at(const Expr& expr, const ExprPoint& point, const ExprNames& names,
               const NamedValues& values) {
  const FlatExpr flat(expr, names);
  RowEvaluator<double> evaluator(flat, values);
  evaluator.start(point);
  Value value;
  if constexpr (std::is_same_v<Value, double>)
    evaluator.evaluate(point.k, 1, &point.score, &value);
  else
    evaluator.evaluate(point.k, 1, &value);
  return value;
}

}  // namespace

bool holds_at(const Expr& condition, const ExprPoint& point, const ExprNames& names,
              const NamedValues& values) {
  return value_at<std::uint8_t>(condition, point, names, values) != 0;
}

std::int64_t integer_at(const Expr& expr, const ExprPoint& point, const ExprNames& names,
                        const NamedValues& values) {
  return value_at<std::int64_t>(expr, point, names, values);
}

double real_at(const Expr& expr, const ExprPoint& point, const ExprNames& names,
               const NamedValues& values) {
  return value_at<double>(expr, point, names, values);
}

bool holds_at(const Expr& condition, const ExprPoint& point) {
  return holds_at(condition, point, ExprNames({condition}), {});
}

std::int64_t integer_at(const Expr& expr, const ExprPoint& point) {
  return integer_at(expr, point, ExprNames({expr}), {});
}

double real_at(const Expr& expr, const ExprPoint& point) {
  return real_at(expr, point, ExprNames({expr}), {});
}

}  // namespace streamattn
