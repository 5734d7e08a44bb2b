// The emitted files of flash_wgmma.
#include <llvm/Support/FormatVariadic.h>

#include "compiler/expr/score_policy.h"
#include "compiler/families/flash_wgmma/flash_wgmma.h"
#include "compiler/families/kernel_text.h"
#include "compiler/families/tile_listing.h"

namespace streamattn {
namespace {

const char* spelled(bool value) { return value ? "true" : "false"; }

const char* output_path(OutputPath path) {
  switch (path) {
    case OutputPath::over_q:
      return "over_q";
    case OutputPath::buffered:
      return "buffered";
    case OutputPath::direct:
      return "direct";
    case OutputPath::partial:
      return "partial";
  }
  return "";
}

std::string describe_compiled(const FlashSchedule& s) {
  std::string text = llvm::formatv("tile {0} x {1}, {2} stages, {3} math warpgroups", s.tile_q,
                                   s.tile_kv, s.stages, s.math_warpgroups);
  if (s.ping_pong) text += ", ping-pong";
  text += s.softmax == Softmax::stale ? ", stale maximum" : ", exact maximum";
  if (s.q_in_registers) text += ", Q in registers";
  if (s.split_keys) text += ", split keys";
  if (s.key_lists) text += ", key lists";
  if (s.packed_heads > 1) text += llvm::formatv(", rows of {0} heads together", s.packed_heads);
  return text;
}

std::string main_text(const Problem& problem, const FlashSchedule& schedule, const Target& target) {
  FlashTiling tiling = flash_tiling(problem, schedule);
  FlashRegisters registers = flash_registers(problem, schedule);
  std::string element(name(problem.dtype));
  int qk_columns = schedule.tile_kv, pv_columns = padded_columns(problem.v_head_dim());

  std::string shapes = llvm::formatv("WGMMA_SHAPE({0}, {1})\n", element, qk_columns);
  if (pv_columns != qk_columns)
    shapes += llvm::formatv("WGMMA_SHAPE({0}, {1})\n", element, pv_columns);

  std::string text;
  text += llvm::formatv("// streamattn  forward  {0}  {1}\n", FlashSchedule::family, target.name);
  text += llvm::formatv("// problem:  {0}\n", problem.describe());
  text += llvm::formatv("// schedule: {0}\n", describe_compiled(schedule));
  text += "#include \"forward/flash_wgmma.cuh\"\n\n";
  text += "namespace streamattn {\n" + shapes + "\n" + score_policy(problem) + "}\n\n";
  text += "struct Spec {\n";
  text += llvm::formatv("  using Element = streamattn::{0};\n", element);
  text += "  using Score = streamattn::ProblemScore;\n";
  text += llvm::formatv("  static constexpr int group_size = {0};\n", problem.group_size);
  if (problem.is_ragged()) text += batch_layout_text(problem);
  text += llvm::formatv(
      "  static constexpr streamattn::FlashTiling tiling = {{\n"
      "      .head_dim = {0}, .value_head_dim = {1},\n"
      "      .tile_q = {2}, .tile_kv = {3}, .stages = {4},\n"
      "      .output = streamattn::OutputPath::{5}, .o_passes = {6}{7}{8}};\n",
      tiling.head_dim, tiling.value_head_dim, tiling.tile_q, tiling.tile_kv, tiling.stages,
      output_path(tiling.output), tiling.o_passes,
      tiling.packed_heads > 1 ? llvm::formatv(", .packed_heads = {0}", tiling.packed_heads).str()
                              : "",
      problem.is_ragged() ? ", .layout = layout" : "");
  text += llvm::formatv(
      "  static constexpr bool ping_pong = {0}, q_in_registers = {1}, stale_reference = {2};\n",
      spelled(schedule.ping_pong), spelled(schedule.q_in_registers),
      spelled(schedule.softmax == Softmax::stale));
  text +=
      llvm::formatv("  static constexpr int producer_registers = {0}, consumer_registers = {1};\n",
                    registers.producer, registers.consumer);
  text += llvm::formatv("  static constexpr bool key_lists = {0};\n", spelled(schedule.key_lists));
  if (problem.dropout) text += "  static constexpr bool drops = true;\n";
  text += "};\n\n";
  text += llvm::formatv("extern \"C\" __global__ void __launch_bounds__({0}, 1)\n",
                        flash_threads(schedule));
  text +=
      "streamattn_forward(const __grid_constant__ streamattn::FlashParams params) {\n"
      "  streamattn::flash_wgmma<Spec>(params);\n"
      "}\n";
  return text;
}

// Merges the results of shares. Depends on the output type alone, and on whether sequences differ,
// so that all schedules share it.
Source combine_source(const Problem& problem, const Target& target) {
  DType output = problem.output_dtype();
  const bool listed = problem.is_ragged();
  const char* const kernel = listed ? "combine_listed" : "combine";
  std::string text;
  text += llvm::formatv("// streamattn  forward  {0}  {1}\n", FlashSchedule::family, target.name);
  text += llvm::formatv("// merges the shares of split keys{0}, output {1}\n",
                        listed ? " of listed query tiles" : "", name(output));
  text += llvm::formatv("#include \"forward/{0}.cuh\"\n\n", kernel);
  text += "struct Spec {\n";
  text +=
      llvm::formatv("  using Output = {0};\n",
                    output == DType::f32 ? "float" : "streamattn::" + std::string(name(output)));
  text += llvm::formatv("  static constexpr int threads = {0};\n", flash_combine_threads);
  text += "};\n\n";
  text +=
      llvm::formatv("extern \"C\" __global__ void __launch_bounds__({0})\n", flash_combine_threads);
  text += llvm::formatv(
      "streamattn_{0}(const __grid_constant__ streamattn::{1} params) {{\n"
      "  streamattn::{0}<Spec>(params);\n"
      "}\n",
      kernel, listed ? "ListedCombineParams" : "CombineParams");
  return {.text = std::move(text),
          .entry = std::string("streamattn_") + kernel,
          .threads = flash_combine_threads,
          .parameter_bytes =
              static_cast<int>(listed ? sizeof(ListedCombineParams) : sizeof(CombineParams))};
}

// The kernel that lists query tiles, or shares of them: it depends on mask, layout and tile alone.
Source query_listing_source(const Problem& problem, const FlashSchedule& schedule,
                            const Target& target) {
  const Problem mask_alone{.group_size = problem.group_size, .mask = problem.mask};
  std::string text = kernel_header(Operation::forward, FlashSchedule::family, target);
  text += llvm::formatv("// query tiles of {0} rows, keys in tiles of {1}, mask: {2}\n",
                        schedule.tile_q, schedule.tile_kv, problem.mask.text());
  text += "#include \"forward/query_tiles.cuh\"\n\n";
  text += "namespace streamattn {\n" + score_policy(mask_alone) + "}\n\n";
  text += "struct Spec {\n";
  text += "  using Score = streamattn::ProblemScore;\n";
  text += batch_layout_text(problem);
  text += llvm::formatv(
      "  static constexpr int tile_q = {0}, packed_heads = {1}, tile_kv = {2}, threads = {3};\n",
      schedule.tile_q, schedule.packed_heads, schedule.tile_kv, flash_query_listing_threads);
  if (schedule.split_keys) text += "  static constexpr bool shares_keys = true;\n";
  text += "};\n\n";
  text += kernel_text("query_tiles", "QueryListingParams", flash_query_listing_threads, 1);
  constexpr int bytes_of_thread = 16;
  return {.text = std::move(text),
          .entry = "streamattn_query_tiles",
          .threads = flash_query_listing_threads,
          .dynamic_smem_bytes = flash_query_listing_threads * bytes_of_thread,
          .parameter_bytes = sizeof(QueryListingParams)};
}

}  // namespace

Program flash_emit(const Problem& problem, const Schedule& chosen, const Target& target) {
  const auto schedule = settings_of<FlashSchedule>(chosen);
  Program program;
  if (schedule.key_lists) {
    const std::string header = kernel_header(Operation::forward, FlashSchedule::family, target);
    program.push_back(tile_bounds_source(problem, header, schedule.tile_q, schedule.tile_kv));
    program.push_back(tile_listing_source(problem, header, "forward/key_lists.cuh", "key_lists",
                                          "ListingParams", sizeof(ListingParams), schedule.tile_q,
                                          schedule.tile_kv, flash_listing_threads));
  }
  if (problem.is_ragged()) program.push_back(query_listing_source(problem, schedule, target));
  program.push_back({.text = main_text(problem, schedule, target),
                     .entry = "streamattn_forward",
                     .threads = flash_threads(schedule),
                     .dynamic_smem_bytes = flash_tiling(problem, schedule).bytes(),
                     .parameter_bytes = sizeof(FlashParams)});
  if (schedule.split_keys) program.push_back(combine_source(problem, target));
  return program;
}

}  // namespace streamattn
