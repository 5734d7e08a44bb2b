// A call of the CPU target, tiles given.
#pragma once

#include "compiler/operations/forward/check.h"
#include "runtime/cpu/forward.h"

namespace streamattn {

/// Small tiles, so that short sequences have several of them.
inline constexpr CpuTileSides small_tiles{.q = 40, .kv = 24};

/// What an output holds before.
inline constexpr float poison = -12345;

/// Checks the call and runs it.
inline void run(const Problem& problem, const ForwardArgs& args, CpuTileSides tile = small_tiles) {
  check_forward(problem, args);
  cpu_forward(problem, FlatProblem(problem), tile, resolve(problem, args));
}

}  // namespace streamattn
