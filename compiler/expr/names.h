// The scalars and tensors that expressions name.
#pragma once

#include <string>
#include <vector>

#include "streamattn/problem.h"

namespace streamattn {

/// A scalar, or a tensor of `rank` dimensions (then it is not 0).
struct ExprName {
  std::string name;
  DType dtype;
  int rank;

  friend bool operator==(const ExprName&, const ExprName&) = default;
};

/// All names of a problem, in the order in which they are first met in mask, score and sink: the
/// order of NamedValues.
struct ExprNames {
  std::vector<ExprName> scalars, tensors;

  /// Throws Error (invalid_problem) where a name has two types, ranks or kinds, or where there are
  /// more than NamedValues has room for.
  explicit ExprNames(const Problem& problem);
  ExprNames(std::initializer_list<Expr> expressions);

  /// Index of the scalar or tensor that a node names.
  int index_of(const ExprNode& node) const;

 private:
  void add(const Expr& expr);
};

}  // namespace streamattn
