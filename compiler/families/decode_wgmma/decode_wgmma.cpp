// What decode_wgmma kernels can serve, and how large they are.
#include "compiler/families/decode_wgmma/decode_wgmma.h"

#include <llvm/ADT/STLExtras.h>
#include <llvm/Support/FormatVariadic.h>

#include <algorithm>
#include <array>

#include "compiler/expr/key_ranges.h"
#include "compiler/expr/node.h"

namespace streamattn {
namespace {

std::string misses(const Target& target) {
  if (!target.has_wgmma) return llvm::formatv("{0} has no wgmma instructions", target.name);
  return {};
}

// Heads of a tile walk the same keys.
bool ranges_differ_between_heads(const Expr& mask) {
  const auto differs = [](const Expr& end) {
    return end.node().uses_variable(Variable::head) || end.node().uses_variable(Variable::kv_head);
  };
  return llvm::any_of(KeyRanges(mask).seen, [&](const KeyRange& range) {
    return differs(range.begin) || differs(range.end);
  });
}

std::string declines(const Problem& problem, const Target&) {
  if (problem.dropout) return "dropout: its kernels keep all weights";
  if (problem.dtype == DType::f32) return "dtype f32: wgmma takes f16 and bf16";
  const int dim = problem.head_dim, v_dim = problem.v_head_dim();
  if (dim % 8 != 0) return llvm::formatv("head_dim {0} is not a multiple of 8", dim);
  if (dim < 16 || dim > 256) return llvm::formatv("head_dim {0} is not in 16..256", dim);
  if (v_dim % 64 != 0 || v_dim > 256)
    return llvm::formatv("value_head_dim {0} is not one of 64, 128, 192, 256", v_dim);
  if (ranges_differ_between_heads(problem.mask))
    return "mask: heads that share keys see other ranges of them";
  return {};
}

std::string refuses(const Problem& problem, const Schedule& schedule, const Target& target) {
  return decode_refusal(problem, settings_of<DecodeSchedule>(schedule), target);
}

// What a math thread gets, in eights: warps are dealt out to four parts of a multiprocessor.
int registers_there(const DecodeSchedule& schedule, const Target& target) {
  constexpr int parts = 4, lanes = 32, most = 255;
  const int warps = schedule.blocks_per_sm * decode_threads / lanes;
  const int warps_of_part = (warps + parts - 1) / parts;
  return std::min(target.registers / parts / lanes / warps_of_part / 8 * 8, most);
}

TileWalk walk(const Problem& problem, const Schedule& schedule) {
  const auto settings = settings_of<DecodeSchedule>(schedule);
  return {.rows = settings.tile_q,
          .keys = settings.tile_kv,
          .heads = problem.group_size,
          .is_of_sequence = true};
}

}  // namespace

std::string decode_refusal(const Problem& problem, const DecodeSchedule& schedule,
                           const Target& target) {
  constexpr int reserved = 1024;  // bytes of shared memory that the hardware keeps of every block
  if (schedule.tile_q % 8 != 0 || schedule.tile_q < 8 || schedule.tile_q > 64)
    return llvm::formatv("tile_q {0} is not a multiple of 8 in 8..64", schedule.tile_q);
  if (schedule.tile_kv != DecodeTiling::tile_kv)
    return llvm::formatv("tile_kv {0} is not {1}", schedule.tile_kv, +DecodeTiling::tile_kv);
  if (schedule.stages < 2 || schedule.stages > 8)
    return llvm::formatv("stages {0} is not in 2..8", schedule.stages);
  if (schedule.blocks_per_sm < 1 || schedule.blocks_per_sm > 2)
    return llvm::formatv("blocks_per_sm {0} is not 1 or 2", schedule.blocks_per_sm);
  if (constexpr std::array clusters = {1, 2, 4, 8, 16};
      !llvm::is_contained(clusters, schedule.cluster))
    return llvm::formatv("cluster {0} is not 1, 2, 4, 8 or 16", schedule.cluster);
  if (schedule.split_tokens % DecodeTiling::tile_kv != 0)
    return llvm::formatv("split_tokens {0} is not a multiple of {1}", schedule.split_tokens,
                         +DecodeTiling::tile_kv);
  if (schedule.cluster > 1 && !target.has_clusters)
    return llvm::formatv("cluster {0}: {1} has no clusters", schedule.cluster, target.name);
  if (const int needed = decode_registers_needed(problem, schedule),
      cap = registers_there(schedule, target);
      needed > cap)
    return llvm::formatv(
        "tile_q {0} with {1} blocks_per_sm needs about {2} registers a thread, there are {3}",
        schedule.tile_q, schedule.blocks_per_sm, needed, cap);
  const int bytes = decode_tiling(problem, schedule).bytes();
  const int room = (target.smem_bytes + reserved) / schedule.blocks_per_sm - reserved;
  if (bytes > room)
    return llvm::formatv(
        "stages {0} with {1} blocks_per_sm{2} need {3} bytes of shared memory, {4} has {5}",
        schedule.stages, schedule.blocks_per_sm,
        schedule.cluster > 1 ? llvm::formatv(" in clusters of {0}", schedule.cluster).str() : "",
        bytes, target.name, room);
  return {};
}

// O, S and P, what it knows of its columns, and about 70 for everything else, fitted to compiled
// kernels.
int decode_registers_needed(const Problem& problem, const DecodeSchedule& schedule) {
  return problem.v_head_dim() / 64 * schedule.tile_q / 2 + 2 * schedule.tile_q + 70;
}

// Of a piece a thread has four columns of O of every 64, and six sums; O is there, too, and
// everything else, which is more where sequences differ.
int decode_pieces_together(const Problem& problem, const DecodeSchedule& schedule,
                           const Target& target) {
  const int blocks = problem.v_head_dim() / 64;
  const int taken = blocks * schedule.tile_q / 2 + (problem.is_ragged() ? 60 : 47);
  const int room = (registers_there(schedule, target) - taken) / (4 * blocks + 6);
  return room >= 7 ? 8 : room >= 4 ? 4 : 2;
}

Family decode_wgmma_family() {
  return {.name = DecodeSchedule::family,
          .operation = Operation::forward,
          .knobs = &knob_table<DecodeSchedule>(),
          .misses = misses,
          .declines = declines,
          .refuses = refuses,
          .first_guess = decode_first_guess,
          .schedules = decode_schedules,
          .estimate = decode_estimate,
          .walk = walk,
          .emit = decode_emit,
          .plan = decode_plan};
}

DecodeTiling decode_tiling(const Problem& problem, const DecodeSchedule& schedule) {
  return {problem.head_dim, problem.v_head_dim(), schedule.tile_q,
          schedule.stages,  schedule.cluster,     schedule.split_tokens / DecodeTiling::tile_kv};
}

}  // namespace streamattn
