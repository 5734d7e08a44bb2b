// How far the indices of named tensors reach in a call.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "compiler/expr/node.h"
#include "measure/named_inputs.h"

namespace streamattn {

/// The values that an integer expression can have; wider where that is simpler.
struct IndexRange {
  std::int64_t least, most;
};

/// Bounds of integer expressions in a call of some extent, with values of scalars.
class IndexBounds {
 public:
  /// Both must outlive it.
  IndexBounds(const InputExtent& extent, const std::vector<NamedNumber>& scalars)
      : extent_(extent), scalars_(scalars) {}

  /// Within +-2^30, but for constants.
  IndexRange operator()(const Expr& expr) const;

 private:
  IndexRange of(Variable variable) const;
  IndexRange of_scalar(const std::string& name) const;
  IndexRange of_sum(const ExprNode& node) const;

  const InputExtent& extent_;
  const std::vector<NamedNumber>& scalars_;
};

}  // namespace streamattn
