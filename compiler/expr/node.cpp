// The table of all expressions that are alive.
#include "compiler/expr/node.h"

#include <llvm/ADT/Hashing.h>
#include <pthread.h>

#include <algorithm>
#include <bit>
#include <mutex>
#include <tuple>
#include <unordered_map>

#include "compiler/expr/refuse.h"

namespace streamattn {
namespace {

auto content(const ExprNode& node) {
  return std::tie(node.op, node.type, node.value, node.variable, node.dtype, node.name,
                  node.coefficients);
}

std::size_t hash_of(const ExprNode& node) {
  llvm::hash_code code = llvm::hash_combine(
      node.op, node.type, node.value, std::bit_cast<std::uint64_t>(node.real), node.variable,
      node.dtype, node.name,
      llvm::hash_combine_range(node.coefficients.begin(), node.coefficients.end()));
  for (const Expr& operand : node.operands) code = llvm::hash_combine(code, &operand.node());
  return code;
}

struct Hash {
  std::size_t operator()(const ExprNode* node) const { return node->hash; }
};

struct Equal {
  bool operator()(const ExprNode* a, const ExprNode* b) const {
    return content(*a) == content(*b) &&
           std::bit_cast<std::uint64_t>(a->real) == std::bit_cast<std::uint64_t>(b->real) &&
           std::ranges::equal(a->operands, b->operands,
                              [](const Expr& x, const Expr& y) { return x.same_as(y); });
  }
};

/// Keeps no node alive: the last Expr that holds one takes it out.
class Table {
 public:
  /// Never destroyed: expressions may be in static objects.
  static Table& instance() {
    static auto* table = new Table;
    return *table;
  }

  std::shared_ptr<const ExprNode> find_or_add(ExprNode&& node) {
    {
      const std::lock_guard lock(mutex_);
      if (auto known = find(&node)) return known;
    }
    // Made before the lock is taken, and dropped, if it is not needed any more, after it is given
    // back.
    std::shared_ptr<const ExprNode> added(new ExprNode(std::move(node)),
                                          [](const ExprNode* dead) { instance().remove(dead); });
    const std::lock_guard lock(mutex_);
    if (auto known = find(added.get())) return known;
    nodes_.emplace(added.get(), added);
    return added;
  }

 private:
  Table() {
    ::pthread_atfork([] { instance().mutex_.lock(); }, [] { instance().mutex_.unlock(); },
                     [] { instance().mutex_.unlock(); });
  }

  // Under the lock no owner may be dropped: it could be the last one, which takes the lock. So what
  // was found is handed out, and a weak pointer is never converted, which would make an owner.
  std::shared_ptr<const ExprNode> find(const ExprNode* node) {
    const auto found = nodes_.find(node);
    if (found == nodes_.end()) return nullptr;
    auto alive = found->second.lock();
    if (!alive) nodes_.erase(found);  // its last owner waits for the lock to take it out
    return alive;
  }

  void remove(const ExprNode* dead) {
    {
      const std::lock_guard lock(mutex_);
      if (const auto found = nodes_.find(dead); found != nodes_.end() && found->first == dead)
        nodes_.erase(found);
    }
    delete dead;
  }

  std::mutex mutex_;
  std::unordered_map<const ExprNode*, std::weak_ptr<const ExprNode>, Hash, Equal> nodes_;
};

void derive_facts(ExprNode& node) {
  node.has_names = node.op == ExprOp::scalar || node.op == ExprOp::element;
  if (node.op == ExprOp::variable) node.uses = 1U << static_cast<int>(node.variable);
  for (const Expr& operand : node.operands) {
    const ExprNode& inner = operand.node();
    node.depth = std::max(node.depth, inner.depth + 1);
    node.size = std::min(node.size + inner.size, max_expr_size + 1);
    node.has_names |= inner.has_names;
    node.uses |= inner.uses;
  }
  if (node.depth > max_expr_depth) refuse("nested more than {0} levels deep", max_expr_depth);
  if (node.size > max_expr_size) refuse("more than {0} operations", max_expr_size);
  node.hash = hash_of(node);
}

}  // namespace

Expr intern(ExprNode node) {
  derive_facts(node);
  return Expr(Table::instance().find_or_add(std::move(node)));
}

bool comes_before(const Expr& left, const Expr& right) {
  if (left.same_as(right)) return false;
  const ExprNode &a = left.node(), &b = right.node();
  if (a.depth != b.depth) return a.depth < b.depth;
  const auto key = [](const ExprNode& n) {
    return std::tie(n.op, n.type, n.variable, n.name, n.dtype);
  };
  if (key(a) != key(b)) return key(a) < key(b);
  if (a.operands.size() != b.operands.size()) return a.operands.size() < b.operands.size();
  for (std::size_t i = 0; i < a.operands.size(); i++)
    if (!a.operands[i].same_as(b.operands[i])) return comes_before(a.operands[i], b.operands[i]);
  return std::tie(a.coefficients, a.value, a.real) < std::tie(b.coefficients, b.value, b.real);
}

}  // namespace streamattn
