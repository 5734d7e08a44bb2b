// A way of writing kernels: which problems it takes, with which schedules, as what text, and how
// they are launched.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/estimate.h"
#include "compiler/family_answers.h"
#include "compiler/knobs.h"
#include "compiler/plan.h"
#include "streamattn/compiler.h"

namespace streamattn {

/// All that is known of a family. To add one is to write these functions, in a folder of its own,
/// and to name it in families.cpp.
struct Family {
  std::string_view name;
  Operation operation;
  const KnobTable* knobs;

  /// What `target` lacks that all of its kernels need; empty if nothing.
  std::string (*misses)(const Target& target);

  /// Why the family cannot serve `problem` on `target` with any schedule; empty if it can. The
  /// target lacks nothing.
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

  /// What a legal schedule takes and how long, by a model: for ranking alone. Null: schedules are
  /// tried in their order.
  Estimate (*estimate)(const Problem& problem, const Schedule& schedule, const Shape& shape,
                       const Target& target);

  /// A legal schedule, then others with the same binaries that are worth measuring. Null where
  /// `schedules` has them all.
  std::vector<Schedule> (*launch_choices)(const Problem& problem, const Schedule& schedule,
                                          const Shape& shape, const Target& target);

  /// How the kernels of a legal schedule walk over the pairs of a problem. Null where it cannot be
  /// said in tiles.
  TileWalk (*walk)(const Problem& problem, const Schedule& schedule);

  /// The program, all but `flat` and `target` of its sources filled in. The schedule is not
  /// refused, and has the defaults of all knobs that only steer a launch. Null where the kernel is
  /// part of the library.
  Program (*emit)(const Problem& problem, const Schedule& schedule, const Target& target);

  /// How a call is launched; see plan(). Null where emit is.
  Plan (*plan)(const Problem& problem, const Schedule& schedule, const ResolvedCall& call,
               const DeviceFacts& device, WorkspaceSlices& workspace);
};

/// Every family, the one to ask first in front.
std::span<const Family> families();

/// The family called `name`. Throws Error (invalid_schedule) that lists the known names.
const Family& find_family(std::string_view name);

}  // namespace streamattn
