// Which schedules are tried for a group, the most promising first.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "autotune/group_result.h"

namespace streamattn {

/// Why a schedule is not to be tried for a problem; empty if it is.
using WhyBlocked = std::function<std::string(const Problem&, const Schedule&)>;

/// Those of `first` that are legal, then all others that the families have and `space` allows, the
/// best by the model in front, cut as `method` says. What is blocked is refused already.
std::vector<CandidateRecord> list_candidates(const TuneGroup& group,
                                             const std::vector<Schedule>& first,
                                             const std::vector<KnobLimit>& space,
                                             const TuneMethod& method, const Target& target,
                                             const WhyBlocked& why_blocked);

}  // namespace streamattn
