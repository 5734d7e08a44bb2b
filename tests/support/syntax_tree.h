// Expressions as they are written: a second, plain account of what the language means.
#pragma once

#include <string>
#include <vector>

#include "streamattn/expr.h"
#include "tests/support/expr_value.h"

namespace streamattn {

/// An expression as it was written: nothing is simplified.
struct SyntaxTree {
  enum class Kind { number, variable, named, prefix, infix, function };

  Kind kind;
  ExprType type;
  std::string word;                 ///< of all but numbers: a name, an operator, a function
  std::vector<SyntaxTree> of = {};  ///< operands, or the indices of an element
  double number = 0;
  Variable variable = {};
  DType dtype = {};

  /// Every operator in parentheses, every name with its type.
  std::string text() const;

  /// Made by the operators of C++.
  Expr expr() const;

  /// In the arithmetic of value_of(). The type says which field counts.
  ExprValue<float> value(const ExprPlace& place) const;
};

}  // namespace streamattn
