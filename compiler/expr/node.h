// The nodes of expressions: immutable, one for equal ones.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "streamattn/expr.h"

namespace streamattn {

/// What a node computes from its operands. Comparisons of integers are one with zero, so that all
/// spellings of one meet; a difference, a negation and a product with a constant are a sum.
enum class ExprOp : std::uint8_t {
  constant,      ///< `value`, or `real`
  variable,      ///< `variable`
  scalar,        ///< `name`, `dtype`
  element,       ///< of the tensor `name`, `dtype`; operands are its indices
  sum,           ///< integer: value + coefficients . operands
  multiply,      ///< integer or real
  floor_divide,  ///< integer
  modulo,        ///< integer
  add,           ///< real, as the next three
  subtract,
  divide,
  negate,
  to_real,  ///< of an integer
  minimum,  ///< integer or real
  maximum,
  absolute,
  select,  ///< integer or real; operands: condition, a, b
  exp,     ///< real, as the next three
  log,
  tanh,
  sqrt,
  at_most_zero,  ///< of an integer
  is_zero,       ///< of an integer
  is_not_zero,   ///< of an integer
  less,          ///< of reals, as the next two
  less_equal,
  equal,
  logical_not,
  logical_and,  ///< of two or more
  logical_or,
  bit,  ///< operands: word, index
};

/// A node. Fields that its operation does not name have their defaults.
struct ExprNode {
  ExprOp op = ExprOp::constant;
  ExprType type = ExprType::boolean;
  std::int64_t value = 0;  // of constants that are not real, and the constant of a sum
  double real = 0;         // of real constants: a float32
  Variable variable = {};
  DType dtype = {};
  std::string name = {};
  std::vector<Expr> operands = {};
  std::vector<std::int64_t> coefficients = {};  // of a sum: none is zero

  // What follows from the rest.
  std::size_t hash = 0;
  int depth = 0;           // 0: no operands
  int size = 1;            // nodes, counted again wherever they stand: what a text writes out
  bool has_names = false;  // scalars or tensors in it
  std::uint32_t uses = 0;  // bit n: the variable of number n is in it

  bool is_constant() const { return op == ExprOp::constant; }
  bool uses_variable(Variable v) const { return uses >> static_cast<int>(v) & 1; }
};

/// Bounds of an expression. They bound the recursions over it and the length of its text, and with
/// these the time that an expression of many parts in common may take.
inline constexpr int max_expr_depth = 100, max_expr_size = 4096;

/// The node that is equal to `node`, made now or before. Throws Error (invalid_problem) for an
/// expression beyond its bounds.
Expr intern(ExprNode node);

/// A total order that depends on what the expressions say alone: simple ones first.
bool comes_before(const Expr& a, const Expr& b);

}  // namespace streamattn
