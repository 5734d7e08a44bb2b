// Which keys the rows of a tile see, against the mask itself.
#include "compiler/operations/forward/key_bounds.h"

#include <algorithm>

#include "compiler/expr/evaluate.h"
#include "tests/support/catch.h"

namespace streamattn {

TEST_CASE("key bounds agree with every pair of positions") {
  const std::int64_t q_position = GENERATE(-3, 0, 5, 12);
  const std::int64_t k_position = GENERATE(-2, 0, 9);
  const ForwardCall call{.k = {.seq = 10}, .q_position = q_position, .k_position = k_position};
  for (const Expr& mask : {Expr(), causal()}) {
    for (std::int64_t first = 0; first < 8; ++first) {
      for (std::int64_t last = first; last < 8; ++last) {
        std::int64_t full = 10;
        std::int64_t end = 0;
        for (std::int64_t k = 0; k < 10; ++k) {
          for (std::int64_t q = first; q <= last; ++q) {
            const bool sees = holds_at(mask, {.q = q_position + q, .k = k_position + k});
            if (sees) end = k + 1;
            if (!sees) full = std::min(full, k);
          }
        }
        const KeyBounds bounds = key_bounds(mask, call, first, last);
        CHECK(bounds.full == full);
        CHECK(bounds.end == end);
      }
    }
  }
}

}  // namespace streamattn
