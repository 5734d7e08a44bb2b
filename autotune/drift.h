// Rows measured again: whether they are still right, as fast as they were, and worth having.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "autotune/group_result.h"
#include "streamattn/schedule_table.h"

namespace streamattn {

/// What became of the row that a group has in a table.
struct Drift {
  TuneGroup group;
  std::string origin;  ///< file and line of the row; empty: the group has none
  Schedule schedule;
  Outcome outcome = {};
  double microseconds = 0;  ///< now, of the group's largest shape
  double recorded = 0;      ///< as the row says; 0 where it has no time taken in the same way
  double gain = 1;          ///< time of the first guess over that of the row, now

  bool has_row() const { return !origin.empty(); }

  /// Wrong, further from what was recorded than `tolerance` (0.05 is 5 %), or slower than the first
  /// guess by more than 2 %.
  bool has_drifted(double tolerance) const;
};

/// Measures the rows that `rows` has for the groups of `job`, each beside the first guess.
std::vector<Drift> measure_drift(TuneDevice& device, const TuneJob& job, const ScheduleTable& rows,
                                 const TuneMethod& method,
                                 const std::function<void(std::size_t done)>& advance);

}  // namespace streamattn
