// How much arithmetic an attention call is.
#pragma once

#include "tools/problem_flags.h"

namespace streamattn {

/// Floating-point operations of a forward call as the field counts them: 4 x batch x query heads x
/// (pairs of a query and a key it sees) x the mean of head_dim and value_head_dim. A causal mask
/// over a square counts as exactly half of it; any other as the pairs it really holds.
double forward_flops(const ForwardCase& call);

/// Pairs of a row of Q and a key that the mask lets it see, counted one by one.
double counted_pairs(const ForwardCase& call);

}  // namespace streamattn
