// Which keys some neighbouring queries see, in closed form.
#pragma once

#include <cstdint>

#include "compiler/operations/forward/call.h"
#include "streamattn/expr.h"

namespace streamattn {

/// Rows of k: those of [0, full) are seen by every query, those from `end` on by none.
struct KeyBounds {
  std::int64_t full, end;
};

/// The bounds for queries `q_first` to `q_last`, rows of call.q: the best ones for the masks whose
/// form is known, else [0, kv_len) of which nothing is said.
KeyBounds key_bounds(const Expr& mask, const ForwardCall& call, std::int64_t q_first,
                     std::int64_t q_last);

}  // namespace streamattn
