// Values that are not finite among those of a call.
#pragma once

#include "measure/forward_case.h"

namespace streamattn {

/// Puts NaN and both infinities into `count` elements of V, drawn by `seed`, each into a key, a
/// head and a column of its own. A row that sees such a key has it in that column, no other row
/// has.
void plant_not_finite(ForwardTensors& tensors, int count, std::uint64_t seed);

/// Puts `value` in a column of a row of all heads and entries.
void plant(HostTensor& into, std::int64_t row, std::int64_t column, double value);

}  // namespace streamattn
