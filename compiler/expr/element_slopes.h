// How scores and sinks depend on the elements of named tensors.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "streamattn/problem.h"

namespace streamattn {

/// An element of a tensor of reals in an expression, and the derivative with respect to it, which
/// is not 0.
struct ElementSlope {
  Expr element, slope;
};

/// Of every such element of `expr`. Throws Error (invalid_problem) where a derivative is too large
/// an expression.
std::vector<ElementSlope> element_slopes(const Expr& expr);

/// Variables each of which is by itself an index of all elements of the tensor `name` in score and
/// sink: pairs that differ in it take different elements. Bit n: the variable of number n.
std::uint32_t element_owners(const Problem& problem, std::string_view name);

}  // namespace streamattn
