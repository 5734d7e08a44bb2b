// The chain rule.
#include "compiler/expr/derivative.h"

#include <cassert>
#include <unordered_map>

#include "compiler/expr/build.h"

namespace streamattn {
namespace {

bool is_zero_constant(const Expr& real) {
  return real.node().is_constant() && real.node().real == 0;
}

// Of derivatives: what is 0 is left out, though 0 * x is not 0 of an infinite x.
Expr sum(const Expr& a, const Expr& b) {
  if (is_zero_constant(a)) return b;
  return is_zero_constant(b) ? a : a + b;
}

Expr difference(const Expr& a, const Expr& b) {
  if (is_zero_constant(a)) return -b;
  return is_zero_constant(b) ? a : a - b;
}

Expr product(const Expr& outer, const Expr& inner) {
  return is_zero_constant(inner) ? inner : outer * inner;
}

Expr quotient(const Expr& a, const Expr& b) { return is_zero_constant(a) ? a : a / b; }

class Differentiation {
 public:
  explicit Differentiation(const Expr& by) : by_(by) {}

  Expr of(const Expr& expr) {
    if (expr.same_as(by_)) return 1.0;
    if (const auto known = known_.find(&expr.node()); known != known_.end()) return known->second;
    const Expr result = derived(expr);
    known_.emplace(&expr.node(), result);
    return result;
  }

 private:
  Expr derived(const Expr& whole) {
    const ExprNode& node = whole.node();
    const auto& x = node.operands;
    const auto d = [&](int operand) { return of(x[operand]); };
    switch (node.op) {
      case ExprOp::add:
        return sum(d(0), d(1));
      case ExprOp::subtract:
        return difference(d(0), d(1));
      case ExprOp::multiply:
        return sum(product(x[1], d(0)), product(x[0], d(1)));
      case ExprOp::divide:
        return quotient(difference(d(0), product(whole, d(1))), x[1]);
      case ExprOp::negate:
        return difference(0.0, d(0));
      case ExprOp::minimum:
      case ExprOp::maximum:  // so also beside a NaN, which is never chosen
        return select(whole == x[0], d(0), d(1));
      case ExprOp::absolute:
        return select(x[0] < 0.0, difference(0.0, d(0)), d(0));
      case ExprOp::select:
        return select(x[0], d(1), d(2));
      case ExprOp::exp:
        return product(whole, d(0));
      case ExprOp::log:
        return quotient(d(0), x[0]);
      case ExprOp::tanh:
        return product(1.0 - whole * whole, d(0));
      case ExprOp::sqrt:
        return quotient(d(0), 2.0 * whole);
      default:  // leaves, and what is made of integers
        return 0.0;
    }
  }

  const Expr& by_;
  std::unordered_map<const ExprNode*, Expr> known_;
};

}  // namespace

Expr derivative(const Expr& real, const Expr& by) {
  assert(real.type() == ExprType::real && by.type() == ExprType::real);
  assert(by.node().op == ExprOp::variable || by.node().op == ExprOp::element ||
         by.node().op == ExprOp::scalar);
  return Differentiation(by).of(real);
}

}  // namespace streamattn
