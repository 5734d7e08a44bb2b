// What backward_wgmma kernels can serve, and how large they are.
#include "compiler/families/backward_wgmma/backward_wgmma.h"

#include <llvm/Support/FormatVariadic.h>

#include <algorithm>

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
  if (problem.is_ragged() &&
      (problem.q_layout != SequenceLayout::packed || problem.kv_layout != SequenceLayout::packed))
    return "sequences differ: both q_layout and kv_layout must be packed, or lengths in the mask, "
           "as in padding()";
  if (problem.is_ragged() && problem.dropout) return "dropout of packed sequences";
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

// dK and dV, S or dP in float, P and the weights of dP packed, and about 16 for everything else. Of
// a role, one gradient.
int math_registers_needed(const Problem& problem, int tile_q) {
  const int d_k = padded_columns(problem.head_dim) / 2;
  const int d_v = padded_columns(problem.v_head_dim()) / 2;
  const int gradients = backward_tiling(problem).by_role() ? std::max(d_k, d_v) : d_k + d_v;
  return gradients + tile_q + 16;
}

// Whether a visit may have 128 queries: S, P and the weights of dP take twice the registers.
bool has_room_for_large_tiles(const Problem& problem) {
  return !problem.dropout && padded_columns(problem.head_dim) <= 64 &&
         padded_columns(problem.v_head_dim()) <= 64 && !problem.changes_score();
}

// Of the threads of a launch, which setmaxnreg shares out.
constexpr int launch_registers = 128;

std::string refuses(const Problem& problem, const Schedule& chosen, const Target&) {
  const auto schedule = settings_of<BackwardSchedule>(chosen);
  const int loader = schedule.loader_registers, dq = schedule.dq_registers,
            math = schedule.math_registers;
  if (schedule.tile_q != 64 && schedule.tile_q != 128)
    return llvm::formatv("tile_q {0} is neither 64 nor 128", schedule.tile_q);
  if (schedule.tile_q == 128 && !has_room_for_large_tiles(problem))
    return "tile_q 128 is for head dims up to 64, the score as it is and no dropout";
  for (const int registers : {loader, dq, math})
    if (registers % 8 != 0 || registers < 24 || registers > 240)
      return llvm::formatv("{0} registers a thread are not a multiple of 8 in 24..240", registers);
  if (loader > launch_registers || dq > launch_registers || math < launch_registers)
    return llvm::formatv(
        "loader_registers {0}, dq_registers {1} and math_registers {2}: a launch has {3} a thread, "
        "of which loaders and dQ give and math warpgroups take",
        loader, dq, math, launch_registers);
  if (const int all = loader + dq + 2 * math; all > 4 * launch_registers)
    return llvm::formatv(
        "loader_registers {0} + dq_registers {1} + 2 x math_registers {2} is {3}, a launch has {4}",
        loader, dq, math, all, 4 * launch_registers);
  if (const int needed = math_registers_needed(problem, schedule.tile_q); needed > math)
    return llvm::formatv("head dims {0} and {1} need about {2} math_registers, there are {3}",
                         problem.head_dim, problem.v_head_dim(), needed, math);
  return {};
}

BackwardSchedule with_math_registers(int tile_q, int math) {
  constexpr int loader = 32;
  return {.tile_q = tile_q,
          .loader_registers = loader,
          .dq_registers = 4 * launch_registers - 2 * math - loader,
          .math_registers = math};
}

std::optional<Schedule> first_guess(const Problem& problem, const Shape& shape, const Target&) {
  const bool is_large = has_room_for_large_tiles(problem) && shape.q_len > 64;
  return to_schedule(with_math_registers(is_large ? 128 : 64, 208));
}

std::vector<Schedule> schedules(const Problem& problem, const Shape& shape, const Target& target) {
  std::vector<Schedule> all = {*first_guess(problem, shape, target)};
  for (const int tile_q : {64, 128})
    for (const int math : {208, 200, 192, 184}) {
      const Schedule other = to_schedule(with_math_registers(tile_q, math));
      if (other != all.front() && refuses(problem, other, target).empty()) all.push_back(other);
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

BackwardTiling backward_tiling(const Problem& problem, const BackwardSchedule& schedule) {
  return {problem.head_dim, problem.v_head_dim(), schedule.tile_q, problem.is_ragged()};
}

namespace {

// Of Q and dO, which all key tiles of a head read, and the sums of dQ, which they add to: of a row
// of the queries of one key-value head.
std::int64_t query_row_bytes(const Problem& problem) {
  return problem.group_size * (6LL * problem.head_dim + 2LL * problem.v_head_dim());
}

// Of the L2, for what blocks that run at a time share.
std::int64_t shared_bytes(std::int64_t l2_bytes) { return l2_bytes * 2 / 3; }

}  // namespace

int backward_group_rows(const Problem& problem, std::int64_t l2_bytes) {
  return static_cast<int>(
      std::max<std::int64_t>(shared_bytes(l2_bytes) / query_row_bytes(problem), 1));
}

BackwardSections backward_sections(const Problem& problem, const BackwardSchedule& schedule,
                                   const Shape& shape, int multiprocessors, std::int64_t l2_bytes) {
  const std::int64_t all = std::max<std::int64_t>(shape.batch * shape.kv_heads, 1);
  const std::int64_t row_bytes = query_row_bytes(problem);
  const bool is_masked = !problem.mask.node().is_constant();
  // Blocks in a section that climbs are a query tile apart, and all these tiles are in use.
  const bool climbs = is_masked && multiprocessors * schedule.tile_q * row_bytes <= l2_bytes / 2;

  std::int64_t fit = shared_bytes(l2_bytes) / std::max<std::int64_t>(shape.q_len * row_bytes, 1);
  if (is_masked && !climbs) {
    // Later blocks of a head are shorter and catch up with those that they wait for: the fewer of
    // them run at a time, the less they wait.
    constexpr std::int64_t enough = 8;
    fit = std::max(fit, enough);
  } else {
    // More than two rounds of blocks gain nothing.
    const std::int64_t tile_kv = backward_tiling(problem, schedule).tile_kv();
    const std::int64_t key_tiles =
        std::max<std::int64_t>((shape.kv_len + tile_kv - 1) / tile_kv, 1);
    fit = std::min(fit, 2 * multiprocessors / key_tiles);
    if (climbs) fit = std::min(fit, all / 2);
  }
  std::int64_t heads = 1;
  while (heads * 2 <= std::min(fit, all)) heads *= 2;
  if (schedule.section_heads > 0) heads = std::min<std::int64_t>(schedule.section_heads, all);
  // The last one does not: its longest items would be the last ones of all.
  const std::int64_t climbing = climbs ? (all - 1) / heads : 0;
  return {.heads = static_cast<int>(heads), .climbing = static_cast<int>(climbing)};
}

}  // namespace streamattn
