// Conditions in canonical form: flat, sorted, negations at the leaves.
#include <algorithm>

#include "compiler/expr/build.h"

namespace streamattn {
namespace {

/// Of two bounds on the same sum the tighter one decides an `and`, the looser one an `or`. Whether
/// `a` and `b` are such bounds; then a takes the place of both.
bool merge_bounds(ExprOp op, Expr& a, const Expr& b) {
  if (a.node().op != ExprOp::at_most_zero || b.node().op != ExprOp::at_most_zero) return false;
  const Linear x(a.node().operands[0]), y(b.node().operands[0]);
  const auto same = [](const auto& s, const auto& t) {
    return s.first.same_as(t.first) && s.second == t.second;
  };
  if (!std::ranges::equal(x.terms, y.terms, same)) return false;
  const bool b_decides =
      op == ExprOp::logical_and ? y.constant > x.constant : y.constant < x.constant;
  if (b_decides) a = b;
  return true;
}

void add_condition(ExprOp op, std::vector<Expr>& list, const Expr& condition) {
  if (condition.node().op == op) {
    for (const Expr& part : condition.node().operands) add_condition(op, list, part);
    return;
  }
  for (Expr& known : list)
    if (known.same_as(condition) || merge_bounds(op, known, condition)) return;
  list.push_back(condition);
}

/// `expr` where `known` is worth `value`, and its negation the opposite.
Expr knowing(const Expr& expr, const Expr& known, const Expr& opposite, bool value) {
  if (expr.same_as(known)) return value;
  if (expr.same_as(opposite)) return !value;
  const ExprNode& node = expr.node();
  if (node.op != ExprOp::logical_and && node.op != ExprOp::logical_or) return expr;
  std::vector<Expr> parts;
  for (const Expr& part : node.operands) parts.push_back(knowing(part, known, opposite, value));
  return node.op == ExprOp::logical_and ? all_of(parts) : any_of(parts);
}

/// What stands beside a condition in an `and` matters only where that holds, and in an `or` only
/// where it does not. Whether a part of the list changed.
bool use_each_other(std::vector<Expr>& list, bool neutral) {
  for (std::size_t i = 0; i < list.size(); i++) {
    const Expr known = list[i], opposite = negated(known);
    for (std::size_t j = 0; j < list.size(); j++) {
      if (i == j) continue;
      const Expr simpler = knowing(list[j], known, opposite, neutral);
      if (simpler.same_as(list[j])) continue;
      list[j] = simpler;
      return true;
    }
  }
  return false;
}

/// `neutral` changes nothing; its negation decides everything.
Expr join(ExprOp op, const std::vector<Expr>& conditions, bool neutral) {
  std::vector<Expr> list;
  for (const Expr& condition : conditions) {
    if (const auto value = constant_of(condition)) {
      if ((*value != 0) != neutral) return !neutral;
      continue;
    }
    add_condition(op, list, condition);
  }
  if (use_each_other(list, neutral)) return join(op, list, neutral);
  if (list.empty()) return neutral;
  if (list.size() == 1) return list.front();
  std::ranges::sort(list, comes_before);
  return intern({.op = op, .operands = std::move(list)});
}

}  // namespace

Expr all_of(std::vector<Expr> conditions) { return join(ExprOp::logical_and, conditions, true); }

Expr any_of(std::vector<Expr> conditions) { return join(ExprOp::logical_or, conditions, false); }

Expr negated(const Expr& condition) {
  const ExprNode& node = condition.node();
  std::vector<Expr> opposites;
  switch (node.op) {
    case ExprOp::constant:
      return node.value == 0;
    case ExprOp::at_most_zero:  // the negation of e <= 0 is 1 - e <= 0
      return at_most_zero(integer_difference(1, node.operands[0]));
    case ExprOp::is_zero:
      return is_not_zero(node.operands[0]);
    case ExprOp::is_not_zero:
      return is_zero(node.operands[0]);
    case ExprOp::logical_not:
      return node.operands[0];
    case ExprOp::logical_and:
    case ExprOp::logical_or:
      for (const Expr& part : node.operands) opposites.push_back(negated(part));
      return node.op == ExprOp::logical_and ? any_of(opposites) : all_of(opposites);
    default:
      return intern({.op = ExprOp::logical_not, .operands = {condition}});
  }
}

}  // namespace streamattn
