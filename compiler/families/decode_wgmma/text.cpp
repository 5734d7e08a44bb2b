// The emitted files of decode_wgmma.
#include <llvm/ADT/STLExtras.h>
#include <llvm/Support/FormatVariadic.h>

#include "compiler/expr/key_ranges.h"
#include "compiler/expr/node.h"
#include "compiler/expr/score_policy.h"
#include "compiler/families/decode_wgmma/decode_wgmma.h"
#include "compiler/families/kernel_text.h"

namespace streamattn {
namespace {

const char* spelled(bool value) { return value ? "true" : "false"; }

// What is said of a number that is not as usual.
std::string where(bool is_said, const char* format, int number) {
  return is_said ? llvm::formatv(format, number).str() : std::string();
}

// Whether sequences may have different numbers of key tiles.
bool has_tiles_by_sequence(const Problem& problem) {
  if (problem.is_ragged()) return true;
  const auto differs = [](const Expr& end) { return end.node().uses_variable(Variable::batch); };
  return llvm::any_of(KeyRanges(problem.mask).seen, [&](const KeyRange& range) {
    return differs(range.begin) || differs(range.end);
  });
}

std::string text_of(const Problem& problem, const DecodeSchedule& schedule, const Target& target) {
  const DType output = problem.output_dtype();
  const DecodeTiling tiling = decode_tiling(problem, schedule);
  const std::string element(name(problem.dtype));
  std::string text = kernel_header(Operation::forward, DecodeSchedule::family, target);
  text += llvm::formatv("// problem:  {0}\n", problem.describe());
  text += llvm::formatv("// schedule: {0} rows, {1} stages, {2} blocks a multiprocessor{3}{4}\n",
                        schedule.tile_q, schedule.stages, schedule.blocks_per_sm,
                        where(schedule.cluster > 1, " in clusters of {0}", schedule.cluster),
                        where(tiling.split > 0, ", {0} keys a piece", schedule.split_tokens));
  text += "#include \"decode/decode_wgmma.cuh\"\n\n";
  text +=
      llvm::formatv("namespace streamattn {{\nWGMMA_SHAPE({0}, {1})\n\n", element, schedule.tile_q);
  text += score_policy(problem, ElementLoads::where_used) + "}\n\n";
  text += "struct Spec {\n";
  text += llvm::formatv("  using Element = streamattn::{0};\n", element);
  text +=
      llvm::formatv("  using Output = {0};\n",
                    output == DType::f32 ? "float" : "streamattn::" + std::string(name(output)));
  text += "  using Score = streamattn::ProblemScore;\n";
  text += llvm::formatv("  static constexpr int group_size = {0};\n", problem.group_size);
  text += batch_layout_text(problem);
  text += llvm::formatv("  static constexpr bool tiles_by_sequence = {0};\n",
                        spelled(has_tiles_by_sequence(problem)));
  text += llvm::formatv("  static constexpr int pieces_together = {0};\n",
                        decode_pieces_together(problem, schedule, target));
  text += llvm::formatv(
      "  static constexpr streamattn::DecodeTiling tiling = {{\n"
      "      .head_dim = {0}, .value_head_dim = {1}, .rows = {2}, .stages = {3}{4}{5}};\n",
      problem.head_dim, problem.v_head_dim(), schedule.tile_q, schedule.stages,
      where(schedule.cluster > 1, ", .cluster = {0}", schedule.cluster),
      where(tiling.split > 0, ", .split = {0}", tiling.split));
  text += "};\n\n";
  text += llvm::formatv("extern \"C\" __global__ void __launch_bounds__({0}, {1})\n",
                        decode_threads, schedule.blocks_per_sm);
  text +=
      "streamattn_forward(const __grid_constant__ streamattn::DecodeParams params) {\n"
      "  streamattn::decode_wgmma<Spec>(params);\n"
      "}\n";
  return text;
}

}  // namespace

Program decode_emit(const Problem& problem, const Schedule& chosen, const Target& target) {
  const auto schedule = settings_of<DecodeSchedule>(chosen);
  Program program;
  program.push_back({.text = text_of(problem, schedule, target),
                     .entry = "streamattn_forward",
                     .threads = decode_threads,
                     .dynamic_smem_bytes = decode_tiling(problem, schedule).bytes(),
                     .blocks_per_multiprocessor = schedule.blocks_per_sm,
                     .cluster = schedule.cluster,
                     .parameter_bytes = sizeof(DecodeParams)});
  return program;
}

}  // namespace streamattn
