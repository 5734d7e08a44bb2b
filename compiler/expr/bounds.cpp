// Interval arithmetic on expressions.
#include "compiler/expr/bounds.h"

#include "compiler/expr/build.h"
#include "compiler/expr/refuse.h"

namespace streamattn {
namespace {

using End = std::optional<Expr>;

/// f of both, known where both are.
template <class Combine>
End combined(const End& a, const End& b, Combine f) {
  return a && b ? End(f(*a, *b)) : std::nullopt;
}

End smaller(const End& a, const End& b) {
  return combined(a, b, [](const Expr& x, const Expr& y) { return min(x, y); });
}
End larger(const End& a, const End& b) {
  return combined(a, b, [](const Expr& x, const Expr& y) { return max(x, y); });
}

Bounds bounds_of_sum(const Linear& sum, const ElementBounds& of_element) {
  Bounds total{Expr(sum.constant), Expr(sum.constant)};
  for (const auto& [term, coefficient] : sum.terms) {
    Bounds part = bounds(term, of_element);
    if (coefficient < 0) std::swap(part.low, part.high);
    const auto add = [factor = coefficient](const Expr& x, const Expr& y) {
      return x + y * factor;
    };
    total = {combined(total.low, part.low, add), combined(total.high, part.high, add)};
  }
  return total;
}

Bounds bounds_of_product(const Expr& a, const Expr& b, const ElementBounds& of_element) {
  if (!is_uniform(a)) return is_uniform(b) ? bounds_of_product(b, a, of_element) : Bounds{};
  const Bounds x = bounds(b, of_element);
  if (!x.low || !x.high) return {};
  return {min(a * *x.low, a * *x.high), max(a * *x.low, a * *x.high)};
}

Bounds bounds_of_remainder(const Bounds& dividend, const Expr& divisor) {
  if (!dividend.low || !dividend.high) return {Expr(0), divisor - 1};
  const Expr &low = *dividend.low, &high = *dividend.high;
  const Expr wraps = integer_quotient(low, divisor) != integer_quotient(high, divisor);
  return {select(wraps, 0, integer_remainder(low, divisor)),
          select(wraps, divisor - 1, integer_remainder(high, divisor))};
}

Bounds bounds_of_magnitude(const Bounds& x) {
  if (!x.low || !x.high) return {Expr(0), std::nullopt};
  return {max(max(*x.low, -*x.high), 0), max(*x.high, -*x.low)};
}

Bounds bounds_of_choice(const Expr& condition, const Bounds& a, const Bounds& b) {
  if (!is_uniform(condition)) return {smaller(a.low, b.low), larger(a.high, b.high)};
  const auto choose = [&](const Expr& x, const Expr& y) { return select(condition, x, y); };
  return {combined(a.low, b.low, choose), combined(a.high, b.high, choose)};
}

Certainty opposite(const Certainty& c) { return {negated(c.must_hold), negated(c.can_hold)}; }

/// Whether all is known that bounds of `integer` rest on.
Expr is_known(const Expr& integer, const ElementBounds& of_element) {
  Expr known = true;
  for_each_node(integer, [&](const Expr& part) {
    if (of_element && part.node().op == ExprOp::element && !is_uniform(part))
      known = known && of_element(part).where;
  });
  return known;
}

Certainty only_where(const Expr& known, const Certainty& c) {
  return {!known || c.can_hold, known && c.must_hold};
}

Certainty certainly_zero(const Expr& integer, const ElementBounds& of_element) {
  const Bounds x = bounds(integer, of_element);
  const Expr can_be_low = x.low ? *x.low <= 0 : Expr(true);
  const Expr can_be_high = x.high ? *x.high >= 0 : Expr(true);
  const Expr is_same = x.low && x.high ? *x.low == 0 && *x.high == 0 : Expr(false);
  return only_where(is_known(integer, of_element), {can_be_low && can_be_high, is_same});
}

Certainty certainty_of(const Expr& condition, const ElementBounds& of_element) {
  const ExprNode& node = condition.node();
  const auto& x = node.operands;
  switch (node.op) {
    case ExprOp::at_most_zero: {
      const Bounds b = bounds(x[0], of_element);
      return only_where(is_known(x[0], of_element),
                        {b.low ? *b.low <= 0 : Expr(true), b.high ? *b.high <= 0 : Expr(false)});
    }
    case ExprOp::is_zero:
      return certainly_zero(x[0], of_element);
    case ExprOp::is_not_zero:
      return opposite(certainly_zero(x[0], of_element));
    case ExprOp::logical_not:
      return opposite(certainty(x[0], of_element));
    case ExprOp::logical_and:
    case ExprOp::logical_or: {
      std::vector<Expr> can, must;
      for (const Expr& part : x) {
        const Certainty c = certainty(part, of_element);
        can.push_back(c.can_hold);
        must.push_back(c.must_hold);
      }
      return node.op == ExprOp::logical_and ? Certainty{all_of(can), all_of(must)}
                                            : Certainty{any_of(can), any_of(must)};
    }
    default:
      return {true, false};
  }
}

}  // namespace

bool is_uniform(const Expr& expr) {
  const ExprNode& node = expr.node();
  return !node.uses_variable(Variable::q) && !node.uses_variable(Variable::k) &&
         !node.uses_variable(Variable::score);
}

Bounds bounds(const Expr& integer, const ElementBounds& of_element) {
  const auto of = [&](const Expr& part) { return bounds(part, of_element); };
  if (is_uniform(integer)) return {integer, integer};
  const ExprNode& node = integer.node();
  const auto& x = node.operands;
  switch (node.op) {
    case ExprOp::variable: {
      const bool is_query = node.variable == Variable::q;
      return {variable(is_query ? Variable::q_first : Variable::k_first),
              variable(is_query ? Variable::q_end : Variable::k_end) - 1};
    }
    case ExprOp::sum:
      return bounds_of_sum(Linear(integer), of_element);
    case ExprOp::multiply:
      return bounds_of_product(x[0], x[1], of_element);
    case ExprOp::floor_divide: {
      const Bounds dividend = of(x[0]);
      return {combined(dividend.low, x[1], integer_quotient),
              combined(dividend.high, x[1], integer_quotient)};
    }
    case ExprOp::modulo:
      return bounds_of_remainder(of(x[0]), x[1]);
    case ExprOp::minimum: {
      const Bounds a = of(x[0]), b = of(x[1]);
      return {smaller(a.low, b.low), a.high && b.high ? smaller(a.high, b.high)
                                     : a.high         ? a.high
                                                      : b.high};
    }
    case ExprOp::maximum: {
      const Bounds a = of(x[0]), b = of(x[1]);
      return {a.low && b.low ? larger(a.low, b.low)
              : a.low        ? a.low
                             : b.low,
              larger(a.high, b.high)};
    }
    case ExprOp::absolute:
      return bounds_of_magnitude(of(x[0]));
    case ExprOp::select:
      return bounds_of_choice(x[0], of(x[1]), of(x[2]));
    case ExprOp::element:
      if (of_element) return of_element(integer);
      if (node.dtype == DType::u8) return {Expr(0), Expr(255)};
      return {};
    default:
      return {};
  }
}

Certainty certainty(const Expr& condition, const ElementBounds& of_element) {
  if (is_uniform(condition)) return {condition, condition};
  // What cannot be written down is not known.
  return unless_refused([&] { return certainty_of(condition, of_element); })
      .value_or(Certainty{true, false});
}

}  // namespace streamattn
