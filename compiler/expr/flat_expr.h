// An expression in the order of its evaluation.
#pragma once

#include <cstdint>
#include <vector>

#include "compiler/expr/names.h"
#include "compiler/expr/node.h"

namespace streamattn {

/// An expression as a list of operations, each after its operands.
class FlatExpr {
 public:
  /// Finds its names in `names`, by which values are ordered.
  FlatExpr(const Expr& expr, const ExprNames& names);

  /// An operation. Of a node that depends neither on the key nor on the score there is one value a
  /// row, else one a key. Values of one type that are not needed at the same time share a place.
  struct Operation {
    ExprOp op;
    ExprType type;
    bool is_of_row;      ///< one value a row
    bool is_spread;      ///< of a row, and read as if there were one a key
    int place;           ///< among the values of its type
    std::int64_t value;  ///< of the node, as the next four
    double real;
    Variable variable;
    DType dtype;
    std::vector<std::int64_t> coefficients;
    int name;                   ///< index of the scalar or tensor
    std::vector<int> operands;  ///< indices of operations
  };

  const std::vector<Operation>& operations() const { return operations_; }
  ExprType type() const { return operations_.back().type; }

  /// Places that the values of a type need.
  int places(ExprType type) const { return places_[static_cast<int>(type)]; }

  bool uses(Variable variable) const { return uses_ >> static_cast<int>(variable) & 1; }

 private:
  void assign_places();

  std::vector<Operation> operations_;
  int places_[3] = {};
  std::uint32_t uses_ = 0;
};

}  // namespace streamattn
