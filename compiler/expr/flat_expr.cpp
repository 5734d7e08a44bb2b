// Lists the operations of an expression and gives their values places.
#include "compiler/expr/flat_expr.h"

#include <unordered_map>

#include "compiler/expr/build.h"

namespace streamattn {
namespace {

bool is_of_row(const ExprNode& node) {
  return !node.uses_variable(Variable::k) && !node.uses_variable(Variable::score);
}

bool has_name(const ExprNode& node) {
  return node.op == ExprOp::scalar || node.op == ExprOp::element;
}

/// Of an operand that has one value a row: the others read it as if each key had its own.
bool reads_one_value(ExprOp op) { return op == ExprOp::sum || op == ExprOp::element; }

}  // namespace

FlatExpr::FlatExpr(const Expr& expr, const ExprNames& names) : uses_(expr.node().uses) {
  std::unordered_map<const ExprNode*, int> indices;
  for_each_node(expr, [&](const Expr& part) {
    const ExprNode& node = part.node();
    Operation operation{.op = node.op,
                        .type = node.type,
                        .is_of_row = streamattn::is_of_row(node),
                        .is_spread = false,
                        .place = 0,
                        .value = node.value,
                        .real = node.real,
                        .variable = node.variable,
                        .dtype = node.dtype,
                        .coefficients = node.coefficients,
                        .name = has_name(node) ? names.index_of(node) : 0,
                        .operands = {}};
    for (const Expr& operand : node.operands) {
      operation.operands.push_back(indices.at(&operand.node()));
      operations_[operation.operands.back()].is_spread |=
          !operation.is_of_row && !reads_one_value(node.op);
    }
    indices[&node] = static_cast<int>(operations_.size());
    operations_.push_back(std::move(operation));
  });
  for (Operation& operation : operations_) operation.is_spread &= operation.is_of_row;
  operations_.back().is_spread = operations_.back().is_of_row;
  assign_places();
}

// Values of a row stay; one of a key makes room behind the last operation that reads it, so that no
// operation writes over what it reads.
void FlatExpr::assign_places() {
  std::vector<std::size_t> last_use(operations_.size(), operations_.size());
  for (std::size_t i = 0; i < operations_.size(); i++)
    for (const int operand : operations_[i].operands) last_use[operand] = i;
  std::vector<int> free[3];
  for (std::size_t i = 0; i < operations_.size(); i++) {
    Operation& operation = operations_[i];
    auto& places = free[static_cast<int>(operation.type)];
    if (operation.is_of_row || places.empty()) {
      operation.place = places_[static_cast<int>(operation.type)]++;
    } else {
      operation.place = places.back();
      places.pop_back();
    }
    for (const int operand : operation.operands) {
      if (last_use[operand] != i || operations_[operand].is_of_row) continue;
      last_use[operand] = operations_.size();  // once, where it is two operands
      free[static_cast<int>(operations_[operand].type)].push_back(operations_[operand].place);
    }
  }
}

}  // namespace streamattn
