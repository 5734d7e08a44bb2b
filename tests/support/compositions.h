// Every mask and every score that has a name, and ways to call what they are joined to.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "measure/forward_case.h"

namespace streamattn {

/// A mask or a score as docs/masks.md names it, with values for its scalars.
struct NamedExpr {
  std::string name;
  Expr expr;
  std::vector<NamedNumber> scalars = {};
};

/// "true", those of docs/masks.md in its order, and what StreamingLLM joins of them.
std::vector<NamedExpr> named_masks();

/// "score", and those of docs/masks.md in its order.
std::vector<NamedExpr> named_scores();

/// What is special about a call.
enum class Variation {
  grouped_heads,  ///< four query heads to a key-value head
  split_keys,     ///< a few queries of many keys, for schedules that split these
  offsets,        ///< negative positions of queries, keys far from 0
  sub_ranges,     ///< some rows of q and of k
  empty_rows,     ///< most queries in front of all keys
};

/// A letter for each variation, in their order.
inline constexpr std::string_view variation_letters = "GSORE";
inline constexpr int variation_count = 5;

/// A call of a mask with a score: small, or of several tiles on a GPU.
ForwardCase composed_case(const NamedExpr& mask, const NamedExpr& score, Variation variation,
                          bool has_tiles);

}  // namespace streamattn
