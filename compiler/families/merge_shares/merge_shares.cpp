// What merge_shares kernels can serve, their emitted file and their launch.
#include "compiler/families/merge_shares/merge_shares.h"

#include <llvm/Support/FormatVariadic.h>

#include <algorithm>

#include "compiler/families/kernel_text.h"
#include "compiler/families/launch_params.h"
#include "compiler/families/one_schedule.h"

namespace streamattn {
namespace {

constexpr int columns_of_thread = 8, most_columns = 1024;
constexpr int resident_threads = 1024;  // of a multiprocessor: 64 registers each

std::string misses(const Target& target) {
  if (!target.has_wgmma)
    return llvm::formatv("{0} has no wgmma instructions, by which shares are computed",
                         target.name);
  return {};
}

std::string declines(const Problem& problem, const Target&) {
  if (problem.dtype == DType::f32)
    return "dtype f32: results are of f16, bf16 or, by themselves, f32";
  return refuse_columns("value_head_dim", problem.v_head_dim(), most_columns);
}

std::string refuses(const Problem& problem, const Schedule& chosen, const Target&) {
  return refuse_threads(settings_of<MergeSchedule>(chosen).threads,
                        problem.v_head_dim() / columns_of_thread, resident_threads);
}

// Depends on the element type alone, so that problems share it.
Program merge_emit(const Problem& problem, const Schedule& chosen, const Target& target) {
  const int threads = settings_of<MergeSchedule>(chosen).threads;
  std::string text = kernel_header(Operation::merge, MergeSchedule::family, target);
  text += "#include \"merge/merge_shares.cuh\"\n\nstruct Spec {\n";
  text += llvm::formatv("  using Element = streamattn::{0};\n", name(problem.dtype));
  text += llvm::formatv("  static constexpr int threads = {0};\n};\n\n", threads);
  text += kernel_text("merge_shares", "MergeParams", threads, resident_threads / threads);
  return {{.text = std::move(text),
           .entry = "streamattn_merge_shares",
           .threads = threads,
           .blocks_per_multiprocessor = resident_threads / threads,
           .parameter_bytes = sizeof(MergeParams)}};
}

Plan merge_plan(const Problem&, const Schedule& chosen, const ResolvedCall& resolved,
                const DeviceFacts& device, WorkspaceSlices& /*workspace*/) {
  const int threads = settings_of<MergeSchedule>(chosen).threads;
  const auto& call = std::get<MergeCall>(resolved);
  require_tma("share_o", call.share_o);
  require_tma("o", call.o);
  if (call.rows() == 0 || call.o.dim == 0) return {};
  const MergeParams p = {.share_o = {call.share_o.data, strides(call.share_o)},
                         .share_lse = {call.share_lse.data, strides(call.share_lse)},
                         .share_o_stride = call.o.batch * call.share_o.batch_stride,
                         .share_lse_stride = call.o.batch * call.share_lse.batch_stride,
                         .output = {call.o.data, static_cast<float*>(call.lse.data),
                                    strides(call.o), strides(call.lse)},
                         .o_is_float = call.o.dtype == DType::f32 ? 1 : 0,
                         .share_is_float = call.share_o.dtype == DType::f32 ? 1 : 0,
                         .q_len = static_cast<int>(call.o.seq),
                         .heads = static_cast<int>(call.o.heads),
                         .rows = checked_int(call.rows(), "rows of queries"),
                         .columns = static_cast<int>(call.o.dim),
                         .shares = checked_int(call.shares(), "shares")};
  const std::int64_t rows_of_block = threads / (p.columns / columns_of_thread);
  Plan steps;
  add_launch(
      steps, 0,
      std::min<std::int64_t>((p.rows + rows_of_block - 1) / rows_of_block,
                             multiprocessors(call.max_sms, device) * (resident_threads / threads)),
      p);
  return steps;
}

}  // namespace

Family merge_shares_family() {
  return {.name = MergeSchedule::family,
          .operation = Operation::merge,
          .knobs = &knob_table<MergeSchedule>(),
          .misses = misses,
          .declines = declines,
          .refuses = refuses,
          .first_guess = default_guess<MergeSchedule>,
          .schedules = default_schedules<MergeSchedule>,
          .estimate = nullptr,
          .launch_choices = nullptr,
          .emit = merge_emit,
          .plan = merge_plan};
}

}  // namespace streamattn
