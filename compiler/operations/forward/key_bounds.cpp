// Closed forms of the masks that have one.
#include "compiler/operations/forward/key_bounds.h"

#include <algorithm>

#include "streamattn/masks.h"

namespace streamattn {

KeyBounds key_bounds(const Expr& mask, const ForwardCall& call, std::int64_t q_first,
                     std::int64_t q_last) {
  static const Expr everything, triangle = causal();  // to make an expression takes a lock
  const std::int64_t keys = call.kv_len();
  if (mask.same_as(everything)) return {keys, keys};
  if (mask.same_as(triangle)) {
    const std::int64_t shift = call.q_position - call.k_position + 1;
    return {std::clamp<std::int64_t>(q_first + shift, 0, keys),
            std::clamp<std::int64_t>(q_last + shift, 0, keys)};
  }
  return {0, keys};
}

}  // namespace streamattn
