// Collects names.
#include "compiler/expr/names.h"

#include <llvm/Support/FormatVariadic.h>

#include <algorithm>

#include "compiler/expr/build.h"
#include "streamattn/error.h"
#include "templates/params.h"

namespace streamattn {
namespace {

std::string kind(const ExprName& name) {
  if (name.rank == 0) return llvm::formatv("a scalar {0}", streamattn::name(name.dtype));
  return llvm::formatv("a tensor {0} of {1} dimensions", streamattn::name(name.dtype), name.rank);
}

void require_at_most(std::size_t most, const char* what, const std::vector<ExprName>& names) {
  if (names.size() > most)
    throw Error(
        ErrorCode::invalid_problem,
        llvm::formatv("mask and score name {0} {1}, there may be {2}", names.size(), what, most));
}

}  // namespace

ExprNames::ExprNames(const Problem& problem) {
  add(problem.mask);
  add(problem.score);
  if (problem.sink) add(*problem.sink);
  require_at_most(NamedValues::most_scalars, "scalars", scalars);
  require_at_most(NamedValues::most_tensors, "tensors", tensors);
}

ExprNames::ExprNames(std::initializer_list<Expr> expressions) {
  for (const Expr& expr : expressions) add(expr);
}

void ExprNames::add(const Expr& expr) {
  if (!expr.node().has_names) return;
  for_each_node(expr, [&](const Expr& part) {
    const ExprNode& node = part.node();
    if (node.op != ExprOp::scalar && node.op != ExprOp::element) return;
    const ExprName found{node.name, node.dtype, static_cast<int>(node.operands.size())};
    for (const auto* list : {&scalars, &tensors})
      for (const ExprName& known : *list)
        if (known.name == found.name) {
          if (known == found) return;
          throw Error(ErrorCode::invalid_problem,
                      llvm::formatv("\"{0}\" is {1} and {2}: a name stands for one thing; its type "
                                    "is written \"{0}:i32\"",
                                    found.name, kind(known), kind(found)));
        }
    (found.rank == 0 ? scalars : tensors).push_back(found);
  });
}

int ExprNames::index_of(const ExprNode& node) const {
  const auto& list = node.op == ExprOp::scalar ? scalars : tensors;
  return static_cast<int>(std::ranges::find(list, node.name, &ExprName::name) - list.begin());
}

}  // namespace streamattn
