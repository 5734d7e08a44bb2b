// Bounds of sums, products and quotients.
#include "measure/index_bounds.h"

#include <llvm/ADT/STLExtras.h>
#include <llvm/Support/MathExtras.h>

#include <algorithm>
#include <cmath>

namespace streamattn {
namespace {

constexpr std::int64_t largest_index = 1 << 30;

IndexRange clamped(std::int64_t least, std::int64_t most) {
  return {std::clamp(least, -largest_index, largest_index),
          std::clamp(most, -largest_index, largest_index)};
}

IndexRange product(const IndexRange& a, const IndexRange& b) {
  const auto [least, most] =
      std::minmax({a.least * b.least, a.least * b.most, a.most * b.least, a.most * b.most});
  return clamped(least, most);
}

IndexRange quotient(const IndexRange& a, std::int64_t divisor) {
  return {llvm::divideFloorSigned(a.least, divisor), llvm::divideFloorSigned(a.most, divisor)};
}

}  // namespace

IndexRange IndexBounds::operator()(const Expr& expr) const {
  const ExprNode& node = expr.node();
  const auto& x = node.operands;
  switch (node.op) {
    case ExprOp::constant:
      return {node.value, node.value};
    case ExprOp::variable:
      return of(node.variable);
    case ExprOp::scalar:
      return of_scalar(node.name);
    case ExprOp::sum:
      return of_sum(node);
    case ExprOp::multiply:
      return product((*this)(x[0]), (*this)(x[1]));
    case ExprOp::floor_divide:
      return quotient((*this)(x[0]), std::max<std::int64_t>((*this)(x[1]).least, 1));
    case ExprOp::modulo:
      return {0, std::max<std::int64_t>((*this)(x[1]).most, 1) - 1};
    case ExprOp::minimum: {
      const IndexRange a = (*this)(x[0]), b = (*this)(x[1]);
      return {std::min(a.least, b.least), std::min(a.most, b.most)};
    }
    case ExprOp::maximum: {
      const IndexRange a = (*this)(x[0]), b = (*this)(x[1]);
      return {std::max(a.least, b.least), std::max(a.most, b.most)};
    }
    case ExprOp::absolute: {
      const IndexRange a = (*this)(x[0]);
      return {0, std::max(std::abs(a.least), std::abs(a.most))};
    }
    case ExprOp::select: {
      const IndexRange a = (*this)(x[1]), b = (*this)(x[2]);
      return {std::min(a.least, b.least), std::max(a.most, b.most)};
    }
    default:
      return {0, 255};  // an element of another tensor
  }
}

IndexRange IndexBounds::of(Variable variable) const {
  switch (variable) {
    case Variable::q:
      return clamped(extent_.q.begin, std::max(extent_.q.begin, extent_.q.end - 1));
    case Variable::k:
      return clamped(extent_.k.begin, std::max(extent_.k.begin, extent_.k.end - 1));
    case Variable::batch:
      return clamped(0, extent_.batch - 1);
    case Variable::head:
      return clamped(0, extent_.heads - 1);
    case Variable::kv_head:
      return clamped(0, extent_.kv_heads - 1);
    case Variable::q_len:
      return clamped(extent_.q_len, extent_.q_len);
    case Variable::kv_len:
      return clamped(extent_.kv_len, extent_.kv_len);
    default:
      return {0, 0};
  }
}

IndexRange IndexBounds::of_scalar(const std::string& name) const {
  const auto found =
      llvm::find_if(scalars_, [&](const NamedNumber& number) { return number.name == name; });
  if (found == scalars_.end() || !(std::abs(found->value) <= largest_index)) return {0, 0};
  const auto value = static_cast<std::int64_t>(found->value);
  return {value, value};
}

IndexRange IndexBounds::of_sum(const ExprNode& node) const {
  IndexRange bounds{node.value, node.value};
  for (std::size_t i = 0; i < node.operands.size(); i++) {
    const IndexRange term =
        product((*this)(node.operands[i]), {node.coefficients[i], node.coefficients[i]});
    bounds = clamped(bounds.least + term.least, bounds.most + term.most);
  }
  return bounds;
}

}  // namespace streamattn
