// The emitted files of backward_wgmma.
#include <llvm/Support/FormatVariadic.h>

#include <set>

#include "compiler/expr/score_policy.h"
#include "compiler/expr/tile_policy.h"
#include "compiler/families/backward_wgmma/backward_wgmma.h"
#include "compiler/families/kernel_text.h"
#include "compiler/families/tile_listing.h"

namespace streamattn {
namespace {

// Depends on types, the value head dim and the layout of sequences alone, so that problems share
// it.
Source row_sums(const Problem& problem, const BackwardSchedule& schedule, const Target& target) {
  std::string text = backward_header(target);
  text += llvm::formatv("// sums of dO * O, {0}, value_head_dim {1}\n", name(problem.dtype),
                        problem.v_head_dim());
  text += "#include \"backward/row_sums.cuh\"\n\nstruct Spec {\n";
  text += llvm::formatv("  using Element = streamattn::{0};\n", name(problem.dtype));
  text += llvm::formatv("  static constexpr int columns = {0}, threads = {1};\n",
                        problem.v_head_dim(), backward_sum_threads);
  text += packed_tiles_text(problem, schedule) + "};\n\n";
  text += backward_kernel(backward_sum_threads, "", "row_sums", "RowSumParams");
  return {.text = std::move(text),
          .entry = "streamattn_row_sums",
          .threads = backward_sum_threads,
          .parameter_bytes = sizeof(RowSumParams)};
}

// Of the matrix instructions: of S and dP, of dQ, and of dK and dV (backward/row_product.cuh).
std::string shapes(const Problem& problem, const BackwardSchedule& schedule) {
  std::string text;
  std::set<int> all = {schedule.tile_q, chunk_columns(problem.head_dim)};
  for (const int dim : {problem.head_dim, problem.v_head_dim()}) {
    const int columns = padded_columns(dim), first = product_columns(columns);
    all.insert(first);
    if (first < columns) all.insert(columns - first);
  }
  for (const int columns : all)
    text += llvm::formatv("WGMMA_SHAPE({0}, {1})\n", name(problem.dtype), columns);
  return text;
}

Source main_kernel(const Problem& problem, const BackwardSchedule& schedule, const Target& target) {
  // A sink is in the LSE already.
  Problem without_sink = problem;
  without_sink.sink.reset();
  std::string text = backward_header(target);
  text += llvm::formatv("// problem:  {0}\n", without_sink.describe());
  text += llvm::formatv(
      "// schedule: tile_q {3}, {0} registers for loads, {1} for dQ, {2} for dK and dV\n",
      schedule.loader_registers, schedule.dq_registers, schedule.math_registers, schedule.tile_q);
  text += "#include \"backward/backward_wgmma.cuh\"\n\n";
  text += "namespace streamattn {\n" + shapes(problem, schedule) + "\n" +
          transposed_score_policy(problem) + "}\n\nstruct Spec {\n";
  text += llvm::formatv("  using Element = streamattn::{0};\n", name(problem.dtype));
  text += "  using Score = streamattn::ProblemScore;\n";
  text += llvm::formatv("  static constexpr int group_size = {0};\n", problem.group_size);
  text += llvm::formatv(
      "  static constexpr streamattn::BackwardTiling tiling = {{\n"
      "      .head_dim = {0}, .value_head_dim = {1}, .tile_q = {2}{3}};\n",
      problem.head_dim, problem.v_head_dim(), schedule.tile_q,
      problem.is_ragged() ? ", .is_packed = true" : "");
  text += llvm::formatv(
      "  static constexpr int loader_registers = {0}, dq_registers = {1}, math_registers = {2};\n",
      schedule.loader_registers, schedule.dq_registers, schedule.math_registers);
  if (problem.dropout) text += "  static constexpr bool drops = true;\n";
  if (problem.is_ragged()) text += batch_layout_text(problem);
  if (walks_by_bits(problem)) text += "  static constexpr bool walks_by_bits = true;\n";
  text += "};\n\n" + backward_kernel(backward_threads, ", 1", "backward_wgmma", "BackwardParams");
  return {.text = std::move(text),
          .entry = "streamattn_backward_wgmma",
          .threads = backward_threads,
          .dynamic_smem_bytes = backward_tiling(problem, schedule).bytes(),
          .parameter_bytes = sizeof(BackwardParams)};
}

Source clear_unseen(const Problem& problem, const BackwardSchedule& schedule,
                    const Target& target) {
  std::string text = backward_header(target);
  text += "// dQ of queries that see no key\n#include \"backward/clear_unseen.cuh\"\n\n";
  text += llvm::formatv("struct Spec {{\n  static constexpr int threads = {0};\n",
                        backward_clear_threads);
  text += packed_tiles_text(problem, schedule) + "};\n\n";
  text += backward_kernel(backward_clear_threads, "", "clear_unseen", "ClearParams");
  return {.text = std::move(text),
          .entry = "streamattn_clear_unseen",
          .threads = backward_clear_threads,
          .parameter_bytes = sizeof(ClearParams)};
}

// Depends on types and head dims alone, as row_sums does.
Source sum_parts(const Problem& problem, const Target& target) {
  std::string text = backward_header(target);
  text += llvm::formatv("// sums of parts of dK and dV, {0}, head_dim {1}, value_head_dim {2}\n",
                        name(problem.dtype), problem.head_dim, problem.v_head_dim());
  text += "#include \"backward/sum_parts.cuh\"\n\nstruct Spec {\n";
  text += llvm::formatv("  using Element = streamattn::{0};\n", name(problem.dtype));
  text += llvm::formatv("  static constexpr int head_dim = {0}, value_head_dim = {1};\n",
                        problem.head_dim, problem.v_head_dim());
  text += llvm::formatv("  static constexpr int tile_kv = {0}, threads = {1};\n};\n\n",
                        backward_tiling(problem).tile_kv(), sum_parts_threads);
  text += backward_kernel(sum_parts_threads, "", "sum_parts", "SumPartsParams");
  return {.text = std::move(text),
          .entry = "streamattn_sum_parts",
          .threads = sum_parts_threads,
          .parameter_bytes = sizeof(SumPartsParams)};
}

}  // namespace

std::string packed_tiles_text(const Problem& problem, const BackwardSchedule& schedule) {
  if (!problem.is_ragged()) return {};
  return llvm::formatv("{0}  static constexpr int tile_q = {1}, tile_kv = {2};\n",
                       batch_layout_text(problem), schedule.tile_q,
                       backward_tiling(problem, schedule).tile_kv());
}

std::string backward_header(const Target& target) {
  return llvm::formatv("// streamattn  backward  {0}  {1}\n", BackwardSchedule::family,
                       target.name);
}

std::string backward_kernel(int threads, const char* bounds, const char* name,
                            const char* parameters) {
  return llvm::formatv(
      "extern \"C\" __global__ void __launch_bounds__({0}{1})\n"
      "streamattn_{2}(const __grid_constant__ streamattn::{3} params) {{\n"
      "  streamattn::{2}<Spec>(params);\n"
      "}\n",
      threads, bounds, name, parameters);
}

Program backward_emit(const Problem& problem, const Schedule& chosen, const Target& target) {
  const auto schedule = settings_of<BackwardSchedule>(chosen);
  Program program = {row_sums(problem, schedule, target), main_kernel(problem, schedule, target),
                     clear_unseen(problem, schedule, target), sum_parts(problem, target)};
  if (walks_by_bits(problem)) {
    const std::string header = backward_header(target);
    const int tile_kv = backward_tiling(problem, schedule).tile_kv();
    program.push_back(tile_bounds_source(problem, header, schedule.tile_q, tile_kv));
    program.push_back(tile_listing_source(problem, header, "backward/seen_tiles.cuh", "seen_tiles",
                                          "SeenListingParams", sizeof(SeenListingParams),
                                          schedule.tile_q, tile_kv, seen_tiles_threads));
  }
  for (Source& source : element_sources(problem, schedule, target))
    program.push_back(std::move(source));
  return program;
}

bool walks_by_bits(const Problem& problem) {
  return !problem.is_ragged() && is_data_dependent(problem.mask);
}

std::size_t backward_kernels(const Problem& problem) { return walks_by_bits(problem) ? 6 : 4; }

}  // namespace streamattn
