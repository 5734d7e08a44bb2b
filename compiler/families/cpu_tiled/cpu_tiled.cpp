// Schedules of the CPU's kernel, which needs no source.
#include "compiler/families/cpu_tiled/cpu_tiled.h"

#include <llvm/Support/FormatVariadic.h>

#include <algorithm>

namespace streamattn {
namespace {

std::string misses(const Target& target) {
  if (!target.is_cpu()) return llvm::formatv("{0} is a GPU", target.name);
  return {};
}

std::string declines(const Problem&, const Target&) { return {}; }

std::string refuses(const Problem&, const Schedule& schedule, const Target&) {
  const auto [tile_q, tile_kv] = settings_of<CpuSchedule>(schedule);
  if (tile_q < 1 || tile_kv < 1)
    return llvm::formatv("tile {0} x {1}: both sides must be positive", tile_q, tile_kv);
  return {};
}

std::optional<Schedule> first_guess(const Problem&, const Shape&, const Target&) {
  // A tile of K and V in float fits the second-level cache of one core at head_dim 128.
  return to_schedule(CpuSchedule{});
}

std::vector<Schedule> schedules(const Problem& problem, const Shape& shape, const Target& target) {
  std::vector<Schedule> all = {*first_guess(problem, shape, target)};
  for (const int tile_q : {16, 32, 48, 64, 96, 128, 192, 384}) {
    for (const int tile_kv : {64, 128, 192, 256, 384, 512, 1024}) {
      const Schedule schedule = to_schedule(CpuSchedule{tile_q, tile_kv});
      if (schedule != all.front()) all.push_back(schedule);
    }
  }
  return all;
}

// A tile of keys is converted to float once for the rows of a tile, scores are kept for the whole
// tile, and all of it should stay in the second-level cache of a core.
Estimate model(const Problem& problem, const Schedule& schedule, const Shape& shape,
               const Target& target) {
  constexpr double float_bytes = 4, elements_per_microsecond = 2000, conversion = 1.0 / 16;
  const auto [tile_q, tile_kv] = settings_of<CpuSchedule>(schedule);
  const double columns = problem.head_dim + problem.v_head_dim();
  const std::int64_t rows = std::min<std::int64_t>(tile_q, shape.q_len * problem.group_size);
  const std::int64_t keys = std::min<std::int64_t>(tile_kv, shape.kv_len);
  const double work =
      static_cast<double>(shape.batch * shape.kv_heads * problem.group_size * shape.q_len) *
      static_cast<double>(
          walked_keys(problem.mask, shape.kv_len - shape.q_len, shape.kv_len, shape.kv_len)) *
      columns;
  const double held = float_bytes * (static_cast<double>(keys + 2 * rows) * columns +
                                     static_cast<double>(rows * keys));
  const double spilled = std::max(0.0, held / static_cast<double>(target.l2_bytes) - 1);
  const double rows_in_work = static_cast<double>(std::max<std::int64_t>(rows, 1));
  const double keys_in_work = static_cast<double>(std::max<std::int64_t>(keys, 1));
  const double per_element =
      1 + 16 * conversion / rows_in_work + 4 / keys_in_work + std::min(spilled, 1.0) / 2;
  return {.traffic_bytes = work / rows_in_work * bytes(problem.dtype),
          .waves =
              static_cast<double>(shape.batch * shape.kv_heads * problem.group_size * shape.q_len) /
              rows_in_work,
          .microseconds = work * per_element / elements_per_microsecond};
}

TileWalk walk(const Problem&, const Schedule& schedule) {
  const auto [tile_q, tile_kv] = settings_of<CpuSchedule>(schedule);
  return {.rows = tile_q, .keys = tile_kv, .by_data = true};
}

}  // namespace

Family cpu_tiled_family() {
  return {.name = CpuSchedule::family,
          .operation = Operation::forward,
          .knobs = &knob_table<CpuSchedule>(),
          .misses = misses,
          .declines = declines,
          .refuses = refuses,
          .first_guess = first_guess,
          .schedules = schedules,
          .estimate = model,
          .launch_choices = nullptr,
          .walk = walk,
          .emit = nullptr,
          .plan = nullptr};
}

}  // namespace streamattn
