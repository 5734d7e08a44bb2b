// What flash_wgmma kernels can serve, and how large they are.
#include "compiler/families/flash_wgmma/flash_wgmma.h"

#include <llvm/Support/FormatVariadic.h>

#include <utility>

#include "compiler/expr/build.h"
#include "compiler/expr/key_ranges.h"
#include "compiler/expr/node.h"
#include "compiler/expr/score_policy.h"
#include "compiler/expr/tile_policy.h"
#include "compiler/families/launch_params.h"

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

std::string declines(const Problem& problem, const Target&) {
  if (problem.dtype == DType::f32) return "dtype f32: wgmma takes f16 and bf16";
  if (auto reason = check_head_dim("head_dim", problem.head_dim); !reason.empty()) return reason;
  return check_head_dim("value_head_dim", problem.v_head_dim());
}

// Whether O goes straight from registers to global memory, in float32.
bool is_from_registers(const Problem& problem, const FlashSchedule& schedule) {
  return schedule.split_keys || problem.output_dtype() == DType::f32;
}

// Rows of heads that are packed lie in the 64 rows of one warpgroup, and see the same keys.
std::string refuse_packing(const Problem& problem, const FlashSchedule& schedule) {
  constexpr int warpgroup_rows = 64;
  const int heads = schedule.packed_heads;
  if (heads == 1) return {};
  if (heads < 1 || warpgroup_rows % heads != 0)
    return llvm::formatv("packed_heads {0} does not divide the 64 rows of a warpgroup", heads);
  if (problem.group_size % heads != 0)
    return llvm::formatv("packed_heads {0} does not divide the {1} query heads of a group", heads,
                         problem.group_size);
  if (schedule.key_lists) return "packed_heads above 1: key lists are of the queries of one head";
  for (const auto& [what, expression] : {std::pair("mask", problem.mask), {"score", problem.score}})
    if (expression.node().uses_variable(Variable::head))
      return llvm::formatv("packed_heads above 1: the {0} differs between query heads", what);
  return {};
}

// As many shares as anybody could compute at once; the workspace grows with them.
constexpr int max_splits = 256;

std::string refuse_tiles(const FlashSchedule& schedule) {
  if (schedule.math_warpgroups < 1 || schedule.math_warpgroups > 3)
    return llvm::formatv("math_warpgroups {0} is not in 1..3", schedule.math_warpgroups);
  if (schedule.tile_q != 64 * schedule.math_warpgroups)
    return llvm::formatv("tile_q {0} is not 64 x math_warpgroups = {1}", schedule.tile_q,
                         64 * schedule.math_warpgroups);
  if (schedule.tile_kv % 16 != 0 || schedule.tile_kv < 16 || schedule.tile_kv > 256)
    return llvm::formatv("tile_kv {0} is not a multiple of 16 in 16..256", schedule.tile_kv);
  // V of one key tile and K of the next are held at once.
  if (schedule.stages < 2 || schedule.stages > 8)
    return llvm::formatv("stages {0} is not in 2..8", schedule.stages);
  if (schedule.section_heads < 0)
    return llvm::formatv("section_heads {0} is negative", schedule.section_heads);
  if (schedule.splits < 0 || schedule.splits > max_splits)
    return llvm::formatv("splits {0} is not in 0..{1}", schedule.splits, max_splits);
  if (schedule.splits > 1 && !schedule.split_keys)
    return llvm::formatv("splits {0} needs split_keys", schedule.splits);
  return {};
}

std::string refuses(const Problem& problem, const Schedule& schedule, const Target& target) {
  return flash_refusal(problem, settings_of<FlashSchedule>(schedule), target);
}

TileWalk walk(const Problem&, const Schedule& schedule) {
  const auto settings = settings_of<FlashSchedule>(schedule);
  return {.rows = settings.tile_q,
          .keys = settings.tile_kv,
          .heads = settings.packed_heads,
          .by_data = settings.key_lists};
}

}  // namespace

std::string flash_refusal(const Problem& problem, const FlashSchedule& schedule,
                          const Target& target) {
  if (auto reason = refuse_tiles(schedule); !reason.empty()) return reason;
  if (schedule.key_lists && !is_data_dependent(problem.mask))
    return "key_lists: no tensor decides which keys a query sees";
  if (auto reason = refuse_packing(problem, schedule); !reason.empty()) return reason;
  if (schedule.key_lists && problem.is_ragged())
    return "key_lists: key tiles of sequences that differ are not listed";
  if (schedule.ping_pong && schedule.math_warpgroups < 2)
    return "ping_pong needs 2 math_warpgroups, the schedule has 1";
  bool direct = is_from_registers(problem, schedule);
  int o_chunks = padded_columns(problem.v_head_dim()) / chunk_columns(problem.v_head_dim());
  if (schedule.o_passes < 1 || o_chunks % schedule.o_passes != 0)
    return llvm::formatv("o_passes {0} does not divide the {1} chunks of {2} columns of O",
                         schedule.o_passes, o_chunks, chunk_columns(problem.v_head_dim()));
  if (schedule.o_passes > 1 && (!schedule.o_buffer || direct))
    return "o_passes above 1 needs o_buffer, a 16-bit output and whole keys";
  if (schedule.q_in_registers && !schedule.o_buffer && !direct)
    return "q_in_registers needs o_buffer: the memory of Q is loaded again before O is stored";
  // Rows of O would lie where other warps still read rows of Q.
  if (int q_chunk = chunk_columns(problem.head_dim), o_chunk = chunk_columns(problem.v_head_dim());
      !schedule.o_buffer && !direct && q_chunk != o_chunk)
    return llvm::formatv("chunks of {0} columns of O over chunks of {1} of Q need o_buffer",
                         o_chunk, q_chunk);
  if (int needed = flash_registers_needed(problem, schedule),
      cap = flash_registers(problem, schedule).consumer - 4;
      needed > cap)
    return llvm::formatv(
        "tile_kv {0} with {1} math_warpgroups needs about {2} registers a thread, "
        "there are {3}",
        schedule.tile_kv, schedule.math_warpgroups, needed, cap);
  if (int bytes = flash_tiling(problem, schedule).bytes(); bytes > target.smem_bytes)
    return llvm::formatv(
        "tile_kv {0} with {1} stages needs {2} bytes of shared memory, {3} has "
        "{4}",
        schedule.tile_kv, schedule.stages, bytes, target.name, target.smem_bytes);
  return {};
}

Family flash_wgmma_family() {
  return {.name = FlashSchedule::family,
          .operation = Operation::forward,
          .knobs = &knob_table<FlashSchedule>(),
          .misses = misses,
          .declines = declines,
          .refuses = refuses,
          .first_guess = flash_first_guess,
          .schedules = flash_schedules,
          .estimate = flash_estimate,
          .launch_choices = flash_launch_choices,
          .walk = walk,
          .emit = flash_emit,
          .plan = flash_plan};
}

std::span<const std::string_view> enumerator_names(Softmax) {
  static constexpr std::string_view names[] = {"exact", "stale"};
  return names;
}

std::span<const std::string_view> enumerator_names(TileOrder) {
  static constexpr std::string_view names[] = {"fixed", "dynamic"};
  return names;
}

FlashTiling flash_tiling(const Problem& problem, const FlashSchedule& schedule) {
  OutputPath output = schedule.split_keys                    ? OutputPath::partial
                      : problem.output_dtype() == DType::f32 ? OutputPath::direct
                      : schedule.o_buffer                    ? OutputPath::buffered
                                                             : OutputPath::over_q;
  return {problem.head_dim,  problem.v_head_dim(),  schedule.tile_q,
          schedule.tile_kv,  schedule.stages,       output,
          schedule.o_passes, schedule.packed_heads, batch_layout(problem)};
}

std::int64_t flash_rows(const FlashSchedule& schedule, const Shape& shape) {
  return shape.q_len * schedule.packed_heads;
}

std::int64_t flash_heads(const Problem& problem, const FlashSchedule& schedule,
                         const Shape& shape) {
  return shape.batch * shape.kv_heads * problem.group_size / schedule.packed_heads;
}

namespace {

/// Whether some query may not see some key that there is.
bool hides_keys(const Problem& problem) { return constant_of(problem.mask) != 1; }

}  // namespace

// O, S and P beside it; Q where it is held; and about 24 for everything else, fitted to compiled
// kernels. See docs/flash_wgmma.md.
int flash_registers_needed(const Problem& problem, const FlashSchedule& schedule) {
  int v_columns = padded_columns(problem.v_head_dim());
  const bool is_wide = v_columns > 176;
  int needed = v_columns / 2 + schedule.tile_kv / 2 + schedule.tile_kv / 4 + 24;
  if (schedule.q_in_registers) needed += padded_columns(problem.head_dim) / 4;
  if (v_columns > 192) needed += 7;
  if (schedule.key_lists) needed += 10;  // the walk, and elements of tensors
  // Which share it is of how many, and walks over several ranges, for which ptxas takes more where
  // O is wide.
  if (problem.is_ragged()) {
    if (schedule.split_keys) needed += 4;
    if (is_wide && KeyRanges(problem.mask).seen.size() > 1) needed += 26;
    // A cap in one pass with the exponentials, beside lengths that are no constants of the launch.
    if (argument_of_cap(problem.score)) needed += 5;
  }
  // Drawing; ptxas takes more for it where O is narrow or wide, and there under a mask.
  if (problem.dropout)
    needed += is_wide && hides_keys(problem) ? 38 : is_wide || v_columns <= 16 ? 33 : 4;
  if (const auto ahead = element_ahead(problem.score))
    needed += schedule.tile_kv / (bytes(ahead->node().dtype) == 2 ? 4 : 2);
  return needed;
}

FlashRegisters flash_registers(const Problem& problem, const FlashSchedule& schedule) {
  constexpr FlashRegisters budgets[] = {{56, 240}, {24, 240}, {32, 160}};
  constexpr FlashRegisters more[] = {{56, 240}, {40, 232}, {32, 160}},
                           most[] = {{56, 240}, {56, 224}, {56, 152}};
  // A list takes more to walk over than a range, and so do the keys of sequences that differ: their
  // numbers are no constants of the launch. So does a mask, whose hidden keys are watched. Several
  // ranges take the most, and so do pages beside three warpgroups; beside two, what these compute
  // of many columns takes it.
  const bool is_paged = problem.kv_layout == SequenceLayout::paged;
  const bool has_three = schedule.math_warpgroups == 3;
  const bool has_several_ranges =
      (problem.is_ragged() || has_three) && KeyRanges(problem.mask).seen.size() > 1;
  const bool watches_more = problem.is_ragged() && hides_keys(problem) &&
                            (has_three ? !problem.dropout : !schedule.o_buffer);
  const bool is_wide = is_paged && problem.v_head_dim() > 192;
  if (has_several_ranges || (watches_more && !is_wide) || (is_paged && has_three))
    return most[schedule.math_warpgroups - 1];
  if (schedule.key_lists || problem.is_ragged() || hides_keys(problem))
    return more[schedule.math_warpgroups - 1];
  return budgets[schedule.math_warpgroups - 1];
}

int flash_threads(const FlashSchedule& schedule) { return 128 * (1 + schedule.math_warpgroups); }

}  // namespace streamattn
