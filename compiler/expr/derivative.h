// Derivatives of expressions, as expressions.
#pragma once

#include "streamattn/expr.h"

namespace streamattn {

/// The derivative of a real expression with respect to `by`: the score, an element of a tensor of
/// reals (the one node: elements at other indices are other variables) or a scalar of reals. A
/// condition decides and has no derivative; where min, max or abs turns, the derivative is that of
/// one of its sides. Throws Error (invalid_problem) where the derivative is too large an
/// expression.
Expr derivative(const Expr& real, const Expr& by);

}  // namespace streamattn
