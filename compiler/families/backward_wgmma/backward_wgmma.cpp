// What backward_wgmma kernels can serve, and how large they are.
#include "compiler/families/backward_wgmma/backward_wgmma.h"

#include <llvm/Support/FormatVariadic.h>

#include <algorithm>

#include "compiler/families/refusals.h"
#include "compiler/operations/backward/evaluate.h"

namespace streamattn {
namespace {

std::string check_head_dim(const char* what, int dim) {
  if (dim % 8 != 0) return llvm::formatv("{0} {1} is not a multiple of 8", what, dim);
  if (dim < 16 || dim > 256) return llvm::formatv("{0} {1} is not in 16..256", what, dim);
  return {};
}

std::string misses(const Target& target) {
  if (!target.has_wgmma) return llvm::formatv("{0} has no wgmma instructions", target.name);
  return {};
}

std::string declines(const Problem& problem, const Target& target) {
  if (auto reason = decline_ragged(problem); !reason.empty()) return reason;
  if (problem.dtype == DType::f32) return "dtype f32: wgmma takes f16 and bf16";
  if (problem.output_dtype() != problem.dtype)
    return llvm::formatv("out_dtype {0}: dO is an operand of wgmma, and must be {1} as V is",
                         name(problem.output_dtype()), name(problem.dtype));
  if (auto reason = check_head_dim("head_dim", problem.head_dim); !reason.empty()) return reason;
  if (auto reason = check_head_dim("value_head_dim", problem.v_head_dim()); !reason.empty())
    return reason;
  if (const int bytes = backward_tiling(problem).bytes(); bytes > target.smem_bytes)
    return llvm::formatv("head dims {0} and {1} need {2} bytes of shared memory, {3} has {4}",
                         problem.head_dim, problem.v_head_dim(), bytes, target.name,
                         target.smem_bytes);
  return slopes_lack(problem);
}

// dK, dV, S and dP in float, and about 24 for everything else: P packed takes the place of what is
// not there at the time. Of a role, one of each, and P beside them.
int math_registers_needed(const Problem& problem) {
  constexpr int tile_q = BackwardTiling::tile_q;
  const int d_k = padded_columns(problem.head_dim) / 2;
  const int d_v = padded_columns(problem.v_head_dim()) / 2;
  if (backward_tiling(problem).by_role()) return std::max(d_k, d_v) + tile_q / 2 + tile_q / 4 + 24;
  return d_k + d_v + tile_q + 24;
}

// What setmaxnreg may give: the registers of the launch.
constexpr int launch_registers = 3 * 168;

std::string refuses(const Problem& problem, const Schedule& chosen, const Target&) {
  const auto schedule = settings_of<BackwardSchedule>(chosen);
  const int loader = schedule.loader_registers, math = schedule.math_registers;
  for (const int registers : {loader, math})
    if (registers % 8 != 0 || registers < 24 || registers > 240)
      return llvm::formatv("{0} registers a thread are not a multiple of 8 in 24..240", registers);
  if (loader > 168 || math < 168)
    return llvm::formatv(
        "loader_registers {0} and math_registers {1}: a launch has 168 a thread, of which loaders "
        "give and math warpgroups take",
        loader, math);
  if (loader + 2 * math > launch_registers)
    return llvm::formatv("loader_registers {0} + 2 x math_registers {1} is {2}, a launch has {3}",
                         loader, math, loader + 2 * math, launch_registers);
  if (const int needed = math_registers_needed(problem); needed > math)
    return llvm::formatv("head dims {0} and {1} need about {2} math_registers, there are {3}",
                         problem.head_dim, problem.v_head_dim(), needed, math);
  return {};
}

std::optional<Schedule> first_guess(const Problem&, const Shape&, const Target&) {
  return to_schedule(BackwardSchedule{.loader_registers = 72, .math_registers = 216});
}

std::vector<Schedule> schedules(const Problem& problem, const Shape& shape, const Target& target) {
  std::vector<Schedule> all = {*first_guess(problem, shape, target)};
  for (const int math : {208, 200, 192}) {
    const Schedule other = to_schedule(
        BackwardSchedule{.loader_registers = launch_registers - 2 * math, .math_registers = math});
    if (refuses(problem, other, target).empty()) all.push_back(other);
  }
  return all;
}

}  // namespace

Family backward_wgmma_family() {
  return {.name = BackwardSchedule::family,
          .operation = Operation::backward,
          .knobs = &knob_table<BackwardSchedule>(),
          .misses = misses,
          .declines = declines,
          .refuses = refuses,
          .first_guess = first_guess,
          .schedules = schedules,
          .estimate = nullptr,
          .launch_choices = nullptr,
          .emit = backward_emit,
          .plan = backward_plan};
}

BackwardTiling backward_tiling(const Problem& problem) {
  return {problem.head_dim, problem.v_head_dim()};
}

int backward_section_heads(const Problem& problem, const BackwardSchedule& schedule,
                           const Shape& shape, std::int64_t l2_bytes) {
  const std::int64_t all = std::max<std::int64_t>(shape.batch * shape.kv_heads, 1);
  if (schedule.section_heads > 0)
    return static_cast<int>(std::min<std::int64_t>(schedule.section_heads, all));
  // Q and dO, which all key tiles of a head read, and the sums of dQ, which they add to.
  const std::int64_t row_bytes =
      problem.group_size * (6LL * problem.head_dim + 2LL * problem.v_head_dim());
  const std::int64_t fit = l2_bytes * 2 / 3 / std::max<std::int64_t>(shape.q_len * row_bytes, 1);
  std::int64_t heads = 1;
  while (heads * 2 <= std::min(fit, all)) heads *= 2;
  return static_cast<int>(heads);
}

}  // namespace streamattn
