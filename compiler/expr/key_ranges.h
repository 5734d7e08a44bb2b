// Which keys some neighbouring queries see, in closed form: what a mask means to a walk over keys.
#pragma once

#include <vector>

#include "streamattn/expr.h"

namespace streamattn {

/// Key positions [begin, end), as expressions of q_first and q_end and of what depends on no query
/// and no key. What fits 32 bits as the mask computes it may lie beyond +-key_limit.
struct KeyRange {
  Expr begin, end;
};

/// Beyond every position there is, with room for arithmetic.
inline constexpr int key_limit = 1 << 30;

/// For the queries of [q_first, q_end), two answers to "which keys": every key that some of them
/// sees is in a range of `seen`, which may hold more; every key in a range of `full` is seen by all
/// of them, and there may be more. Exact for conditions on linear functions of positions, also
/// through // and min, max, abs, select; `seen` holds all keys and `full` none where a tensor that
/// depends on the key, or a remainder of it, decides. (After the outer and inner sets of interval
/// solving in Halide: Ragan-Kelley et al., 2013.)
struct KeyRanges {
  /// Ranges may overlap; an empty list is no key. At most `most`.
  std::vector<KeyRange> seen, full;

  /// Whether the ends of `seen` surely descend; else they may have any order.
  bool ends_descend = true;

  static constexpr int most = 4;

  explicit KeyRanges(const Expr& mask);
};

/// The ranges of the one query q_first; q_end does not stand in them. Exact for more masks: also
/// where a tensor of the query alone decides.
KeyRanges key_ranges_of_query(const Expr& mask);

/// Whether `seen` and `full` are the same ranges, so that no element needs a test.
bool is_exact(const KeyRanges& ranges);

}  // namespace streamattn
