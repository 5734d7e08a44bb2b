// Decisions as rows of a schedule table.
#pragma once

#include <string>
#include <vector>

#include "autotune/group_result.h"

namespace streamattn {

/// Decisions of neighbouring groups, in one row where the same schedule won at both ends.
struct TunedRow {
  TuneGroup group;  ///< lengths and shapes are those of all of them
  Decision decision;
};

/// The rows of the groups that were decided, in their order. Neighbours are groups of one problem
/// and as many waves that follow each other in length and differ in nothing else.
std::vector<TunedRow> tuned_rows(const std::vector<GroupResult>& results, const Target& target);

/// Query tiles that count as many waves as those of `shapes`: less than half a multiprocessor's
/// worth, up to one, two, four, or more of each. What wins depends on the last wave, not on the
/// number of heads.
Lengths tiles_like(const Problem& problem, const std::vector<Shape>& shapes, const Target& target);

/// The first line of a table, and the text of a row.
std::string rows_header(const TuneSite& site);
std::string row_toml(const TunedRow& row, const TuneSite& site, const Target& target);

/// The text of a table with these rows.
std::string rows_toml(const std::vector<TunedRow>& rows, const TuneSite& site,
                      const Target& target);

/// "4 x 16 x 2048 x 2048": batch, key-value heads, q_len, kv_len, as rows name shapes.
std::string shape_text(const Shape& shape);

}  // namespace streamattn
