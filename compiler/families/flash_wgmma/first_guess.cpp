// The schedules that flash_wgmma tries first.
#include <llvm/ADT/STLExtras.h>

#include <algorithm>
#include <utility>

#include "compiler/expr/build.h"
#include "compiler/expr/evaluate.h"
#include "compiler/expr/key_ranges.h"
#include "compiler/expr/node.h"
#include "compiler/expr/score_policy.h"
#include "compiler/expr/tile_policy.h"
#include "compiler/families/flash_wgmma/flash_wgmma.h"
#include "compiler/families/packing.h"

namespace streamattn {
namespace {

// Query tiles, of 128 rows.
std::int64_t query_tiles(const Problem& problem, const Shape& shape) {
  return shape.batch * shape.kv_heads * problem.group_size * ((shape.q_len + 127) / 128);
}

/// How far a query sees, where that decides.
enum class Reach {
  far,     // in proportion to the sequence
  near,    // a window, its own chunk: what is seen begins at a place that moves with the query
  narrow,  // no more than a few hundred keys, whatever the call
};

Reach reach_of(const Expr& mask) {
  constexpr std::int64_t far_out = 1 << 20, queries = 128, narrow = 512;
  const KeyRanges ranges(mask);
  const bool moves = llvm::any_of(ranges.seen, [](const KeyRange& range) {
    return range.begin.node().uses_variable(Variable::q_first) ||
           range.begin.node().uses_variable(Variable::q_end);
  });
  if (!moves) return Reach::far;
  std::int64_t keys = 0;
  for (const KeyRange& range : ranges.seen) {
    if (range.begin.node().has_names || range.end.node().has_names) return Reach::near;
    const ExprPoint point{.q_first = far_out, .q_end = far_out + queries};
    keys += std::max<std::int64_t>(
        integer_at(range.end, point) - std::max<std::int64_t>(integer_at(range.begin, point), 0),
        0);
  }
  return keys <= narrow ? Reach::narrow : Reach::near;
}

/// Whether an element of a query and a key together takes part: a map of blocks in a mask, a bias
/// in a score.
bool has_pair_element(const Expr& expression) {
  bool found = false;
  for_each_node(expression, [&](const Expr& part) {
    found = found || (part.node().op == ExprOp::element && part.node().uses_variable(Variable::q) &&
                      part.node().uses_variable(Variable::k));
  });
  return found;
}

// Whether heads of a group go together because items of later queries are longer: tiles of fewer
// queries end nearer to what they see. Measured where no more than four go together, up to 128
// columns.
bool packs_growing_items(const Problem& problem, const Shape& shape) {
  return flash_items_grow(problem) && 2 * shape.q_len >= shape.kv_len &&
         packable_heads(problem) > 1 && std::max(problem.head_dim, problem.v_head_dim()) <= 128;
}

/// What guesses differ in; the rest follows from the problem.
struct Guess {
  int warpgroups, tile_kv, stages = 2;
  bool ping_pong = true, q_in_registers = false;
  Softmax softmax = Softmax::stale;
  int o_passes = 1;  // 0: O goes over Q
  bool split_keys = false;
};

constexpr auto exact = Softmax::exact, stale = Softmax::stale;
constexpr bool turns = true, no_turns = false, q_in_registers = true, q_in_memory = false;
constexpr bool split = true;
constexpr int over_q = 0, in_halves = 2;  // passes of O

// Short rows wait for memory, and for the next item, more than warpgroups for each other: many
// loads under way, no turns, and keys that fit a tile or two. Where even halves of the usual tiles
// leave multiprocessors idle, halves.
void add_for_short_rows(const Problem& problem, const Shape& shape, const Target& target,
                        std::vector<Guess>& list) {
  constexpr std::int64_t one_tile = 128, two_tiles = 256, short_row = 512, longer_row = 1024;
  const int widest = std::max(problem.head_dim, problem.v_head_dim());
  const std::int64_t keys = shape.kv_len;
  const auto tile = [&](std::int64_t parts) {
    return static_cast<int>((keys + 16 * parts - 1) / (16 * parts) * 16);
  };
  if (keys <= short_row && 2 * query_tiles(problem, shape) <= target.sm_count) {
    if (widest <= 128) list.push_back({1, tile(2), 2, no_turns, q_in_memory, exact});
    list.push_back({1, 80, 2, no_turns, q_in_memory, exact});
  }
  if (keys <= two_tiles && widest <= 128) {
    const bool is_small = widest <= 64;
    if (problem.mask.node().is_constant() && keys > one_tile)
      list.push_back({2, tile(is_small ? 1 : 2), 2, no_turns, q_in_registers, exact});
    list.push_back({2, 64, is_small ? 4 : 3, no_turns, q_in_registers, exact});
  }
  if (problem.mask.node().is_constant() && keys <= short_row && widest <= 128)
    list.push_back({3, widest <= 64 ? 64 : 48, 4, turns, q_in_registers});
  if (!flash_items_grow(problem)) return;
  if (keys <= longer_row && widest <= 64) list.push_back({3, 64, 4, no_turns, q_in_registers});
  if (keys <= longer_row && keys > short_row && widest <= 128)
    list.push_back({2, 64, 4, turns, q_in_registers});
  if (keys > short_row) return;
  if (widest <= 128) list.push_back({2, 64, 4, no_turns, q_in_registers});
  list.push_back({2, 64, 2, no_turns, q_in_memory, stale, in_halves});
}

// Guesses in the order in which they are tried, after what won on an H200 (docs/flash_wgmma.md):
// the most query rows that registers allow, since every key tile is then read for more of them;
// with few tiles to hand out, two warpgroups and a wide key tile instead.
std::vector<Guess> guesses(const Problem& problem, const Shape& shape, const Target& target) {
  std::vector<Guess> list;
  const auto add = [&](const Guess& guess) { list.push_back(guess); };
  const bool is_small = problem.v_head_dim() <= 64;
  add_for_short_rows(problem, shape, target, list);

  // Where a query tile sees little of the keys, small tiles waste less at the ends of what it sees.
  const Reach reach = reach_of(problem.mask);
  const bool by_data = is_data_dependent(problem.mask);
  if (reach == Reach::narrow) {
    if (is_small) add({3, 64, 6, no_turns, q_in_registers});
    add({2, 64, 4, turns, q_in_registers});
    add({2, 64, 3});
  }
  // Elements of a tensor are read in vectors where a tile has a multiple of 32 keys.
  if (has_pair_element(problem.score)) {
    if (is_small) add({3, 96, 3});
    add({2, 96, 3, turns, q_in_registers, exact});
    add({2, 64, 3, turns, q_in_registers, exact});
    add({2, 64});
  }
  if (reach == Reach::near && !by_data) add({3, 64, 3});
  // The walk over lists takes registers; where a map of blocks decides, tiles should be blocks.
  if (by_data && !has_pair_element(problem.mask)) add({3, 64, 3});
  constexpr std::int64_t few_tiles = 1024, very_few_tiles = 512, medium_row = 4096;
  const bool has_small_items = is_small || packs_growing_items(problem, shape);
  if (query_tiles(problem, shape) < (has_small_items ? very_few_tiles : few_tiles))
    add({2, 128, 2, turns, q_in_registers});
  if (!is_small && problem.v_head_dim() <= 112)
    for (const bool q_stays : {q_in_registers, q_in_memory}) add({3, 96, 3, turns, q_stays});
  if (flash_items_grow(problem) && shape.kv_len <= medium_row) {
    if (is_small) add({3, 96, 3, turns, q_in_registers, exact});
    if (problem.v_head_dim() > 128) add({2, 64, 3, turns, q_in_memory, stale, over_q});
    add({3, 64, 3});
  }
  if (is_small) {
    if (shape.kv_len <= medium_row / 2) add({3, 96, 3, turns, q_in_registers, exact});
    add({3, 128, 2, turns, q_in_memory, exact});
  }
  // Pages are most often of 16, 32 or 64 keys: these make the fewest boxes of a tile.
  if (problem.kv_layout == SequenceLayout::paged) add({3, 64, 3});
  add({3, 112});
  if (!problem.mask.node().is_constant()) add({3, 80, 3});
  add({3, 80});
  add({2, 128, 2, turns, q_in_registers});
  add({2, 128});
  for (const int o_passes : {in_halves, over_q})
    add({2, 112, 2, turns, q_in_memory, stale, o_passes});
  for (const int o_passes : {in_halves, over_q})
    add({2, 64, 2, turns, q_in_memory, stale, o_passes});
  // Where O's chunks are not those of Q.
  add({2, 64});
  add({2, 48});
  // Where wide values, dropout, lists and elements of tensors take the registers.
  add({2, 32});
  add({2, 16});
  // Of few rows.
  add({1, 96, 3, no_turns, q_in_registers});
  return list;
}

// Where blocks share the keys of a query tile. Pages have few boxes in 64 keys, many in 80.
std::vector<Guess> split_guesses(const Problem& problem) {
  const bool is_paged = problem.kv_layout == SequenceLayout::paged;
  const int keys = is_paged ? 64 : 80, stages = is_paged ? 3 : 2;
  return {{2, 128, 2, turns, q_in_registers, stale, over_q, split},
          {3, keys, stages, turns, q_in_memory, stale, over_q, split},
          {2, 128, 2, turns, q_in_memory, stale, over_q, split},
          {2, keys, stages, turns, q_in_memory, stale, over_q, split},
          {2, 64, 2, turns, q_in_memory, stale, over_q, split},
          {1, 64, 6, no_turns, q_in_registers, stale, over_q, split},
          {2, 32, 4, turns, q_in_memory, stale, over_q, split}};
}

// Heads of a group go together where this leaves fewer rows of tiles empty, and where a query sees
// few keys: a tile of fewer queries sees fewer that are not common to all.
int packed_heads(const Guess& guess, const Problem& problem, const Shape& shape) {
  const int most = packable_heads(problem);
  if (most == 1) return 1;
  if (reach_of(problem.mask) == Reach::narrow || packs_growing_items(problem, shape)) return most;
  const std::int64_t tile = 64 * guess.warpgroups;
  const auto rows_of_tiles = [&](std::int64_t heads) {
    const std::int64_t tiles = (shape.q_len * heads + tile - 1) / tile;
    return static_cast<double>(tiles * tile) / static_cast<double>(heads);
  };
  constexpr double clearly = 0.9;
  return rows_of_tiles(most) < clearly * rows_of_tiles(1) ? most : 1;
}

FlashSchedule schedule_of(const Guess& guess, const Problem& problem, const Shape& shape) {
  return {.tile_q = 64 * guess.warpgroups,
          .tile_kv = guess.tile_kv,
          .stages = guess.stages,
          .math_warpgroups = guess.warpgroups,
          .ping_pong = guess.ping_pong,
          .q_in_registers = guess.q_in_registers,
          .o_buffer = guess.o_passes > 0,
          .o_passes = std::max(guess.o_passes, 1),
          .split_keys = guess.split_keys,
          .key_lists = is_data_dependent(problem.mask) && !problem.is_ragged(),
          .packed_heads = packed_heads(guess, problem, shape),
          // Only beside a reference that stays is a cap worked out under exponentials.
          .softmax = argument_of_cap(problem.score) ? stale : guess.softmax};
}

// Whether a head has so few rows that a warpgroup of its only tile gets none.
bool has_idle_warpgroup(const FlashSchedule& schedule, const Shape& shape) {
  return flash_rows(schedule, shape) <= schedule.tile_q - 64;
}

// Whether some multiprocessors would be idle, heads going together where they may, and a row has
// keys enough that sharing them out may pay for the kernel that merges.
bool may_split(const Problem& problem, const Shape& shape, const Target& target) {
  constexpr std::int64_t keys_for_quarters = 1024, keys_for_halves = 4096;
  const int heads = packable_heads(problem);
  const std::int64_t packs = shape.batch * shape.kv_heads * problem.group_size / heads;
  const std::int64_t tiles = packs * ((shape.q_len * heads + 127) / 128);
  const bool most_are_idle = 4 * tiles <= target.sm_count;
  return tiles > 0 && tiles < target.sm_count &&
         shape.kv_len >= (most_are_idle ? keys_for_quarters : keys_for_halves);
}

}  // namespace

std::vector<FlashSchedule> flash_guesses(const Problem& problem, const Shape& shape,
                                         const Target& target) {
  std::vector<FlashSchedule> whole, in_shares;
  const auto add_legal = [&](const std::vector<Guess>& from, std::vector<FlashSchedule>& to) {
    for (const bool idles : {false, true})
      for (const Guess& guess : from)
        if (const FlashSchedule schedule = schedule_of(guess, problem, shape);
            has_idle_warpgroup(schedule, shape) == idles &&
            flash_refusal(problem, schedule, target).empty())
          to.push_back(schedule);
  };
  add_legal(guesses(problem, shape, target), whole);
  if (!may_split(problem, shape, target)) return whole;
  add_legal(split_guesses(problem), in_shares);
  const auto microseconds = [&](const FlashSchedule& schedule) {
    return flash_estimate(problem, to_schedule(schedule), shape, target).microseconds;
  };
  // The model decides where it is sure.
  constexpr double clearly = 0.9;
  for (std::size_t i = 1; i < in_shares.size() && !has_idle_warpgroup(in_shares[i], shape); i++)
    if (microseconds(in_shares[i]) < clearly * microseconds(in_shares.front()))
      std::swap(in_shares.front(), in_shares[i]);
  const bool pays =
      !in_shares.empty() &&
      (whole.empty() || microseconds(in_shares.front()) < clearly * microseconds(whole.front()));
  whole.insert(pays ? whole.begin() : whole.end(), in_shares.begin(), in_shares.end());
  return whole;
}

std::optional<Schedule> flash_first_guess(const Problem& problem, const Shape& shape,
                                          const Target& target) {
  const std::vector<FlashSchedule> all = flash_guesses(problem, shape, target);
  if (all.empty()) return {};
  return to_schedule(all.front());
}

}  // namespace streamattn
