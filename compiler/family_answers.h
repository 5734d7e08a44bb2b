// What every family says of a problem.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "streamattn/operation.h"
#include "streamattn/problem.h"
#include "streamattn/schedule.h"
#include "streamattn/target.h"

namespace streamattn {

struct FamilyAnswer {
  std::string_view family;
  std::string declines;  ///< a sentence; empty: the family serves the problem on the target
};

/// Whether check() has nothing to say of `schedule`. The problem is valid.
bool is_served(Operation operation, const Problem& problem, const Schedule& schedule,
               const Target& target);

/// Those of the operation, in the order in which they are asked. The problem is valid.
std::vector<FamilyAnswer> family_answers(Operation operation, const Problem& problem,
                                         const Target& target);

}  // namespace streamattn
