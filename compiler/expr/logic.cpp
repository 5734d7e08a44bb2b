// Conditions in canonical form: flat, sorted, negations at the leaves, nothing said twice.
#include <algorithm>
#include <unordered_map>

#include "compiler/expr/build.h"

namespace streamattn {
namespace {

bool is_joined(const Expr& expr) {
  return expr.node().op == ExprOp::logical_and || expr.node().op == ExprOp::logical_or;
}

/// The sum that a condition says to be at most zero, if it is such a condition.
std::optional<Linear> bounded_sum(const Expr& condition) {
  const ExprNode& node = condition.node();
  if (node.op == ExprOp::at_most_zero) return Linear(node.operands[0]);
  if (node.op != ExprOp::logical_not || node.operands[0].node().op != ExprOp::at_most_zero)
    return {};
  Linear sum(node.operands[0].node().operands[0]);  // see negated()
  sum.constant = 1 - sum.constant;
  for (auto& term : sum.terms) term.second = -term.second;
  return sum;
}

/// Whether y's terms are those of x times `sign`.
bool has_terms(const Linear& x, const Linear& y, int sign) {
  return std::ranges::equal(x.terms, y.terms, [&](const auto& s, const auto& t) {
    return s.first.same_as(t.first) && s.second == sign * t.second;
  });
}

/// Negates conditions, and remembers those that have parts.
class Negation {
 public:
  Expr of(const Expr& condition) {
    if (!is_joined(condition)) return of_one(condition);
    if (const auto known = known_.find(condition); known != known_.end()) return known->second;
    // The opposite parts are one in canonical form: all that is said below of an `and` holds of
    // an `or` of the opposites.
    std::vector<Expr> opposites;
    for (const Expr& part : condition.node().operands) opposites.push_back(of(part));
    std::ranges::sort(opposites, comes_before);
    const bool is_and = condition.node().op == ExprOp::logical_and;
    const Expr opposite = intern({.op = is_and ? ExprOp::logical_or : ExprOp::logical_and,
                                  .operands = std::move(opposites)});
    known_.emplace(condition, opposite);
    return opposite;
  }

 private:
  static Expr of_one(const Expr& condition) {
    const ExprNode& node = condition.node();
    switch (node.op) {
      case ExprOp::constant:
        return node.value == 0;
      case ExprOp::at_most_zero:  // the negation of e <= 0 is 1 - e <= 0, where that fits
        if (Linear(node.operands[0]).constant == -largest_integer) break;
        return at_most_zero(integer_difference(1, node.operands[0]));
      case ExprOp::is_zero:
        return is_not_zero(node.operands[0]);
      case ExprOp::is_not_zero:
        return is_zero(node.operands[0]);
      case ExprOp::logical_not:
        return node.operands[0];
      default:
        break;
    }
    return intern({.op = ExprOp::logical_not, .operands = {condition}});
  }

  struct Hash {
    std::size_t operator()(const Expr& expr) const { return expr.node().hash; }
  };
  struct Same {
    bool operator()(const Expr& a, const Expr& b) const { return a.same_as(b); }
  };
  std::unordered_map<Expr, Expr, Hash, Same> known_;  // keys stay alive: none is another's node
};

/// Conditions that are joined by && or by ||, put in one after the other. None of them says
/// anything about another, or about a part of it: what stands beside a condition in an `and`
/// matters only where that holds, and in an `or` only where it does not.
class Joined {
 public:
  explicit Joined(ExprOp op) : op_(op), neutral_(op == ExprOp::logical_and) {}

  void add(const Expr& condition) {
    waiting_.push_back(condition);
    while (!waiting_.empty() && !is_decided_) {
      const Expr next = waiting_.back();
      waiting_.pop_back();
      settle(next);
    }
  }

  Expr expr() {
    if (is_decided_) return !neutral_;
    if (list_.empty()) return neutral_;
    if (list_.size() == 1) return list_.front();
    std::ranges::sort(list_, comes_before);
    return intern({.op = op_, .operands = list_});
  }

 private:
  void settle(const Expr& condition) {
    if (const auto value = constant_of(condition)) {
      is_decided_ |= (*value != 0) != neutral_;
      return;
    }
    if (condition.node().op == op_) {
      const auto& parts = condition.node().operands;
      if (list_.empty())
        list_ = parts;  // which is such a list already
      else
        waiting_.insert(waiting_.end(), parts.rbegin(), parts.rend());
      return;
    }
    const Expr simpler = simplified(condition, [&](const Expr& e) { return value_of(e); });
    if (!simpler.same_as(condition)) return waiting_.push_back(simpler);
    if (is_settled_by_bounds(condition)) return;
    simplify_others(condition);
    list_.push_back(condition);
  }

  /// What an expression is worth where all conditions of the list are `neutral_`.
  std::optional<bool> value_of(const Expr& expr) {
    const auto is_in_list = [&](const Expr& wanted) {
      return std::ranges::any_of(list_, [&](const Expr& e) { return e.same_as(wanted); });
    };
    if (list_.empty()) return {};
    if (is_in_list(expr)) return neutral_;
    const auto opposite = opposite_of(expr);
    if (opposite && is_in_list(*opposite)) return !neutral_;
    return {};
  }

  /// Nothing where it could be too large an expression.
  std::optional<Expr> opposite_of(const Expr& expr) {
    const ExprNode& node = expr.node();
    if (node.size > max_expr_size / 2 || node.depth >= max_expr_depth - 1) return {};
    return negation_.of(expr);
  }

  /// `expr` where value_of knows what its parts are worth.
  template <class ValueOf>
  static Expr simplified(const Expr& expr, const ValueOf& value_of) {
    if (const std::optional<bool> value = value_of(expr)) return *value;
    if (!is_joined(expr)) return expr;
    bool is_changed = false;
    std::vector<Expr> parts;
    for (const Expr& part : expr.node().operands) {
      parts.push_back(simplified(part, value_of));
      is_changed |= !parts.back().same_as(part);
    }
    if (!is_changed) return expr;
    return expr.node().op == ExprOp::logical_and ? all_of(parts) : any_of(parts);
  }

  void simplify_others(const Expr& known) {
    if (std::ranges::none_of(list_, is_joined)) return;
    const auto opposite = opposite_of(known);
    std::erase_if(list_, [&](const Expr& other) {
      const Expr simpler = simplified(other, [&](const Expr& e) -> std::optional<bool> {
        if (e.same_as(known)) return neutral_;
        if (opposite && e.same_as(*opposite)) return !neutral_;
        return {};
      });
      if (simpler.same_as(other)) return false;
      waiting_.push_back(simpler);
      return true;
    });
  }

  /// Of two bounds on the same side of a sum the tighter one decides an `and`, the looser one an
  /// `or`; bounds from both sides may leave nothing between them, or nothing outside. Whether
  /// `condition` need not join the list; takes out what it makes superfluous.
  bool is_settled_by_bounds(const Expr& condition) {
    const auto x = bounded_sum(condition);
    if (!x) return false;
    bool is_settled = false;
    std::erase_if(list_, [&](const Expr& other) {
      const auto y = bounded_sum(other);
      if (!y) return false;
      if (has_terms(*x, *y, -1)) {
        const std::int64_t gap = x->constant + y->constant;
        is_decided_ |= neutral_ ? gap > 0 : gap <= 1;
      }
      if (!has_terms(*x, *y, 1)) return false;
      is_settled = neutral_ ? x->constant <= y->constant : x->constant >= y->constant;
      return !is_settled;
    });
    return is_settled;
  }

  ExprOp op_;
  bool neutral_;  // changes nothing; its opposite decides everything
  bool is_decided_ = false;
  std::vector<Expr> list_, waiting_;
  Negation negation_;
};

Expr join(ExprOp op, const std::vector<Expr>& conditions) {
  Joined joined(op);
  for (const Expr& condition : conditions) joined.add(condition);
  return joined.expr();
}

}  // namespace

Expr all_of(const std::vector<Expr>& conditions) { return join(ExprOp::logical_and, conditions); }

Expr any_of(const std::vector<Expr>& conditions) { return join(ExprOp::logical_or, conditions); }

Expr negated(const Expr& condition) { return Negation().of(condition); }

}  // namespace streamattn
