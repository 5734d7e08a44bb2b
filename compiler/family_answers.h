// What every family says of a problem.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "streamattn/operation.h"
#include "streamattn/problem.h"
#include "streamattn/target.h"

namespace streamattn {

struct FamilyAnswer {
  std::string_view family;
  std::string declines;  ///< a sentence; empty: the family serves the problem on the target
};

/// Those of the operation, in the order in which they are asked. The problem is valid.
std::vector<FamilyAnswer> family_answers(Operation operation, const Problem& problem,
                                         const Target& target);

}  // namespace streamattn
