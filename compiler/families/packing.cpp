// Which heads go together.
#include "compiler/families/packing.h"

#include <numeric>

#include "compiler/expr/node.h"
#include "compiler/expr/tile_policy.h"

namespace streamattn {

int packable_heads(const Problem& problem) {
  constexpr int rows = 64;
  const bool are_told_apart = problem.mask.node().uses_variable(Variable::head) ||
                              problem.score.node().uses_variable(Variable::head);
  if (are_told_apart || is_data_dependent(problem.mask)) return 1;
  return std::gcd(problem.group_size, rows);
}

}  // namespace streamattn
