// What the decode skeleton asks of its Spec, so that a mistake is named before any template is
// looked into.
#pragma once

#include "decode/decode_params.h"
#include "forward/flash_spec.cuh"

namespace streamattn {

template <class Spec>
concept HasDecodeTiling = Is<const DecodeTiling, decltype(Spec::tiling)> &&
                          Is<const BatchLayout, decltype(Spec::layout)> &&
                          Spec::tiling.rows % 8 == 0 && Spec::tiling.value_head_dim % 64 == 0 &&
                          (Spec::tiling.cluster & (Spec::tiling.cluster - 1)) == 0;

template <class Spec>
concept HasDecodeOutput = requires {
  typename Spec::Output;
  { Spec::tiles_by_sequence } -> Is<const bool&>;
  { Spec::pieces_together } -> Is<const int&>;
};

/// False where Spec lacks something, with an error of one line that says what.
template <class Spec>
SA_DEVICE constexpr bool is_decode_spec() {
  static_assert(HasOperands<Spec>, "Spec needs a type Element and an int group_size");
  static_assert(HasScore<Spec>, "Spec needs a type Score that is a score policy");
  static_assert(
      HasDecodeTiling<Spec>,
      "Spec needs a BatchLayout layout and a DecodeTiling tiling with rows in eights, value "
      "columns in 64s and a cluster that is a power of two");
  static_assert(HasDecodeOutput<Spec>,
                "Spec needs a type Output, a bool tiles_by_sequence and an int pieces_together");
  return HasOperands<Spec> && HasScore<Spec> && HasDecodeTiling<Spec> && HasDecodeOutput<Spec>;
}

}  // namespace streamattn
