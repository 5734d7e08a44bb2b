// The operators that expressions are written with: types of operands, constants worked out.
#include "streamattn/expr.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "compiler/expr/build.h"
#include "compiler/expr/refuse.h"

namespace streamattn {
namespace {

[[noreturn]] void refuse_operand(std::string_view what, const Expr& found,
                                 std::string_view needed) {
  refuse("{0} needs {1}, \"{2}\" is {3}", what, needed, abbreviated(found),
         found.type() == ExprType::boolean ? "a condition" : name(found.type()));
}

Expr as_real(std::string_view what, const Expr& operand) {
  if (operand.type() == ExprType::boolean) refuse_operand(what, operand, "a number");
  return operand.type() == ExprType::integer ? to_real(operand) : operand;
}

Expr as_condition(std::string_view what, const Expr& operand) {
  if (operand.type() == ExprType::real) refuse_operand(what, operand, "a condition");
  return operand.type() == ExprType::integer ? is_not_zero(operand) : operand;
}

bool are_integers(std::string_view what, const Expr& a, const Expr& b) {
  for (const Expr* operand : {&a, &b})
    if (operand->type() == ExprType::boolean) refuse_operand(what, *operand, "a number");
  return a.type() == ExprType::integer && b.type() == ExprType::integer;
}

/// A real operation, worked out where all operands are constants and the result is finite.
template <class Compute>
Expr real(ExprOp op, std::vector<Expr> operands, Compute compute) {
  float values[2] = {};
  const bool constants = std::ranges::all_of(
      operands, [](const Expr& operand) { return operand.node().is_constant(); });
  if (constants) {
    for (std::size_t i = 0; i < operands.size(); i++)
      values[i] = static_cast<float>(operands[i].node().real);
    const float result = compute(values[0], values[1]);
    if (std::isfinite(result)) return real_constant(result);
  }
  return intern({.op = op, .type = ExprType::real, .operands = std::move(operands)});
}

std::vector<Expr> sorted(const Expr& a, const Expr& b) {
  return comes_before(b, a) ? std::vector{b, a} : std::vector{a, b};
}

bool is_real_constant(const Expr& expr, double value) {
  return expr.node().is_constant() && expr.node().real == value;
}

/// A comparison of reals, worked out where both are constants.
template <class Compare>
Expr real_comparison(ExprOp op, std::vector<Expr> operands, Compare compare) {
  const ExprNode &a = operands[0].node(), &b = operands[1].node();
  if (a.is_constant() && b.is_constant()) return bool{compare(a.real, b.real)};
  return intern({.op = op, .operands = std::move(operands)});
}

/// The smaller or larger one; integers that differ by a constant are decided.
Expr extremum(ExprOp op, std::string_view what, const Expr& a, const Expr& b) {
  if (!are_integers(what, a, b)) {
    const auto compute = [&](float x, float y) {
      return op == ExprOp::minimum ? std::fmin(x, y) : std::fmax(x, y);
    };
    return real(op, sorted(as_real(what, a), as_real(what, b)), compute);
  }
  if (const auto difference = constant_difference(a, b))
    return (*difference <= 0) == (op == ExprOp::minimum) ? a : b;
  return intern({.op = op, .type = ExprType::integer, .operands = sorted(a, b)});
}

void require_divisor(std::string_view what, const Expr& divisor) {
  const auto constant = constant_of(divisor);
  const bool is_integer = divisor.type() == ExprType::integer;
  if (constant ? is_integer && *constant > 0 : is_integer && divisor.node().op == ExprOp::scalar)
    return;
  refuse("{0} divides by a positive integer or an i32 scalar, \"{1}\" is neither", what,
         abbreviated(divisor));
}

}  // namespace

ExprType Expr::type() const { return node_->type; }

void require_integer(std::string_view what, const Expr& operand) {
  if (operand.type() != ExprType::integer) refuse_operand(what, operand, "an integer");
}

Expr operator-(const Expr& a) {
  if (a.type() == ExprType::integer) return integer_product(-1, a);
  if (a.node().op == ExprOp::to_real) return to_real(-a.node().operands[0]);
  return real(ExprOp::negate, {as_real("-", a)}, [](float x, float) { return -x; });
}

Expr operator+(const Expr& a, const Expr& b) {
  if (are_integers("+", a, b)) return integer_sum(a, b);
  Expr x = as_real("+", a), y = as_real("+", b);
  if (is_real_constant(x, 0)) return y;
  if (is_real_constant(y, 0)) return x;
  return real(ExprOp::add, sorted(x, y), std::plus<float>());
}

Expr operator-(const Expr& a, const Expr& b) {
  if (are_integers("-", a, b)) return integer_difference(a, b);
  Expr x = as_real("-", a), y = as_real("-", b);
  if (is_real_constant(y, 0)) return x;
  return real(ExprOp::subtract, {x, y}, std::minus<float>());
}

Expr operator*(const Expr& a, const Expr& b) {
  if (are_integers("*", a, b)) return integer_product(a, b);
  Expr x = as_real("*", a), y = as_real("*", b);
  if (is_real_constant(x, 1)) return y;
  if (is_real_constant(y, 1)) return x;
  return real(ExprOp::multiply, sorted(x, y), std::multiplies<float>());
}

Expr operator/(const Expr& a, const Expr& b) {
  Expr x = as_real("/", a), y = as_real("/", b);
  if (is_real_constant(y, 1)) return x;
  return real(ExprOp::divide, {x, y}, std::divides<float>());
}

Expr floor_divide(const Expr& a, const Expr& b) {
  require_integer("//", a);
  require_divisor("//", b);
  return integer_quotient(a, b);
}

Expr operator%(const Expr& a, const Expr& b) {
  require_integer("%", a);
  require_divisor("%", b);
  return integer_remainder(a, b);
}

Expr operator<(const Expr& a, const Expr& b) {
  if (are_integers("<", a, b)) return at_most_zero(integer_sum(integer_difference(a, b), 1));
  return real_comparison(ExprOp::less, {as_real("<", a), as_real("<", b)}, std::less<>());
}

Expr operator<=(const Expr& a, const Expr& b) {
  if (are_integers("<=", a, b)) return at_most_zero(integer_difference(a, b));
  return real_comparison(ExprOp::less_equal, {as_real("<=", a), as_real("<=", b)},
                         std::less_equal<>());
}

Expr operator>(const Expr& a, const Expr& b) { return b < a; }
Expr operator>=(const Expr& a, const Expr& b) { return b <= a; }

Expr operator==(const Expr& a, const Expr& b) {
  if (are_integers("==", a, b)) return is_zero(integer_difference(a, b));
  return real_comparison(ExprOp::equal, sorted(as_real("==", a), as_real("==", b)),
                         std::equal_to<>());
}

Expr operator!=(const Expr& a, const Expr& b) {
  if (are_integers("!=", a, b)) return is_not_zero(integer_difference(a, b));
  return negated(a == b);
}

Expr operator&&(const Expr& a, const Expr& b) {
  return all_of({as_condition("&&", a), as_condition("&&", b)});
}

Expr operator||(const Expr& a, const Expr& b) {
  return any_of({as_condition("||", a), as_condition("||", b)});
}

Expr operator!(const Expr& a) { return negated(as_condition("!", a)); }

Expr min(const Expr& a, const Expr& b) { return extremum(ExprOp::minimum, "min", a, b); }
Expr max(const Expr& a, const Expr& b) { return extremum(ExprOp::maximum, "max", a, b); }

Expr abs(const Expr& a) {
  if (a.node().op == ExprOp::to_real) return to_real(abs(a.node().operands[0]));
  if (a.type() != ExprType::integer)
    return real(ExprOp::absolute, {as_real("abs", a)}, [](float x, float) { return std::fabs(x); });
  if (const auto value = constant_of(a)) return std::abs(*value);
  // |-x| is |x|.
  Expr x = Linear(a).terms.front().second < 0 ? -a : a;
  if (x.node().op == ExprOp::absolute) return x;
  return intern({.op = ExprOp::absolute, .type = ExprType::integer, .operands = {x}});
}

Expr select(const Expr& condition, const Expr& a, const Expr& b) {
  const Expr chosen = as_condition("select", condition);
  if (a.type() == ExprType::boolean || b.type() == ExprType::boolean) {
    const Expr x = as_condition("select", a), y = as_condition("select", b);
    return any_of({all_of({chosen, x}), all_of({negated(chosen), y})});
  }
  const bool integers = are_integers("select", a, b);
  Expr x = integers ? a : as_real("select", a), y = integers ? b : as_real("select", b);
  if (const auto value = constant_of(chosen)) return *value != 0 ? x : y;
  if (x.same_as(y)) return x;
  return intern({.op = ExprOp::select,
                 .type = integers ? ExprType::integer : ExprType::real,
                 .operands = {chosen, x, y}});
}

Expr exp(const Expr& a) {
  return real(ExprOp::exp, {as_real("exp", a)}, [](float x, float) { return std::exp(x); });
}
Expr log(const Expr& a) {
  return real(ExprOp::log, {as_real("log", a)}, [](float x, float) { return std::log(x); });
}
Expr tanh(const Expr& a) {
  return real(ExprOp::tanh, {as_real("tanh", a)}, [](float x, float) { return std::tanh(x); });
}
Expr sqrt(const Expr& a) {
  return real(ExprOp::sqrt, {as_real("sqrt", a)}, [](float x, float) { return std::sqrt(x); });
}

Expr bit(const Expr& word, const Expr& index) {
  require_integer("bit", word);
  require_integer("bit", index);
  if (const auto i = constant_of(index)) {
    if (const auto value = constant_of(word)) return (*value >> (*i & 31) & 1) != 0;
    return intern({.op = ExprOp::bit, .operands = {word, Expr(*i & 31)}});
  }
  return intern({.op = ExprOp::bit, .operands = {word, index}});
}

}  // namespace streamattn
