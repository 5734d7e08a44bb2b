// Looks for elements.
#include "compiler/expr/element_slopes.h"

#include "compiler/expr/build.h"
#include "compiler/expr/derivative.h"

namespace streamattn {
namespace {

constexpr int variable_bits = 16;  // more than there are variables

/// Bit variable_bits * d + n: the variable of number n is index d by itself.
std::uint64_t plain_indices(const ExprNode& element) {
  std::uint64_t found = 0;
  for (std::size_t d = 0; d < element.operands.size(); d++) {
    const ExprNode& index = element.operands[d].node();
    if (index.op == ExprOp::variable)
      found |= std::uint64_t{1} << (variable_bits * d + static_cast<int>(index.variable));
  }
  return found;
}

}  // namespace

std::vector<ElementSlope> element_slopes(const Expr& expr) {
  std::vector<ElementSlope> slopes;
  for_each_node(expr, [&](const Expr& part) {
    const ExprNode& node = part.node();
    if (node.op != ExprOp::element || node.type != ExprType::real) return;
    const Expr slope = derivative(expr, part);
    if (!slope.same_as(Expr(0.0))) slopes.push_back({part, slope});
  });
  return slopes;
}

std::uint32_t element_owners(const Problem& problem, std::string_view name) {
  std::uint64_t common = ~std::uint64_t{0};
  const auto note = [&](const Expr& part) {
    if (part.node().op == ExprOp::element && part.node().name == name)
      common &= plain_indices(part.node());
  };
  for_each_node(problem.score, note);
  if (problem.sink) for_each_node(*problem.sink, note);
  std::uint32_t variables = 0;
  for (int d = 0; d < 4; d++) variables |= common >> (variable_bits * d) & 0xFFFF;
  return variables;
}

}  // namespace streamattn
