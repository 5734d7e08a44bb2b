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

// What a launch takes in `pieces` of every item, but for what does not depend on it: tiles one
// after the other or all at the speed of memory, and a merge. Fitted to rounds on an H200,
// docs/decode.md.
double microseconds_of(const DecodeTiling& tiling, const KeyStream& stream, std::int64_t pieces) {
  constexpr double memory = 4.3e6;  // bytes a microsecond
  const double tile_bytes = tiling.k_bytes() + tiling.v_bytes();
  const double smaller_loads = stream.box_rows == 0 ? 6.5 : stream.box_rows < 64 ? 1.7 : 1;
  const double tile = smaller_loads * (0.1 + 1.3e-5 * tile_bytes);
  const double piece = 0.13 + 1e-4 * tiling.rows * tiling.value_head_dim;
  const auto tiles_of_piece = static_cast<double>((stream.tiles + pieces - 1) / pieces);
  const double stream_bytes = tile_bytes * static_cast<double>(stream.items * stream.tiles);
  const double merge = pieces == 1 ? 0 : piece * static_cast<double>(pieces);
  return std::max(tiles_of_piece * tile, stream_bytes / memory) + merge;
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

std::int64_t decode_blocks(const DecodeTiling& tiling, const DecodeSchedule& schedule,
                           const KeyStream& stream, int sms) {
  const std::int64_t resident = std::int64_t{schedule.blocks_per_sm} * sms;
  const std::int64_t tiles = stream.items * stream.tiles;
  if (schedule.blocks > 0) return std::min({std::int64_t{schedule.blocks}, tiles, resident});
  // Whole items, as many to every block.
  if (stream.items >= sms) {
    const std::int64_t each = (stream.items + resident - 1) / resident;
    return (stream.items + each - 1) / each;
  }
  // As many pieces to every item, so that no block has part of two where all are equal. Where loads
  // are small, two blocks of a multiprocessor load more.
  const std::int64_t most = stream.box_rows == 0 ? resident : sms;
  std::int64_t best = 1;
  for (std::int64_t pieces = 2; pieces <= stream.tiles && pieces * stream.items <= most;
       pieces *= 2)
    if (microseconds_of(tiling, stream, pieces) < microseconds_of(tiling, stream, best))
      best = pieces;
  return stream.items * best;
}

}  // namespace streamattn
