// The calls that a candidate must get right before it may be timed.
#pragma once

#include <vector>

#include "measure/forward_case.h"

namespace streamattn {

/// Small calls of the problem of `call`, with its names and layout: one query, lengths that no tile
/// divides, one key, more queries than keys, rows without keys, inputs with outliers.
std::vector<ForwardCase> gate_cases(const ForwardCase& call);

}  // namespace streamattn
