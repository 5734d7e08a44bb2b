// How much arithmetic an attention call is.
#pragma once

#include "tools/problem_flags.h"

namespace streamattn {

/// A number of pairs, or of operations.
struct Count {
  double number = 0;
  bool is_estimate = false;  ///< from a sample of the rows
};

/// Floating-point operations of a forward call as the field counts them: 4 x (pairs of a query and
/// a key it sees, over batch and query heads) x the mean of head_dim and value_head_dim. A causal
/// mask over a square counts as exactly half of it; any other as the pairs it really holds, see
/// visible_pairs().
Count forward_flops(const ForwardCase& call, double most = 0x1p34);

/// Of the operation that is asked of a call: backward counts 2.5 times as much as forward, what
/// moves rows nothing.
Count flops(const ForwardCase& call, double most = 0x1p34);

/// Pairs of a row of Q and a key that the mask lets it see, over batch and query heads. Exact where
/// closed forms tell which they are; pairs that these leave open are counted one by one, or, of
/// more than `most`, estimated from evenly spaced rows, as of more than 2^26 rows.
Count visible_pairs(const ForwardCase& call, double most = 0x1p34);

}  // namespace streamattn
