// Schedules of flash_wgmma kernels, and what a launch makes of their knobs.
#include <llvm/ADT/STLExtras.h>

#include <algorithm>

#include "compiler/expr/node.h"
#include "compiler/expr/tile_policy.h"
#include "compiler/families/flash_wgmma/flash_wgmma.h"
#include "compiler/families/packing.h"

namespace streamattn {
namespace {

// Keys that a share has at least.
constexpr std::int64_t shortest_share = 256;

// Shares of equal query tiles of sequences that differ, as the device finds them
// (templates/forward/key_shares.cuh).
std::int64_t splits_of_batch(const Shape& shape, std::int64_t items, int sms) {
  constexpr std::int64_t keys_beside = 128;
  const auto time = [&](std::int64_t splits) {
    return (items * splits + sms - 1) / sms * (shape.kv_len / splits + keys_beside);
  };
  std::int64_t best = 1;
  for (std::int64_t splits = 2;
       items * (splits - 1) <= 2 * sms && splits * shortest_share <= shape.kv_len; splits++)
    if (time(splits) < time(best)) best = splits;
  return best;
}

// Every combination of the knobs that decide.
template <class Visit>
void for_each_schedule(Visit&& visit) {
  FlashSchedule s;
  for (int warpgroups : {2, 3, 1})
    for (int tile_kv = 256; tile_kv >= 32; tile_kv -= 16)
      for (int stages : {2, 3, 4})
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

}  // namespace

std::vector<Schedule> flash_schedules(const Problem& problem, const Shape& shape,
                                      const Target& target) {
  std::vector<Schedule> legal;
  auto add = [&](const FlashSchedule& settings) {
    if (!flash_refusal(problem, settings, target).empty()) return;
    Schedule schedule = to_schedule(settings);
    if (!llvm::is_contained(legal, schedule)) legal.push_back(std::move(schedule));
  };
  for (const FlashSchedule& schedule : flash_guesses(problem, shape, target)) add(schedule);
  const bool by_data = is_data_dependent(problem.mask) && !problem.is_ragged();
  const int packs = packable_heads(problem);
  for_each_schedule([&](FlashSchedule schedule) {
    add(schedule);
    schedule.key_lists = by_data;
    if (by_data) add(schedule);
    schedule.split_keys = true;
    if (!schedule.o_buffer) add(schedule);  // split, O has no use for one
    if (packs == 1) return;
    schedule.packed_heads = packs;
    if (!schedule.o_buffer) add(schedule);
    schedule.split_keys = false;
    add(schedule);
  });
  return legal;
}

bool flash_items_grow(const Problem& problem) {
  return problem.mask.node().op == ExprOp::at_most_zero;
}

int flash_splits(const Problem& problem, const FlashSchedule& schedule, const Shape& shape,
                 std::int64_t items, int sms) {
  if (!schedule.split_keys) return 1;
  if (schedule.splits > 0) return schedule.splits;
  if (problem.is_ragged()) return static_cast<int>(splits_of_batch(shape, items, sms));
  // Unlike shares fill the multiprocessors evenly where there are more than these.
  const bool are_unlike = flash_items_grow(problem) && 2 * shape.q_len >= shape.kv_len;
  const std::int64_t shares = are_unlike ? 2 * sms : sms;
  const std::int64_t fill = shares / std::max<std::int64_t>(items, 1);
  return static_cast<int>(std::max<std::int64_t>(std::min(fill, shape.kv_len / shortest_share), 1));
}

std::int64_t flash_list_places(const FlashSchedule& schedule, const BatchTiles& tiles, int sms) {
  if (!schedule.split_keys) return tiles.q_tiles;
  if (schedule.splits > 0) return tiles.q_tiles * schedule.splits;
  return tiles.q_tiles + (2 * sms + tiles.heads - 1) / tiles.heads;
}

int flash_section_heads(const Problem& problem, const FlashSchedule& schedule, const Shape& shape,
                        int sms, std::int64_t l2_bytes) {
  const std::int64_t heads = flash_heads(problem, schedule, shape);
  if (schedule.section_heads > 0)
    return static_cast<int>(std::clamp<std::int64_t>(schedule.section_heads, 1, heads));
  // Equal items need no order: one head after another, so that neighbours share its K and V.
  const ExprNode& mask = problem.mask.node();
  if (mask.is_constant()) return 1;
  // Few enough heads that K and V of the section stay in a quarter of the L2, or that four items of
  // every head run at a time and read them together; but no fewer than give every multiprocessor
  // three times the longest item, or the last section ends with one. Measured: docs/flash_wgmma.md.
  std::int64_t kv_bytes =
      shape.kv_len * (problem.head_dim + problem.v_head_dim()) * bytes(problem.dtype);
  std::int64_t in_l2 = l2_bytes / 4 / std::max<std::int64_t>(kv_bytes, 1);
  std::int64_t together =
      std::max<std::int64_t>(in_l2, sms / 4) * problem.group_size / schedule.packed_heads;
  std::int64_t q_tiles = (flash_rows(schedule, shape) + schedule.tile_q - 1) / schedule.tile_q;
  std::int64_t balanced = 6 * sms / std::max<std::int64_t>(q_tiles, 1);
  std::int64_t wanted = std::max<std::int64_t>(
      flash_items_grow(problem) ? std::min(together, balanced) : together, 1);
  std::int64_t sections = std::max<std::int64_t>((heads + wanted / 2) / wanted, 1);
  return static_cast<int>(std::max<std::int64_t>((heads + sections - 1) / sections, 1));
}

int flash_section_heads_of_batch(const Problem& problem, const FlashSchedule& schedule,
                                 const BatchTiles& tiles, int sms, std::int64_t l2_bytes) {
  const std::int64_t group = problem.group_size / schedule.packed_heads;
  const std::int64_t kv_heads = tiles.heads / group;
  if (schedule.section_heads > 0)
    return static_cast<int>(std::clamp<std::int64_t>(schedule.section_heads, 1, tiles.heads));
  // As few KV heads as give every multiprocessor three times the longest item, of which others are
  // half in the mean, or as stay in a quarter of the L2.
  const std::int64_t items = tiles.q_tiles * group;
  const std::int64_t balanced = (6 * sms + items - 1) / std::max<std::int64_t>(items, 1);
  const std::int64_t kv_bytes =
      tiles.kv_rows * (problem.head_dim + problem.v_head_dim()) * bytes(problem.dtype);
  const std::int64_t in_l2 = l2_bytes / 4 / std::max<std::int64_t>(kv_bytes, 1);
  const std::int64_t wanted = std::max<std::int64_t>({balanced, in_l2, 1});
  const std::int64_t sections = std::max<std::int64_t>((kv_heads + wanted / 2) / wanted, 1);
  return static_cast<int>((kv_heads + sections - 1) / sections * group);
}

}  // namespace streamattn
