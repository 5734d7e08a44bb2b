// What every family says of a problem.
#pragma once

#include <cstdint>
#include <optional>
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

/// How the kernels of a schedule walk over the pairs of a problem: for counts and drawings.
struct TileWalk {
  std::int64_t rows, keys;      ///< of a tile
  int heads = 1;                ///< whose rows share tiles, all heads of a query in a row
  bool is_of_sequence = false;  ///< every row tile meets the keys that any query can see
  bool by_data = false;         ///< what data hide from all of a tile's rows is not met
};

/// Nothing where the family does not say. The schedule is legal.
std::optional<TileWalk> tile_walk(const Problem& problem, const Schedule& schedule);

/// Those of the operation, in the order in which they are asked. The problem is valid.
std::vector<FamilyAnswer> family_answers(Operation operation, const Problem& problem,
                                         const Target& target);

}  // namespace streamattn
