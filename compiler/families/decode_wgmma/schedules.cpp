// Schedules of decode_wgmma kernels.
#include <llvm/ADT/STLExtras.h>

#include <algorithm>
#include <array>
#include <utility>

#include "compiler/families/decode_wgmma/decode_wgmma.h"
#include "compiler/families/packing.h"

namespace streamattn {
namespace {

constexpr int most_rows = 64, most_stages = 6;

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

// Whether there are fewer items than multiprocessors, so that blocks share them.
bool has_few_items(const Shape& shape, const Target& target) {
  return shape.batch * shape.kv_heads < target.sm_count;
}

// The order in which they are tried: two blocks hide each other's waits, if each has two stages at
// least; then as many stages as there is memory for. An early start gains up to 0.5 us where blocks
// find room beside those of the kernel in front, and takes 1.5 % of what fills the card.
template <class Visit>
void for_each_schedule(const Problem& problem, const Shape& shape, const Target& target,
                       Visit&& visit) {
  int last = 0;
  for (int most = most_rows; most >= 8; most -= 8) {
    const int rows = equal_rows(problem, shape, most);
    if (std::exchange(last, rows) == rows) continue;
    for (const int blocks : {2, 1})
      for (int stages = most_stages; stages >= 2; stages--) {
        const DecodeSchedule schedule{.tile_q = rows,
                                      .stages = stages,
                                      .blocks_per_sm = blocks,
                                      .early_start = blocks > 1 && has_few_items(shape, target)};
        if (decode_refusal(problem, schedule, target).empty()) visit(schedule);
      }
  }
}

// Where pages hold the keys: items of more rows than one of these would read keys once for every 64
// of them. At best these do 100 TFLOP/s of an H200, by its 86 us for 8 queries of 64/8 heads and
// 32K keys; flash_wgmma about six times as many once every multiprocessor has a tile of 128 rows,
// or a share of the keys of one. Shares take two kernels more, about as long as 16K keys of such a
// tile take here.
bool pages_are_worth_it(const Problem& problem, const Shape& shape, const Target& target) {
  constexpr std::int64_t tile_rows = 128, times_as_fast = 6, keys_for_shares = 16384;
  const std::int64_t rows = rows_of_head(problem, shape);
  const std::int64_t tiles = shape.batch * shape.kv_heads * ((rows + tile_rows - 1) / tile_rows);
  return rows <= most_rows ||
         (times_as_fast * tiles < target.sm_count && tiles * shape.kv_len < keys_for_shares);
}

// Whether the rows of a KV head are few: with more than 16 rows the softmax, which nothing overlaps
// here, takes longer than loading keys. That matters least with many items, and where no other
// family packs the rows of all heads. Where sequences differ no other was timed on few queries.
bool is_worth_it(const Problem& problem, const Shape& shape, const Target& target) {
  constexpr int one_fragment = 16, two_fragments = 32;
  if (problem.kv_layout == SequenceLayout::paged) return pages_are_worth_it(problem, shape, target);
  if (problem.is_ragged()) return shape.q_len <= most_queries;
  const std::int64_t rows = rows_of_head(problem, shape);
  if (shape.q_len < 1 || shape.q_len > most_queries || rows > most_rows) return false;
  if (rows <= one_fragment || packable_heads(problem) < problem.group_size) return true;
  return rows <= two_fragments && 2 * shape.batch * shape.kv_heads >= target.sm_count;
}

// Shares of the stream that run at once with so many blocks on a multiprocessor. Clusters do not
// reach over the parts of a GPU: measured on an H200 of 132 multiprocessors, 30 of 4 blocks, 15
// of 8 and 7 of 16 are resident at a block a multiprocessor, 62, 30 and 14 at two.
std::int64_t resident_shares(int cluster, int blocks_per_sm, int sms) {
  const int within_parts = cluster <= 2 ? sms : sms * 10 / 11;
  return std::max(blocks_per_sm * (within_parts / cluster), 1);
}

// What a merge takes of `pieces` of an item. In the memory of the device: fitted to rounds on an
// H200, docs/decode.md. Within a cluster: 0.8 us were measured at 4 KB of O, and that clusters
// which then merge in memory take 1.8 us more for it; that more leaves a block at 25 KB a
// microsecond is assumed.
double microseconds_of_merge(const DecodeTiling& tiling, std::int64_t pieces) {
  const double elements = tiling.rows * tiling.value_head_dim;
  const double piece = 0.13 + 1e-4 * elements / tiling.cluster;
  const double in_memory = pieces == 1 ? 0 : piece * static_cast<double>(pieces);
  if (tiling.cluster == 1) return in_memory;
  return 0.65 + elements * sizeof(float) / 25e3 + (pieces == 1 ? 0 : 1.8 + in_memory);
}

// What a launch takes in `pieces` of every item, but for what does not depend on it: tiles one
// after the other or all at the speed of memory, and a merge. Fitted to rounds on an H200,
// docs/decode.md.
double microseconds_of(const DecodeTiling& tiling, const KeyStream& stream, std::int64_t pieces) {
  constexpr double memory = 4.3e6;  // bytes a microsecond
  const double tile_bytes = tiling.k_bytes() + tiling.v_bytes();
  const double smaller_loads = stream.box_rows == 0 ? 6.5 : stream.box_rows < 64 ? 1.7 : 1;
  const double tile = smaller_loads * (0.1 + 1.3e-5 * tile_bytes);
  const std::int64_t parts = pieces * tiling.cluster;
  const std::int64_t tiles_of_block = (stream.tiles + parts - 1) / parts;
  const double stream_bytes = tile_bytes * static_cast<double>(stream.items * stream.tiles);
  return std::max(static_cast<double>(tiles_of_block) * tile, stream_bytes / memory) +
         microseconds_of_merge(tiling, pieces);
}

// Where loads are small, two blocks of a multiprocessor load more.
std::int64_t most_shares(const DecodeSchedule& schedule, const KeyStream& stream, int sms) {
  const int blocks_of_sm = stream.box_rows == 0 ? schedule.blocks_per_sm : 1;
  return resident_shares(schedule.cluster, blocks_of_sm, sms);
}

// As many pieces to every item, so that no share has part of two where all are equal.
std::int64_t pieces_of_item(const DecodeTiling& tiling, const DecodeSchedule& schedule,
                            const KeyStream& stream, int sms) {
  const std::int64_t most = most_shares(schedule, stream, sms);
  std::int64_t best = 1;
  for (std::int64_t pieces = 2;
       pieces * schedule.cluster <= stream.tiles && pieces * stream.items <= most; pieces *= 2)
    if (microseconds_of(tiling, stream, pieces) < microseconds_of(tiling, stream, best))
      best = pieces;
  return best;
}

// Clusters are for few items of equal length, whose pieces all blocks have at once: sequences that
// differ are as long as only the device knows. Small loads of pages want more blocks than clusters
// leave: one sequence of 8192 keys in pages of one key took 37 us in them and 26 without.
bool may_have_clusters(const Problem& problem, const Shape& shape, const Target& target) {
  return target.has_clusters && (!problem.is_ragged() || shape.batch == 1) &&
         problem.kv_layout != SequenceLayout::paged && has_few_items(shape, target);
}

constexpr std::array cluster_sizes = {2, 4, 8, 16};
constexpr int most_portable = 8;  // blocks of a cluster that every device has room for

// The same in clusters, with as many stages as are left room for; none without two.
std::optional<DecodeSchedule> in_clusters(const Problem& problem, DecodeSchedule schedule,
                                          int cluster, const Target& target) {
  for (schedule.cluster = cluster; schedule.stages >= 2; schedule.stages--)
    if (decode_refusal(problem, schedule, target).empty()) return schedule;
  return {};
}

// The same where a multiprocessor has one block of the clusters, and nobody loads beside it: with
// two stages that took 56 us for 16 rows of 8 KV heads over 32K keys, and 46 with six, for which it
// has the multiprocessor to itself.
std::optional<DecodeSchedule> alone_in_clusters(const Problem& problem, DecodeSchedule schedule,
                                                int cluster, const Target& target) {
  constexpr int enough_stages = 3;
  const auto shared = in_clusters(problem, schedule, cluster, target);
  if (shared && shared->stages >= enough_stages) return shared;
  schedule.blocks_per_sm = 1;
  schedule.stages = most_stages;
  schedule.early_start = false;
  const auto alone = in_clusters(problem, schedule, cluster, target);
  return alone ? alone : shared;
}

/// The stream of a call whose items have `keys` keys each.
KeyStream stream_of(const Problem& problem, const DecodeSchedule& schedule, const Shape& shape,
                    std::int64_t keys) {
  const std::int64_t rows = rows_of_head(problem, shape);
  return {.items = shape.batch * shape.kv_heads * ((rows + schedule.tile_q - 1) / schedule.tile_q),
          .tiles =
              std::max<std::int64_t>((keys + DecodeTiling::tile_kv - 1) / DecodeTiling::tile_kv, 1),
          .box_rows = DecodeTiling::tile_kv};
}

// By the model.
double microseconds_of(const Problem& problem, const DecodeSchedule& schedule, const Shape& shape,
                       const Target& target) {
  const KeyStream stream = stream_of(problem, schedule, shape, shape.kv_len);
  const DecodeTiling tiling = decode_tiling(problem, schedule);
  return microseconds_of(tiling, stream, pieces_of_item(tiling, schedule, stream, target.sm_count));
}

// What the products and the softmax of so many tiles take on all multiprocessors, whatever their
// loads do: fitted to 54 and 86 us of 4 and 8 queries of 64/8 heads of 128 columns and 32K keys on
// an H200, docs/decode.md. In proportion to columns is assumed.
double microseconds_of_arithmetic(const DecodeTiling& tiling, std::int64_t tiles, int sms) {
  constexpr double of_tile = 0.71, of_row = 0.032, columns = 256;
  const double width = (tiling.head_dim + tiling.value_head_dim) / columns;
  return static_cast<double>(tiles) / sms * width * (of_tile + of_row * tiling.rows);
}

// Of a launch with this schedule.
std::int64_t pieces_at_launch(const DecodeTiling& tiling, const DecodeSchedule& schedule,
                              const KeyStream& stream, int sms) {
  if (stream.items == 0) return 1;
  if (tiling.split > 0) return stream.places(tiling.split) / stream.items;
  const std::int64_t shares = decode_blocks(tiling, schedule, stream, sms) / schedule.cluster;
  return std::max<std::int64_t>(shares / stream.items, 1);
}

std::optional<DecodeSchedule> guess(const Problem& problem, const Shape& shape,
                                    const Target& target) {
  std::optional<DecodeSchedule> best;
  for_each_schedule(problem, shape, target, [&](const DecodeSchedule& schedule) {
    if (!best) best = schedule;
  });
  if (!best || !may_have_clusters(problem, shape, target)) return best;
  constexpr double worth = 0.98;  // less is not told apart by the model
  const DecodeSchedule alone = *best;
  double least = worth * microseconds_of(problem, alone, shape, target);
  for (const int cluster : cluster_sizes) {
    if (cluster > most_portable) continue;
    const auto schedule = alone_in_clusters(problem, alone, cluster, target);
    if (!schedule) continue;
    const double time = microseconds_of(problem, *schedule, shape, target);
    if (time < least) best = schedule, least = time;
  }
  return best;
}

}  // namespace

std::optional<Schedule> decode_first_guess(const Problem& problem, const Shape& shape,
                                           const Target& target) {
  if (!is_worth_it(problem, shape, target)) return {};
  const auto first = guess(problem, shape, target);
  return first ? std::optional(to_schedule(*first)) : std::nullopt;
}

std::vector<Schedule> decode_schedules(const Problem& problem, const Shape& shape,
                                       const Target& target) {
  std::vector<Schedule> all;
  const auto first = decode_first_guess(problem, shape, target);
  if (!first) return all;
  all.push_back(*first);
  const auto add = [&](const DecodeSchedule& schedule) {
    if (const Schedule other = to_schedule(schedule); !llvm::is_contained(all, other))
      all.push_back(other);
  };
  for_each_schedule(problem, shape, target, add);
  if (!may_have_clusters(problem, shape, target)) return all;
  // With as many stages as there is memory for.
  std::pair<int, int> last = {};
  for_each_schedule(problem, shape, target, [&](const DecodeSchedule& schedule) {
    const std::pair size = {schedule.tile_q, schedule.blocks_per_sm};
    if (std::exchange(last, size) == size) return;
    for (const int cluster : cluster_sizes)
      if (const auto clustered = in_clusters(problem, schedule, cluster, target)) add(*clustered);
  });
  return all;
}

Estimate decode_estimate(const Problem& problem, const Schedule& given, const Shape& shape,
                         const Target& target) {
  const auto schedule = settings_of<DecodeSchedule>(given);
  const DecodeTiling tiling = decode_tiling(problem, schedule);
  const std::int64_t keys =
      walked_keys(problem.mask, shape.kv_len - shape.q_len, shape.kv_len, shape.kv_len);
  const KeyStream stream = stream_of(problem, schedule, shape, keys);
  const std::int64_t tiles = stream.items * stream.tiles;
  const std::int64_t pieces = pieces_at_launch(tiling, schedule, stream, target.sm_count);
  const double element = bytes(problem.dtype), merged = pieces > 1 ? 2.0 * sizeof(float) : 0;
  const double rows =
      static_cast<double>(shape.batch * shape.kv_heads * rows_of_head(problem, shape));
  return {.registers = decode_registers_needed(problem, schedule),
          .smem_bytes = tiling.bytes(),
          .traffic_bytes = static_cast<double>(tiles) * (tiling.k_bytes() + tiling.v_bytes()) +
                           rows * (problem.head_dim * element +
                                   problem.v_head_dim() * (bytes(problem.output_dtype()) +
                                                           merged * static_cast<double>(pieces))),
          .waves = static_cast<double>(stream.items * pieces * schedule.cluster) / target.sm_count,
          .microseconds = std::max(microseconds_of(tiling, stream, pieces),
                                   microseconds_of_arithmetic(tiling, tiles, target.sm_count))};
}

std::int64_t decode_blocks(const DecodeTiling& tiling, const DecodeSchedule& schedule,
                           const KeyStream& stream, int sms) {
  const std::int64_t cluster = schedule.cluster;
  const std::int64_t resident = resident_shares(schedule.cluster, schedule.blocks_per_sm, sms);
  const std::int64_t places = stream.places(tiling.grain());
  if (schedule.blocks > 0)
    return cluster *
           std::min({std::max(schedule.blocks / cluster, std::int64_t{1}), places, resident});
  // As many to every share: splits, or whole items.
  const auto equally = [&](std::int64_t count, std::int64_t most) {
    const std::int64_t each = (count + most - 1) / most;
    return cluster * ((count + each - 1) / each);
  };
  if (tiling.split > 0) return equally(places, most_shares(schedule, stream, sms));
  if (stream.items >= (cluster == 1 ? sms : resident)) return equally(stream.items, resident);
  return cluster * stream.items * pieces_of_item(tiling, schedule, stream, sms);
}

}  // namespace streamattn
