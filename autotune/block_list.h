// Schedules that were wrong, or broke their process, on a GPU: how to see it again, and not to try
// them there.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "autotune/group_result.h"

namespace streamattn {

/// A schedule that must not be used for a problem on a device.
struct BlockedSchedule {
  std::string device, problem;  ///< as they describe themselves
  std::string schedule;         ///< the same; launch knobs do not count
  std::string reason;
  std::string reproduce;  ///< a command
};

/// Why `schedule` is not to be tried; empty if it is.
std::string why_blocked(const std::vector<BlockedSchedule>& list, std::string_view device,
                        const Problem& problem, const Schedule& schedule);

/// Those candidates of `results` that were wrong, crashed or did not end.
std::vector<BlockedSchedule> blocked_by(const std::vector<GroupResult>& results,
                                        const TuneSite& site);

/// A list as TOML, and back. Throws Error (invalid_config) with origin, line and column.
std::string block_list_toml(const std::vector<BlockedSchedule>& list);
std::vector<BlockedSchedule> parse_block_list(std::string_view text, std::string_view origin);

}  // namespace streamattn
