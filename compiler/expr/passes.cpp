// Walks over expressions.
#include <llvm/Support/ErrorHandling.h>

#include <unordered_map>
#include <unordered_set>

#include "compiler/expr/build.h"

namespace streamattn {
namespace {

class Substitution {
 public:
  explicit Substitution(const std::vector<std::pair<Variable, Expr>>& replacements)
      : replacements_(replacements) {
    for (const auto& replacement : replacements)
      affected_ |= 1U << static_cast<int>(replacement.first);
  }

  Expr apply(const Expr& expr) {
    const ExprNode& node = expr.node();
    if ((node.uses & affected_) == 0) return expr;
    if (node.op == ExprOp::variable) return replacement(node.variable);
    if (const auto known = done_.find(&node); known != done_.end()) return known->second;
    std::vector<Expr> operands;
    for (const Expr& operand : node.operands) operands.push_back(apply(operand));
    Expr result = rebuilt(node, std::move(operands));
    done_.emplace(&node, result);
    return result;
  }

 private:
  const Expr& replacement(Variable variable) const {
    for (const auto& [from, to] : replacements_)
      if (from == variable) return to;
    llvm_unreachable("affected variables have a replacement");
  }

  const std::vector<std::pair<Variable, Expr>>& replacements_;
  std::uint32_t affected_ = 0;
  std::unordered_map<const ExprNode*, Expr> done_;
};

void visit_once(const Expr& expr, std::unordered_set<const ExprNode*>& seen,
                const std::function<void(const Expr&)>& visit) {
  if (!seen.insert(&expr.node()).second) return;
  for (const Expr& operand : expr.node().operands) visit_once(operand, seen, visit);
  visit(expr);
}

}  // namespace

Expr rebuilt(const ExprNode& node, std::vector<Expr> operands) {
  const auto& x = operands;
  switch (node.op) {
    case ExprOp::constant:
    case ExprOp::variable:
    case ExprOp::scalar:
      return intern(node);
    case ExprOp::element:
      return element(node.name, node.dtype, std::move(operands));
    case ExprOp::sum: {
      Expr sum = node.value;
      for (std::size_t i = 0; i < x.size(); i++) sum = sum + x[i] * node.coefficients[i];
      return sum;
    }
    case ExprOp::multiply:
      return x[0] * x[1];
    case ExprOp::floor_divide:
      return integer_quotient(x[0], x[1]);
    case ExprOp::modulo:
      return integer_remainder(x[0], x[1]);
    case ExprOp::add:
      return x[0] + x[1];
    case ExprOp::subtract:
      return x[0] - x[1];
    case ExprOp::divide:
      return x[0] / x[1];
    case ExprOp::negate:
      return -x[0];
    case ExprOp::to_real:
      return to_real(x[0]);
    case ExprOp::minimum:
      return min(x[0], x[1]);
    case ExprOp::maximum:
      return max(x[0], x[1]);
    case ExprOp::absolute:
      return abs(x[0]);
    case ExprOp::select:
      return select(x[0], x[1], x[2]);
    case ExprOp::exp:
      return exp(x[0]);
    case ExprOp::log:
      return log(x[0]);
    case ExprOp::tanh:
      return tanh(x[0]);
    case ExprOp::sqrt:
      return sqrt(x[0]);
    case ExprOp::at_most_zero:
      return at_most_zero(x[0]);
    case ExprOp::is_zero:
      return is_zero(x[0]);
    case ExprOp::is_not_zero:
      return is_not_zero(x[0]);
    case ExprOp::less:
      return x[0] < x[1];
    case ExprOp::less_equal:
      return x[0] <= x[1];
    case ExprOp::equal:
      return x[0] == x[1];
    case ExprOp::logical_not:
      return negated(x[0]);
    case ExprOp::logical_and:
      return all_of(std::move(operands));
    case ExprOp::logical_or:
      return any_of(std::move(operands));
    case ExprOp::bit:
      return bit(x[0], x[1]);
  }
  llvm_unreachable("unknown operation");
}

Expr substitute(const Expr& expr, const std::vector<std::pair<Variable, Expr>>& replacements) {
  return Substitution(replacements).apply(expr);
}

Expr replaced(const Expr& expr, const Expr& from, const Expr& to) {
  if (expr.same_as(from)) return to;
  const ExprNode& node = expr.node();
  if (node.depth <= from.node().depth) return expr;
  std::vector<Expr> operands;
  for (const Expr& operand : node.operands) operands.push_back(replaced(operand, from, to));
  return rebuilt(node, std::move(operands));
}

void for_each_node(const Expr& expr, const std::function<void(const Expr&)>& visit) {
  std::unordered_set<const ExprNode*> seen;
  visit_once(expr, seen, visit);
}

}  // namespace streamattn
