// Between which values an expression lies for neighbouring queries and keys, as expressions.
#pragma once

#include <functional>
#include <optional>

#include "streamattn/expr.h"

namespace streamattn {

/// An integer lies in [low, high] for all queries of [q_first, q_end) and keys of [k_first, k_end);
/// not given: nothing is known. The ends are expressions of these variables and of what does not
/// depend on a query or a key.
struct Bounds {
  std::optional<Expr> low, high;
  Expr where = true;  ///< of an element: nothing is known where this does not hold
};

/// What is known of an element of a tensor that depends on a query or a key.
using ElementBounds = std::function<Bounds(const Expr& element)>;

Bounds bounds(const Expr& integer, const ElementBounds& of_element = {});

/// Conditions on the same: where `can_hold` is false the condition holds for no pair, where
/// `must_hold` is true it holds for all of them.
struct Certainty {
  Expr can_hold, must_hold;
};

Certainty certainty(const Expr& condition, const ElementBounds& of_element = {});

/// Whether `expr` depends on a query or a key.
bool is_uniform(const Expr& expr);

}  // namespace streamattn
