// Legality, schedules and text of flash_wgmma kernels.
#include "compiler/families/flash_wgmma/flash_wgmma.h"

#include <llvm/ADT/STLExtras.h>
#include <llvm/Support/FormatVariadic.h>

#include <algorithm>

namespace streamattn {
namespace {

// Registers a thread of the producer and of a math warpgroup gets by setmaxnreg, for 1, 2 and 3
// math warpgroups: multiples of 8 that add up to at most 512 over all warpgroups.
struct RegisterBudget {
  int producer, consumer;
};
constexpr RegisterBudget register_budgets[] = {{56, 240}, {24, 240}, {32, 160}};

RegisterBudget register_budget(const FlashSchedule& schedule) {
  return register_budgets[schedule.math_warpgroups - 1];
}

// What a consumer thread needs: O, S and P beside it; Q where it is held; and about 24 for
// everything else, fitted to compiled kernels. See docs/flash_wgmma.md.
int registers_needed(const Problem& problem, const FlashSchedule& schedule) {
  int v_columns = padded_columns(problem.v_head_dim());
  int needed = v_columns / 2 + schedule.tile_kv / 2 + schedule.tile_kv / 4 + 24;
  if (schedule.q_in_registers) needed += padded_columns(problem.head_dim) / 4;
  if (v_columns > 192) needed += 7;
  return needed;
}

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
  if (problem.mask != Expr() && problem.mask != causal())
    return llvm::formatv("mask \"{0}\": only \"true\" and \"k <= q\" are known",
                         problem.mask.text());
  if (auto reason = check_head_dim("head_dim", problem.head_dim); !reason.empty()) return reason;
  return check_head_dim("value_head_dim", problem.v_head_dim());
}

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
  return {};
}

std::string refusal(const Problem& problem, const FlashSchedule& schedule, const Target& target) {
  if (auto reason = refuse_tiles(schedule); !reason.empty()) return reason;
  if (schedule.ping_pong && schedule.math_warpgroups < 2)
    return "ping_pong needs 2 math_warpgroups, the schedule has 1";
  bool direct = problem.output_dtype() == DType::f32;
  int o_chunks = padded_columns(problem.v_head_dim()) / chunk_columns(problem.v_head_dim());
  if (schedule.o_passes < 1 || o_chunks % schedule.o_passes != 0)
    return llvm::formatv("o_passes {0} does not divide the {1} chunks of {2} columns of O",
                         schedule.o_passes, o_chunks, chunk_columns(problem.v_head_dim()));
  if (schedule.o_passes > 1 && (!schedule.o_buffer || direct))
    return "o_passes above 1 needs o_buffer and a 16-bit output";
  if (schedule.q_in_registers && !schedule.o_buffer && !direct)
    return "q_in_registers needs o_buffer: the memory of Q is loaded again before O is stored";
  // Rows of O would lie where other warps still read rows of Q.
  if (int q_chunk = chunk_columns(problem.head_dim), o_chunk = chunk_columns(problem.v_head_dim());
      !schedule.o_buffer && !direct && q_chunk != o_chunk)
    return llvm::formatv("chunks of {0} columns of O over chunks of {1} of Q need o_buffer",
                         o_chunk, q_chunk);
  if (int needed = registers_needed(problem, schedule),
      cap = register_budget(schedule).consumer - 4;
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

std::string refuses(const Problem& problem, const Schedule& schedule, const Target& target) {
  return refusal(problem, settings_of<FlashSchedule>(schedule), target);
}

// ---- Schedules

// Guesses in the order in which they are tried, after what won on an H200 (docs/flash_wgmma.md):
// the most query rows that registers allow, since every key tile is then read for more of them;
// with few tiles to hand out, two warpgroups and a wide key tile instead.
std::vector<FlashSchedule> guesses(const Problem& problem, const Shape& shape) {
  std::vector<FlashSchedule> list;
  auto add = [&](int warpgroups, int tile_kv, auto change) {
    FlashSchedule schedule{.tile_q = 64 * warpgroups,
                           .tile_kv = tile_kv,
                           .math_warpgroups = warpgroups,
                           .o_buffer = true,
                           .softmax = Softmax::stale};
    change(schedule);
    list.push_back(schedule);
  };
  auto as_it_is = [](FlashSchedule&) {};
  auto exact = [](FlashSchedule& s) { s.softmax = Softmax::exact; };
  auto q_in_registers = [](FlashSchedule& s) { s.q_in_registers = true; };
  auto o_in_halves = [](FlashSchedule& s) { s.o_passes = 2; };
  auto o_over_q = [](FlashSchedule& s) { s.o_buffer = false; };

  std::int64_t heads = shape.batch * shape.kv_heads * problem.group_size;
  bool few_tiles = heads * ((shape.q_len + 127) / 128) < 1024;
  if (few_tiles) add(2, 128, q_in_registers);
  if (problem.v_head_dim() <= 64) add(3, 128, exact);
  add(3, 112, as_it_is);
  add(3, 80, as_it_is);
  add(2, 128, q_in_registers);
  add(2, 128, as_it_is);
  add(2, 112, o_in_halves);
  add(2, 112, o_over_q);
  add(2, 64, o_in_halves);
  add(2, 64, o_over_q);
  // Where O's chunks are not those of Q.
  add(2, 64, as_it_is);
  add(2, 48, as_it_is);
  return list;
}

// Every combination of the knobs that decide.
template <class Visit>
void for_each_schedule(Visit&& visit) {
  FlashSchedule s;
  for (int warpgroups : {2, 3, 1})
    for (int tile_kv = 256; tile_kv >= 32; tile_kv -= 16)
      for (int stages : {2, 3})
        for (bool ping_pong : {true, false})
          for (bool q_in_registers : {true, false})
            for (int o_passes : {1, 2, 0})  // 0: no buffer
              for (Softmax softmax : {Softmax::stale, Softmax::exact}) {
                s.math_warpgroups = warpgroups;
                s.tile_q = 64 * warpgroups;
                s.tile_kv = tile_kv;
                s.stages = stages;
                s.ping_pong = ping_pong;
                s.q_in_registers = q_in_registers;
                s.o_buffer = o_passes > 0;
                s.o_passes = std::max(o_passes, 1);
                s.softmax = softmax;
                visit(s);
              }
}

std::optional<Schedule> first_guess(const Problem& problem, const Shape& shape,
                                    const Target& target) {
  for (const FlashSchedule& schedule : guesses(problem, shape))
    if (refusal(problem, schedule, target).empty()) return to_schedule(schedule);
  return {};
}

std::vector<Schedule> schedules(const Problem& problem, const Shape& shape, const Target& target) {
  std::vector<Schedule> legal;
  auto add = [&](const FlashSchedule& settings) {
    if (!refusal(problem, settings, target).empty()) return;
    Schedule schedule = to_schedule(settings);
    if (!llvm::is_contained(legal, schedule)) legal.push_back(std::move(schedule));
  };
  for (const FlashSchedule& schedule : guesses(problem, shape)) add(schedule);
  for_each_schedule(add);
  return legal;
}

// ---- Text

const char* spelled(bool value) { return value ? "true" : "false"; }

const char* output_path(OutputPath path) {
  switch (path) {
    case OutputPath::over_q:
      return "over_q";
    case OutputPath::buffered:
      return "buffered";
    case OutputPath::direct:
      return "direct";
  }
  return "";
}

std::string describe_compiled(const FlashSchedule& s) {
  std::string text = llvm::formatv("tile {0} x {1}, {2} stages, {3} math warpgroups", s.tile_q,
                                   s.tile_kv, s.stages, s.math_warpgroups);
  if (s.ping_pong) text += ", ping-pong";
  text += s.softmax == Softmax::stale ? ", stale maximum" : ", exact maximum";
  if (s.q_in_registers) text += ", Q in registers";
  return text;
}

std::string main_text(const Problem& problem, const FlashSchedule& schedule, const Target& target) {
  FlashTiling tiling = flash_tiling(problem, schedule);
  RegisterBudget registers = register_budget(schedule);
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
  text += "namespace streamattn {\n" + shapes + "}\n\n";
  text += "struct Spec {\n";
  text += llvm::formatv("  using Element = streamattn::{0};\n", element);
  text += llvm::formatv("  using Mask = streamattn::{0};\n",
                        problem.mask == causal() ? "MaskCausal" : "MaskNone");
  text += llvm::formatv("  static constexpr int group_size = {0};\n", problem.group_size);
  text += llvm::formatv(
      "  static constexpr streamattn::FlashTiling tiling = {{\n"
      "      .head_dim = {0}, .value_head_dim = {1},\n"
      "      .tile_q = {2}, .tile_kv = {3}, .stages = {4},\n"
      "      .output = streamattn::OutputPath::{5}, .o_passes = {6}};\n",
      tiling.head_dim, tiling.value_head_dim, tiling.tile_q, tiling.tile_kv, tiling.stages,
      output_path(tiling.output), tiling.o_passes);
  text += llvm::formatv(
      "  static constexpr bool ping_pong = {0}, q_in_registers = {1}, stale_reference = {2};\n",
      spelled(schedule.ping_pong), spelled(schedule.q_in_registers),
      spelled(schedule.softmax == Softmax::stale));
  text +=
      llvm::formatv("  static constexpr int producer_registers = {0}, consumer_registers = {1};\n",
                    registers.producer, registers.consumer);
  text += "};\n\n";
  text += llvm::formatv("extern \"C\" __global__ void __launch_bounds__({0}, 1)\n",
                        flash_threads(schedule));
  text +=
      "streamattn_forward(const __grid_constant__ streamattn::FlashParams params) {\n"
      "  streamattn::flash_wgmma<Spec>(params);\n"
      "}\n";
  return text;
}

Program emit(const Problem& problem, const Schedule& chosen, const Target& target) {
  const auto schedule = settings_of<FlashSchedule>(chosen);
  return {{.text = main_text(problem, schedule, target),
           .entry = "streamattn_forward",
           .threads = flash_threads(schedule),
           .dynamic_smem_bytes = flash_tiling(problem, schedule).bytes(),
           .parameter_bytes = sizeof(FlashParams)}};
}

}  // namespace

Family flash_wgmma_family() {
  return {.name = FlashSchedule::family,
          .operation = Operation::forward,
          .knobs = &knob_table<FlashSchedule>(),
          .misses = misses,
          .declines = declines,
          .refuses = refuses,
          .first_guess = first_guess,
          .schedules = schedules,
          .emit = emit,
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
  OutputPath output = problem.output_dtype() == DType::f32 ? OutputPath::direct
                      : schedule.o_buffer                  ? OutputPath::buffered
                                                           : OutputPath::over_q;
  return {problem.head_dim, problem.v_head_dim(), schedule.tile_q,
          schedule.tile_kv, schedule.stages,      output,
          schedule.o_passes};
}

int flash_threads(const FlashSchedule& schedule) { return 128 * (1 + schedule.math_warpgroups); }

int flash_section_heads(const Problem& problem, const FlashSchedule& schedule, const Shape& shape,
                        int sms, std::int64_t l2_bytes) {
  std::int64_t heads = shape.batch * shape.kv_heads * problem.group_size;
  if (schedule.section_heads > 0)
    return static_cast<int>(std::clamp<std::int64_t>(schedule.section_heads, 1, heads));
  // Equal items need no order: one head after another, so that neighbours share its K and V.
  if (problem.mask == Expr()) return 1;
  // Few enough heads that K and V of the section stay in a quarter of the L2, or that four items of
  // every head run at a time and read them together; but no fewer than give every multiprocessor
  // three times the longest item, or the last section ends with one. Measured: docs/flash_wgmma.md.
  std::int64_t kv_bytes =
      shape.kv_len * (problem.head_dim + problem.v_head_dim()) * bytes(problem.dtype);
  std::int64_t in_l2 = l2_bytes / 4 / std::max<std::int64_t>(kv_bytes, 1);
  std::int64_t together = std::max<std::int64_t>(in_l2, sms / 4) * problem.group_size;
  std::int64_t q_tiles = (shape.q_len + schedule.tile_q - 1) / schedule.tile_q;
  std::int64_t balanced = 6 * sms / std::max<std::int64_t>(q_tiles, 1);
  std::int64_t wanted = std::max<std::int64_t>(std::min(together, balanced), 1);
  std::int64_t sections = std::max<std::int64_t>((heads + wanted / 2) / wanted, 1);
  return static_cast<int>(std::max<std::int64_t>((heads + sections - 1) / sections, 1));
}

}  // namespace streamattn
