// What append_rows kernels can serve, and their emitted file.
#include "compiler/families/append_rows/append_rows.h"

#include <llvm/Support/FormatVariadic.h>

#include <algorithm>

#include "compiler/families/kernel_text.h"
#include "compiler/families/launch_params.h"
#include "compiler/families/one_schedule.h"

namespace streamattn {
namespace {

constexpr int most_columns = 1024;

std::string misses(const Target& target) {
  if (!target.has_wgmma)
    return llvm::formatv("{0} has no wgmma instructions, by which the cache is read", target.name);
  return {};
}

std::string declines(const Problem& problem, const Target&) {
  if (problem.dtype == DType::f32) return "dtype f32: rows are of f16 or bf16";
  if (auto reason = refuse_columns("head_dim", problem.head_dim, most_columns); !reason.empty())
    return reason;
  return refuse_columns("value_head_dim", problem.v_head_dim(), most_columns);
}

std::string refuses(const Problem& problem, const Schedule& chosen, const Target&) {
  return refuse_threads(settings_of<AppendSchedule>(chosen).threads, append_lanes(problem),
                        append_threads);
}

// Depends on types, head dims and layouts alone, so that problems share it.
Program emit(const Problem& problem, const Schedule& chosen, const Target& target) {
  const int threads = settings_of<AppendSchedule>(chosen).threads;
  std::string text = kernel_header(Operation::append, AppendSchedule::family, target);
  text += "#include \"append/append_rows.cuh\"\n\nstruct Spec {\n";
  text += llvm::formatv("  using Element = streamattn::{0};\n", name(problem.dtype));
  text += batch_layout_text(problem);
  text += llvm::formatv(
      "  static constexpr int head_dim = {0}, value_head_dim = {1}, threads = {2};\n};\n\n",
      problem.head_dim, problem.v_head_dim(), threads);
  text += kernel_text("append_rows", "AppendParams", threads, append_threads / threads);
  return {{.text = std::move(text),
           .entry = "streamattn_append_rows",
           .threads = threads,
           .blocks_per_multiprocessor = append_threads / threads,
           .parameter_bytes = sizeof(AppendParams)}};
}

}  // namespace

Family append_rows_family() {
  return {.name = AppendSchedule::family,
          .operation = Operation::append,
          .knobs = &knob_table<AppendSchedule>(),
          .misses = misses,
          .declines = declines,
          .refuses = refuses,
          .first_guess = default_guess<AppendSchedule>,
          .schedules = default_schedules<AppendSchedule>,
          .estimate = nullptr,
          .launch_choices = nullptr,
          .emit = emit,
          .plan = append_plan};
}

int append_lanes(const Problem& problem) {
  return (std::max(problem.head_dim, problem.v_head_dim()) / 8 + 1) / 2;
}

}  // namespace streamattn
