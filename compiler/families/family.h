// A way of writing a kernel: which problems it takes, with which schedules, and as what text.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "streamattn/problem.h"
#include "streamattn/schedule.h"
#include "streamattn/target.h"

namespace streamattn {

struct Family {
  std::string_view name;

  /// Why the family cannot serve `problem` on `target` with any schedule; empty if it can.
  std::string (*declines)(const Problem& problem, const Target& target);

  /// Why it cannot serve it with `schedule`; empty if it can. The problem is not declined.
  std::string (*refuses)(const Problem& problem, const Schedule& schedule, const Target& target);

  /// The legal schedule to use where nothing was measured; none if there is no legal one. The
  /// problem is not declined.
  std::optional<Schedule> (*first_guess)(const Problem& problem, const Shape& shape,
                                         const Target& target);

  /// Legal schedules, the first guess in front. The problem is not declined.
  std::vector<Schedule> (*schedules)(const Problem& problem, const Shape& shape,
                                     const Target& target);

  /// The emitted file. The schedule is not refused. Null where there is nothing to emit.
  std::string (*emit)(const Problem& problem, const Schedule& schedule, const Target& target);
};

/// Every family, the one to ask first in front.
std::span<const Family> families();

}  // namespace streamattn
