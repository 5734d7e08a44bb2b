// Schedules of the CPU's kernel, which needs no source.
#include "compiler/families/cpu_tiled/cpu_tiled.h"

#include <llvm/Support/FormatVariadic.h>

namespace streamattn {
namespace {

std::string misses(const Target& target) {
  if (!target.is_cpu()) return llvm::formatv("{0} is a GPU", target.name);
  return {};
}

std::string declines(const Problem&, const Target&) { return {}; }

std::string refuses(const Problem&, const Schedule& schedule, const Target&) {
  const auto [tile_q, tile_kv] = settings_of<CpuSchedule>(schedule);
  if (tile_q < 1 || tile_kv < 1)
    return llvm::formatv("tile {0} x {1}: both sides must be positive", tile_q, tile_kv);
  return {};
}

std::optional<Schedule> first_guess(const Problem&, const Shape&, const Target&) {
  // A tile of K and V in float fits the second-level cache of one core at head_dim 128.
  return to_schedule(CpuSchedule{});
}

std::vector<Schedule> schedules(const Problem& problem, const Shape& shape, const Target& target) {
  return {*first_guess(problem, shape, target)};
}

}  // namespace

Family cpu_tiled_family() {
  return {.name = CpuSchedule::family,
          .operation = Operation::forward,
          .knobs = &knob_table<CpuSchedule>(),
          .misses = misses,
          .declines = declines,
          .refuses = refuses,
          .first_guess = first_guess,
          .schedules = schedules,
          .emit = nullptr,
          .plan = nullptr};
}

}  // namespace streamattn
