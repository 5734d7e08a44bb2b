// Makes expressions in canonical form: what the operators of streamattn/expr.h are made of, and how
// a pass over an expression puts it together again.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "compiler/expr/node.h"

namespace streamattn {

/// An integer expression taken apart: constant + sum of coefficient * term, no term twice, none a
/// sum or a constant, in the order of comes_before().
struct Linear {
  std::int64_t constant = 0;
  std::vector<std::pair<Expr, std::int64_t>> terms = {};

  Linear() = default;
  explicit Linear(const Expr& integer);
  Expr expr() const;
};

/// The constant that an integer or boolean expression is, if it is one.
std::optional<std::int64_t> constant_of(const Expr& expr);

/// Of a value in the range of constants: +-largest_integer.
inline constexpr std::int64_t largest_integer = 2147483647;
Expr integer_constant(std::int64_t value);

/// The float32 nearest to `value`, which must be finite.
Expr real_constant(double value);

Expr variable(Variable which);

/// As in text; also of the internal ones, which have no text.
std::string_view name(Variable variable);
std::optional<Variable> variable_called(std::string_view word);

/// Whether a text calls a function by this name.
bool is_function(std::string_view word);

/// `text` with a space for every byte that would not show as one character.
std::string printable(std::string_view text);

/// Arithmetic of integers. The divisor is a positive constant or a scalar.
Expr integer_sum(const Expr& a, const Expr& b);
Expr integer_difference(const Expr& a, const Expr& b);
Expr integer_product(const Expr& a, const Expr& b);
Expr integer_quotient(const Expr& a, const Expr& b);
Expr integer_remainder(const Expr& a, const Expr& b);

/// What a - b is where that does not depend on anything.
std::optional<std::int64_t> constant_difference(const Expr& a, const Expr& b);

/// Integer comparisons with zero.
Expr at_most_zero(const Expr& integer);
Expr is_zero(const Expr& integer);
Expr is_not_zero(const Expr& integer);

/// Of two or more conditions.
Expr all_of(const std::vector<Expr>& conditions);
Expr any_of(const std::vector<Expr>& conditions);

/// negated(negated(condition)) is the same expression as `condition`.
Expr negated(const Expr& condition);

/// Whether it has an element that may be as large as 32 bits hold.
bool has_large_element(const Expr& integer);

/// Of one term with such an element and a constant: the same where it lies within +-2^30, and
/// beyond all positions where it does not. No other way to compare it with one is safe: a sum
/// might not fit 32 bits that nobody wrote.
Expr with_near_element(const Expr& sum);

Expr to_real(const Expr& integer);

/// The tensor's element at integer indices.
Expr element(std::string_view name, DType dtype, std::vector<Expr> indices);

/// The same operation on other operands.
Expr rebuilt(const ExprNode& node, std::vector<Expr> operands);

/// `expr` with every variable that `replacement` gives an expression for replaced by it.
Expr substitute(const Expr& expr, const std::vector<std::pair<Variable, Expr>>& replacements);

/// `expr` with `from` replaced by `to`, of the same type, wherever it is.
Expr replaced(const Expr& expr, const Expr& from, const Expr& to);

/// Calls visit(node) for every node of `expr`, operands first, each once.
void for_each_node(const Expr& expr, const std::function<void(const Expr&)>& visit);

}  // namespace streamattn
