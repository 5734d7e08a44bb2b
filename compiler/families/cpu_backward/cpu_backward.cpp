// Schedules of the CPU's backward kernel, which needs no source.
#include "compiler/families/cpu_backward/cpu_backward.h"

#include <llvm/Support/FormatVariadic.h>

#include "compiler/families/cpu_family.h"
#include "compiler/operations/backward/evaluate.h"

namespace streamattn {
namespace {

std::string declines(const Problem& problem, const Target&) {
  if (problem.kv_layout == SequenceLayout::paged)
    return "kv_layout paged: gradients are of dense or packed keys";
  return slopes_lack(problem);
}

std::string refuses(const Problem&, const Schedule& schedule, const Target&) {
  const auto [tile_q, tile_kv] = settings_of<CpuBackwardSchedule>(schedule);
  if (tile_q < 1 || tile_kv < 1)
    return llvm::formatv("tile {0} x {1}: both sides must be positive", tile_q, tile_kv);
  return {};
}

TileWalk walk(const Problem&, const Schedule& schedule) {
  const auto [tile_q, tile_kv] = settings_of<CpuBackwardSchedule>(schedule);
  return {.rows = tile_q, .keys = tile_kv, .by_data = true};
}

}  // namespace

Family cpu_backward_family() {
  return cpu_family<CpuBackwardSchedule>(Operation::backward, declines, refuses, walk);
}

}  // namespace streamattn
