// Schedules of the CPU's backward kernel, which needs no source.
#include "compiler/families/cpu_backward/cpu_backward.h"

#include <llvm/Support/FormatVariadic.h>

#include "compiler/families/cpu_family.h"
#include "compiler/operations/backward/evaluate.h"
#include "streamattn/error.h"

namespace streamattn {
namespace {

std::string declines(const Problem& problem, const Target&) {
  if (problem.is_ragged()) return "sequences differ: all of a batch must be dense and equally long";
  try {
    const FlatSlopes slopes(problem);
    return {};
  } catch (const Error& error) {
    return llvm::formatv("the score has no derivative of bounded size: {0}", error.what());
  }
}

std::string refuses(const Problem&, const Schedule& schedule, const Target&) {
  const auto [tile_q, tile_kv] = settings_of<CpuBackwardSchedule>(schedule);
  if (tile_q < 1 || tile_kv < 1)
    return llvm::formatv("tile {0} x {1}: both sides must be positive", tile_q, tile_kv);
  return {};
}

}  // namespace

Family cpu_backward_family() {
  return cpu_family<CpuBackwardSchedule>(Operation::backward, declines, refuses);
}

}  // namespace streamattn
