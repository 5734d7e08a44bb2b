// Which heads go together.
#include "compiler/families/packing.h"

#include <numeric>

#include "compiler/expr/node.h"

namespace streamattn {

int packable_heads(const Problem& problem) {
  constexpr int rows = 64;
  const bool are_told_apart = problem.mask.node().uses_variable(Variable::head) ||
                              problem.score.node().uses_variable(Variable::head);
  return are_told_apart ? 1 : std::gcd(problem.group_size, rows);
}

}  // namespace streamattn
