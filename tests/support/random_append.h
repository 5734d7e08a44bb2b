// Random append calls, for every target.
#pragma once

#include "measure/append_case.h"
#include "tests/support/random_sequences.h"

namespace streamattn {

/// The case that appends the queries' tokens to the cache of random_sequences(): every layout,
/// lengths, styles of rotation by formula or by table, with queries or without. Rotated columns
/// come in multiples of `columns`.
AppendCase random_append(const SequenceDraw& draw, int columns, std::uint64_t problem,
                         std::uint64_t seed);

}  // namespace streamattn
