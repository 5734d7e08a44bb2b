// Rows of several heads in one tile.
#pragma once

#include "streamattn/problem.h"

namespace streamattn {

/// The most query heads of a group whose rows may lie in one tile of 64 rows, query by query: they
/// share keys, and mask and score do not tell them apart. 1 where these do, and where data decide
/// what a query sees: key tiles are listed for the queries of one head.
int packable_heads(const Problem& problem);

}  // namespace streamattn
