// A model of how long flash_wgmma kernels take, to rank schedules by before any is compiled.
#include <algorithm>
#include <array>
#include <cmath>

#include "compiler/expr/score_policy.h"
#include "compiler/families/flash_wgmma/flash_wgmma.h"

namespace streamattn {
namespace {

// Of one multiprocessor and clock: operations of wgmma on 16-bit types, exponentials, float
// instructions, and bytes that the L2 delivers to each when all of them read.
constexpr double mma_flops = 4096, exponentials = 16, float_lanes = 128, l2_bytes_per_clock = 24;
constexpr double clocks_per_microsecond = 1755, bytes_per_microsecond = 3.5e6;

// Fitted by eye to the rounds in docs/flash_wgmma.md: what a key tile costs beside arithmetic, a
// work item beside its key tiles, and a further kernel of a launch.
constexpr double clocks_of_step = 150, clocks_of_item = 2200, microseconds_of_kernel = 3;

/// Part of the shorter of matrix and softmax work that does not hide behind the longer.
double exposed_part(const FlashSchedule& schedule) {
  if (schedule.math_warpgroups == 1) return 0.6;
  return (schedule.math_warpgroups == 2 ? 0.3 : 0.2) + (schedule.ping_pong ? 0 : 0.05);
}

/// Clocks that one multiprocessor spends on one key tile of one work item.
double step_clocks(const Problem& problem, const FlashSchedule& schedule) {
  const double pairs = static_cast<double>(schedule.tile_q) * schedule.tile_kv;
  const int columns = padded_columns(problem.head_dim) + padded_columns(problem.v_head_dim());
  const double from_memory = schedule.q_in_registers ? 1 : 1.03;
  const double matrix = from_memory * 2 * pairs * columns / mma_flops;
  const double instructions = schedule.softmax == Softmax::exact ? 5 : 4;
  const double softmax = pairs * (1 / exponentials + instructions / float_lanes);
  const double bytes = static_cast<double>(schedule.tile_kv) * columns * 2;
  const double stalls = schedule.stages == 2 ? 1.1 : 1;
  const double arithmetic =
      std::max(matrix, softmax) + exposed_part(schedule) * std::min(matrix, softmax);
  return std::max(arithmetic, stalls * bytes / l2_bytes_per_clock) + clocks_of_step;
}

/// Work items of one head and what they cost, from evenly spaced query tiles.
struct Items {
  double count = 0, mean = 0, longest = 0, shortest = 0;  ///< clocks
  double keys = 0;                                        ///< walked over by all of them
};

Items items_of(const Problem& problem, const FlashSchedule& schedule, const Shape& shape) {
  constexpr std::int64_t most_samples = 8;
  const std::int64_t queries = schedule.tile_q / schedule.packed_heads;  // of a tile
  const std::int64_t tiles = (shape.q_len + queries - 1) / queries;
  const std::int64_t samples = std::min(tiles, most_samples);
  const double step = step_clocks(problem, schedule);
  const double overhead = clocks_of_item - (schedule.o_buffer ? 600 : 0) + 40 * schedule.o_passes +
                          (schedule.q_in_registers ? -200 : 0);
  Items items{.count = static_cast<double>(tiles)};
  for (std::int64_t i = 0; i < samples; i++) {
    const std::int64_t tile = samples == 1 ? 0 : i * (tiles - 1) / (samples - 1);
    const std::int64_t first = shape.kv_len - shape.q_len + tile * queries;
    const std::int64_t end = std::min(first + queries, shape.kv_len);
    const std::int64_t keys = walked_keys(problem.mask, first, end, shape.kv_len);
    const double steps = std::ceil(static_cast<double>(keys) / schedule.tile_kv);
    const double clocks = overhead + steps * step;
    items.mean += clocks / static_cast<double>(samples);
    items.longest = std::max(items.longest, clocks);
    items.shortest = i == 0 ? clocks : std::min(items.shortest, clocks);
    items.keys += static_cast<double>(keys) * items.count / static_cast<double>(samples);
  }
  return items;
}

/// Clocks until the last of `count` items ends on `sms` multiprocessors, longest first. Equal items
/// go in full waves; the shorter the shortest, the better they fill the end.
double makespan(const Items& items, double count, double sms) {
  if (count == 0) return 0;
  const double in_waves = std::ceil(count / sms) * items.mean;
  const double filled = std::max(items.longest, count * items.mean / sms + items.shortest / 2);
  const double unlike = 1 - items.shortest / items.longest;
  return (1 - unlike) * in_waves + unlike * filled;
}

}  // namespace

Estimate flash_estimate(const Problem& problem, const Schedule& given, const Shape& shape,
                        const Target& target) {
  const auto schedule = settings_of<FlashSchedule>(given);
  const auto heads = static_cast<double>(flash_heads(problem, schedule, shape));
  Items items = items_of(problem, schedule, shape);
  double count = heads * items.count;
  const int splits =
      flash_splits(problem, schedule, shape, static_cast<std::int64_t>(count), target.sm_count);
  items.mean /= splits, items.longest /= splits, items.shortest /= splits;
  count *= splits;

  const double columns = problem.head_dim + problem.v_head_dim();
  const double rows = heads * static_cast<double>(flash_rows(schedule, shape));
  double traffic = heads * items.keys * columns * bytes(problem.dtype) +
                   rows * (problem.head_dim * bytes(problem.dtype) +
                           problem.v_head_dim() * bytes(problem.output_dtype()));
  // What further kernels cost beside the main one: launches, and shares over memory and back.
  double microseconds = 0;
  if (schedule.split_keys) {
    const double shares = 2 * splits * rows * 4 * (problem.v_head_dim() + 1);
    traffic += shares;
    microseconds += microseconds_of_kernel + shares / bytes_per_microsecond;
  }
  if (schedule.key_lists || problem.is_ragged()) microseconds += microseconds_of_kernel;
  return {.registers = flash_registers_needed(problem, schedule),
          .smem_bytes = flash_tiling(problem, schedule).bytes(),
          .traffic_bytes = traffic,
          .waves = count / target.sm_count,
          .microseconds =
              makespan(items, count, target.sm_count) / clocks_per_microsecond + microseconds};
}

std::vector<Schedule> flash_launch_choices(const Problem& problem, const Schedule& schedule,
                                           const Shape& shape, const Target& target) {
  std::vector<Schedule> choices = {schedule};
  const auto add = [&](auto change) {
    auto settings = settings_of<FlashSchedule>(schedule);
    change(settings);
    const Schedule changed = to_schedule(settings);
    const bool is_new = std::ranges::find(choices, changed) == choices.end();
    if (is_new && flash_refusal(problem, settings, target).empty()) choices.push_back(changed);
  };
  const std::int64_t heads = flash_heads(problem, settings_of<FlashSchedule>(schedule), shape);
  for (const int section : std::array{1, 2, 4, 8, 16, 32, 64})
    if (section <= heads) add([&](FlashSchedule& s) { s.section_heads = section; });
  add([](FlashSchedule& s) { s.tile_order = TileOrder::fixed; });
  if (settings_of<FlashSchedule>(schedule).split_keys)
    for (const int splits : std::array{2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64})
      add([&](FlashSchedule& s) { s.splits = splits; });
  return choices;
}

}  // namespace streamattn
