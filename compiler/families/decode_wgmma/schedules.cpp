// Schedules of decode_wgmma kernels.
#include <llvm/ADT/STLExtras.h>

#include <algorithm>

#include "compiler/families/decode_wgmma/decode_wgmma.h"

namespace streamattn {
namespace {

constexpr int most_rows = 64;

// Up to so many queries the rows of a KV head are few, and reading its keys is what takes the time.
constexpr std::int64_t most_queries = 16;

std::int64_t rows_of_head(const Problem& problem, const Shape& shape) {
  return std::max<std::int64_t>(shape.q_len, 1) * problem.group_size;
}

// Rows that hold all of a KV head, or as many as there can be.
int wanted_rows(const Problem& problem, const Shape& shape) {
  return static_cast<int>(
      std::min<std::int64_t>((rows_of_head(problem, shape) + 7) / 8 * 8, most_rows));
}

// The order in which they are tried: two blocks hide each other's waits, if each has two stages at
// least; then as many stages as there is memory for.
template <class Visit>
void for_each_schedule(const Problem& problem, const Shape& shape, const Target& target,
                       Visit&& visit) {
  for (int rows = wanted_rows(problem, shape); rows >= 8; rows -= 8)
    for (const int blocks : {2, 1})
      for (int stages = 6; stages >= 2; stages--) {
        const DecodeSchedule schedule{.tile_q = rows, .stages = stages, .blocks_per_sm = blocks};
        if (decode_refusal(problem, schedule, target).empty()) visit(schedule);
      }
}

// Whether the rows of a KV head are few. Other families take no sequences that differ.
bool is_worth_it(const Problem& problem, const Shape& shape) {
  const bool few =
      shape.q_len >= 1 && shape.q_len <= most_queries && rows_of_head(problem, shape) <= most_rows;
  return few || problem.is_ragged();
}

}  // namespace

std::optional<Schedule> decode_first_guess(const Problem& problem, const Shape& shape,
                                           const Target& target) {
  if (!is_worth_it(problem, shape)) return {};
  std::optional<Schedule> first;
  for_each_schedule(problem, shape, target, [&](const DecodeSchedule& schedule) {
    if (!first) first = to_schedule(schedule);
  });
  return first;
}

std::vector<Schedule> decode_schedules(const Problem& problem, const Shape& shape,
                                       const Target& target) {
  std::vector<Schedule> all;
  if (!is_worth_it(problem, shape)) return all;
  for_each_schedule(problem, shape, target,
                    [&](const DecodeSchedule& schedule) { all.push_back(to_schedule(schedule)); });
  return all;
}

std::int64_t decode_blocks(const DecodeSchedule& schedule, std::int64_t tiles, std::int64_t items,
                           int sms) {
  const std::int64_t resident = std::int64_t{schedule.blocks_per_sm} * sms;
  if (schedule.blocks > 0) return std::min({std::int64_t{schedule.blocks}, tiles, resident});
  // A block begins in some microseconds and takes a tile in a third of one; a merge reads eight
  // pieces in half of one. Half the multiprocessors draw all that the memory gives.
  constexpr std::int64_t least_tiles = 4, most_pieces = 16, long_share = 16;
  const std::int64_t blocks = std::min(resident, std::max(tiles / least_tiles, items));
  if (blocks <= most_pieces * items) return std::min(blocks, tiles);
  const std::int64_t enough = tiles / sms < long_share ? sms / 2 : sms;
  return std::min({blocks, std::max<std::int64_t>(most_pieces * items, enough), tiles});
}

}  // namespace streamattn
