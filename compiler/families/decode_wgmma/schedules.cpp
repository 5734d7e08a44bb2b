// Schedules of decode_wgmma kernels.
#include <llvm/ADT/STLExtras.h>

#include <algorithm>
#include <utility>

#include "compiler/families/decode_wgmma/decode_wgmma.h"
#include "compiler/families/packing.h"

namespace streamattn {
namespace {

constexpr int most_rows = 64;

// Up to so many queries the rows of a KV head are few, and reading its keys is what takes the time.
constexpr std::int64_t most_queries = 16;

std::int64_t rows_of_head(const Problem& problem, const Shape& shape) {
  return std::max<std::int64_t>(shape.q_len, 1) * problem.group_size;
}

// Rows of an item, `most` at most, where all items of a KV head have about as many.
int equal_rows(const Problem& problem, const Shape& shape, int most) {
  const std::int64_t rows = rows_of_head(problem, shape), items = (rows + most - 1) / most;
  return static_cast<int>(((rows + items - 1) / items + 7) / 8 * 8);
}

// The order in which they are tried: two blocks hide each other's waits, if each has two stages at
// least; then as many stages as there is memory for.
template <class Visit>
void for_each_schedule(const Problem& problem, const Shape& shape, const Target& target,
                       Visit&& visit) {
  int last = 0;
  for (int most = most_rows; most >= 8; most -= 8) {
    const int rows = equal_rows(problem, shape, most);
    if (std::exchange(last, rows) == rows) continue;
    for (const int blocks : {2, 1})
      for (int stages = 6; stages >= 2; stages--) {
        const DecodeSchedule schedule{.tile_q = rows, .stages = stages, .blocks_per_sm = blocks};
        if (decode_refusal(problem, schedule, target).empty()) visit(schedule);
      }
  }
}

// Whether the rows of a KV head are few: other families take no sequences that differ, but with
// more than 16 rows the softmax, which nothing overlaps here, takes longer than loading keys. That
// matters least with many items, and where no other family packs the rows of all heads.
bool is_worth_it(const Problem& problem, const Shape& shape, const Target& target) {
  constexpr int one_fragment = 16, two_fragments = 32;
  if (problem.is_ragged()) return true;
  const std::int64_t rows = rows_of_head(problem, shape);
  if (shape.q_len < 1 || shape.q_len > most_queries || rows > most_rows) return false;
  if (rows <= one_fragment || packable_heads(problem) < problem.group_size) return true;
  return rows <= two_fragments && 2 * shape.batch * shape.kv_heads >= target.sm_count;
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
  const std::int64_t tiles_of_piece = (stream.tiles + pieces - 1) / pieces;
  const double stream_bytes = tile_bytes * static_cast<double>(stream.items * stream.tiles);
  const double merge = pieces == 1 ? 0 : piece * static_cast<double>(pieces);
  return std::max(static_cast<double>(tiles_of_piece) * tile, stream_bytes / memory) + merge;
}

}  // namespace

std::optional<Schedule> decode_first_guess(const Problem& problem, const Shape& shape,
                                           const Target& target) {
  if (!is_worth_it(problem, shape, target)) return {};
  std::optional<Schedule> first;
  for_each_schedule(problem, shape, target, [&](const DecodeSchedule& schedule) {
    if (!first) first = to_schedule(schedule);
  });
  return first;
}

std::vector<Schedule> decode_schedules(const Problem& problem, const Shape& shape,
                                       const Target& target) {
  std::vector<Schedule> all;
  if (!is_worth_it(problem, shape, target)) return all;
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
