// Sums of integers and comparisons of them, in canonical form.
#include <algorithm>
#include <cstdlib>
#include <numeric>

#include "compiler/expr/build.h"
#include "compiler/expr/refuse.h"

namespace streamattn {
namespace {

bool is_in_range(std::int64_t value) {
  return value >= -largest_integer && value <= largest_integer;
}

std::int64_t in_range(std::int64_t value) {
  if (!is_in_range(value)) refuse("the constant {0} is not within +-{1}", value, largest_integer);
  return value;
}

std::int64_t floor_div(std::int64_t a, std::int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

using Term = std::pair<Expr, std::int64_t>;

/// Adds factor * part. Terms stay in order.
void add_scaled(Linear& to, const Linear& part, std::int64_t factor) {
  to.constant += part.constant * factor;
  for (const auto& [term, coefficient] : part.terms) {
    const auto at = std::ranges::lower_bound(to.terms, term, comes_before, &Term::first);
    if (at == to.terms.end() || !at->first.same_as(term))
      to.terms.emplace(at, term, coefficient * factor);
    else
      at->second += coefficient * factor;
  }
  std::erase_if(to.terms, [](const Term& term) { return term.second == 0; });
}

bool has_terms(const Linear& sum, const Linear& part, std::int64_t factor) {
  return std::ranges::all_of(part.terms, [&](const Term& wanted) {
    return std::ranges::any_of(sum.terms, [&](const Term& found) {
      return found.first.same_as(wanted.first) && found.second == wanted.second * factor;
    });
  });
}

/// c * (x % n) is c * x - c * n * (x // n), which is better where the sum has one of these with the
/// other sign: x - x % n is n * (x // n), monotone in x, and n * (x // n) + x % n is x.
bool merge_remainder(Linear& sum, const Term& remainder) {
  const auto& [term, factor] = remainder;
  if (term.node().op != ExprOp::modulo) return false;
  const Expr &x = term.node().operands[0], &n = term.node().operands[1];
  const auto divisor = constant_of(n);
  if (!divisor || !is_in_range(factor * *divisor)) return false;
  const Linear dividend(x);
  const bool is_there = has_terms(sum, dividend, -factor);
  const bool may_have_quotient = std::ranges::any_of(
      sum.terms, [](const Term& other) { return other.first.node().op == ExprOp::floor_divide; });
  if (!is_there && !may_have_quotient) return false;
  const Linear quotient(integer_quotient(x, n));
  if (!is_there && !has_terms(sum, quotient, factor * *divisor)) return false;
  Linear merged = sum;
  add_scaled(merged, Linear(term), -factor);
  add_scaled(merged, dividend, factor);
  add_scaled(merged, quotient, -factor * *divisor);
  if (!is_in_range(merged.constant) ||
      !std::ranges::all_of(merged.terms, [](const Term& t) { return is_in_range(t.second); }))
    return false;
  sum = std::move(merged);
  return true;
}

bool merge_remainders(Linear& sum) {
  const std::vector<Term> terms = sum.terms;
  return std::ranges::any_of(terms, [&](const Term& term) { return merge_remainder(sum, term); });
}

Expr linear_combination(const Expr& a, const Expr& b, std::int64_t factor) {
  Linear sum(a);
  add_scaled(sum, Linear(b), factor);
  return sum.expr();
}

/// Divides by the greatest common divisor of the coefficients; 1 where there are none.
std::int64_t common_divisor(const Linear& sum) {
  std::int64_t divisor = 0;
  for (const auto& term : sum.terms) divisor = std::gcd(divisor, term.second);
  return std::max<std::int64_t>(divisor, 1);
}

Expr comparison(ExprOp op, const Linear& sum) {
  return intern({.op = op, .operands = {sum.expr()}});
}

/// For == and !=: the smallest coefficients, the first one positive. False where it is never zero.
bool normalise_equation(Linear& sum) {
  const std::int64_t divisor = common_divisor(sum);
  if (sum.constant % divisor != 0) return false;
  const std::int64_t factor = sum.terms.front().second < 0 ? -divisor : divisor;
  sum.constant /= factor;
  for (auto& term : sum.terms) term.second /= factor;
  return true;
}

}  // namespace

Linear::Linear(const Expr& integer) {
  const ExprNode& node = integer.node();
  if (node.op == ExprOp::constant) {
    constant = node.value;
  } else if (node.op == ExprOp::sum) {
    constant = node.value;
    for (std::size_t i = 0; i < node.operands.size(); i++)
      terms.emplace_back(node.operands[i], node.coefficients[i]);
  } else {
    terms.emplace_back(integer, 1);
  }
}

Expr Linear::expr() const {
  Linear sum = *this;
  in_range(sum.constant);
  for (const Term& term : sum.terms) in_range(term.second);
  while (merge_remainders(sum)) {
  }
  if (sum.terms.empty()) return integer_constant(sum.constant);
  if (sum.terms.size() == 1 && sum.terms.front().second == 1 && sum.constant == 0)
    return sum.terms.front().first;
  ExprNode node{.op = ExprOp::sum, .type = ExprType::integer, .value = sum.constant};
  for (const auto& [term, coefficient] : sum.terms) {
    node.operands.push_back(term);
    node.coefficients.push_back(coefficient);
  }
  return intern(std::move(node));
}

Expr integer_constant(std::int64_t value) {
  return intern({.op = ExprOp::constant, .type = ExprType::integer, .value = in_range(value)});
}

Expr integer_sum(const Expr& a, const Expr& b) { return linear_combination(a, b, 1); }
Expr integer_difference(const Expr& a, const Expr& b) { return linear_combination(a, b, -1); }

std::optional<std::int64_t> constant_difference(const Expr& a, const Expr& b) {
  Linear difference(a);
  add_scaled(difference, Linear(b), -1);
  if (!difference.terms.empty()) return {};
  return difference.constant;
}

Expr integer_product(const Expr& a, const Expr& b) {
  if (const auto factor = constant_of(a))
    return linear_combination(integer_constant(0), b, *factor);
  if (constant_of(b)) return integer_product(b, a);
  // Constant factors come out.
  Linear product;
  std::int64_t factor = 1;
  std::vector<Expr> operands = {a, b};
  for (Expr& operand : operands) {
    const Linear sum(operand);
    if (sum.terms.size() != 1 || sum.constant != 0) continue;
    factor *= sum.terms.front().second;
    operand = Expr(sum.terms.front().first);
  }
  std::ranges::sort(operands, comes_before);
  product.terms.emplace_back(
      intern({.op = ExprOp::multiply, .type = ExprType::integer, .operands = std::move(operands)}),
      factor);
  return product.expr();
}

Expr integer_quotient(const Expr& a, const Expr& b) {
  const auto divisor = constant_of(b);
  if (!divisor)
    return intern({.op = ExprOp::floor_divide, .type = ExprType::integer, .operands = {a, b}});
  // Whole multiples of the divisor come out.
  Linear rest(a);
  Linear whole(integer_constant(floor_div(rest.constant, *divisor)));
  rest.constant -= whole.constant * *divisor;
  for (const auto& [term, coefficient] : rest.terms)
    if (coefficient % *divisor == 0) whole.terms.emplace_back(term, coefficient / *divisor);
  std::erase_if(rest.terms, [&](const auto& term) { return term.second % *divisor == 0; });
  if (rest.terms.empty()) return whole.expr();
  Expr dividend = rest.expr(), by = b;
  // (x // a) // b is x // (a * b).
  if (const ExprNode& node = dividend.node(); node.op == ExprOp::floor_divide)
    if (const auto inner = constant_of(node.operands[1]); inner && is_in_range(*inner * *divisor)) {
      by = integer_constant(*inner * *divisor);
      dividend = Expr(node.operands[0]);
    }
  add_scaled(
      whole,
      Linear(intern(
          {.op = ExprOp::floor_divide, .type = ExprType::integer, .operands = {dividend, by}})),
      1);
  return whole.expr();
}

Expr integer_remainder(const Expr& a, const Expr& b) {
  const auto divisor = constant_of(b);
  if (!divisor)
    return intern({.op = ExprOp::modulo, .type = ExprType::integer, .operands = {a, b}});
  Linear rest(a);
  rest.constant -= floor_div(rest.constant, *divisor) * *divisor;
  std::erase_if(rest.terms, [&](const auto& term) { return term.second % *divisor == 0; });
  if (rest.terms.empty()) return integer_constant(rest.constant);
  return intern({.op = ExprOp::modulo, .type = ExprType::integer, .operands = {rest.expr(), b}});
}

bool has_large_element(const Expr& integer) {
  bool found = false;
  for_each_node(integer, [&](const Expr& part) {
    found = found || (part.node().op == ExprOp::element && part.node().dtype == DType::i32);
  });
  return found;
}

Expr with_near_element(const Expr& sum) {
  constexpr std::int64_t far = std::int64_t{1} << 30;
  const Linear linear(sum);
  const auto& [term, coefficient] = linear.terms.front();
  return min(max(term, -far), far) * coefficient + linear.constant;
}

Expr at_most_zero(const Expr& integer) {
  Linear sum(integer);
  if (sum.terms.empty()) return sum.constant <= 0;
  const std::int64_t divisor = common_divisor(sum);
  sum.constant = -floor_div(-sum.constant, divisor);
  for (auto& term : sum.terms) term.second /= divisor;
  return comparison(ExprOp::at_most_zero, sum);
}

Expr is_zero(const Expr& integer) {
  Linear sum(integer);
  if (sum.terms.empty()) return sum.constant == 0;
  return normalise_equation(sum) ? comparison(ExprOp::is_zero, sum) : Expr(false);
}

Expr is_not_zero(const Expr& integer) {
  Linear sum(integer);
  if (sum.terms.empty()) return sum.constant != 0;
  return normalise_equation(sum) ? comparison(ExprOp::is_not_zero, sum) : Expr(true);
}

}  // namespace streamattn
