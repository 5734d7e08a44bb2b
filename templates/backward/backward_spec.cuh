// What the backward skeleton asks of its Spec, so that a mistake is named before any template is
// looked into.
#pragma once

#include "backward/backward_params.h"
#include "parts/query_walk.cuh"

namespace streamattn {

/// False where Spec lacks something, with an error of one line that says what.
template <class Spec>
SA_DEVICE constexpr bool is_backward_spec() {
  constexpr bool has_operands = requires {
    typename Spec::Element;
    typename Spec::Score;
    Spec::group_size + 0;
  };
  constexpr bool has_tiling = requires {
    BackwardTiling(Spec::tiling);
    Spec::loader_registers + Spec::dq_registers + Spec::math_registers;
  };
  static_assert(has_operands, "Spec needs types Element and Score, and an int group_size");
  static_assert(
      has_tiling,
      "Spec needs a BackwardTiling tiling, ints loader_registers, dq_registers and math_registers");
  return has_operands && has_tiling;
}

}  // namespace streamattn
