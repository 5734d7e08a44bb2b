// Schedules of flash_wgmma kernels, and what a launch makes of their knobs.
#include <llvm/ADT/STLExtras.h>

#include <algorithm>

#include "compiler/expr/build.h"
#include "compiler/expr/evaluate.h"
#include "compiler/expr/key_ranges.h"
#include "compiler/expr/node.h"
#include "compiler/expr/tile_policy.h"

#include "compiler/families/flash_wgmma/flash_wgmma.h"

namespace streamattn {
namespace {

// Keys from which on a split pays, and that a share has at least.
constexpr std::int64_t shortest_split = 1024;
constexpr std::int64_t shortest_share = 256;

// Whether so few query tiles, of 128 rows, see so many keys that sharing these out pays for the
// kernel that merges: three quarters of the multiprocessors would be idle. Measured:
// docs/flash_wgmma.md.
bool wants_split(const Problem& problem, const Shape& shape, const Target& target) {
  const std::int64_t heads = shape.batch * shape.kv_heads * problem.group_size;
  const std::int64_t items = heads * ((shape.q_len + 127) / 128);
  return items > 0 && 4 * items <= target.sm_count && shape.kv_len >= shortest_split;
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

// Guesses in the order in which they are tried, after what won on an H200 (docs/flash_wgmma.md):
// the most query rows that registers allow, since every key tile is then read for more of them;
// with few tiles to hand out, two warpgroups and a wide key tile instead, and with very few, split
// keys.
std::vector<FlashSchedule> guesses(const Problem& problem, const Shape& shape,
                                   const Target& target) {
  std::vector<FlashSchedule> list;
  auto add = [&](int warpgroups, int tile_kv, auto change) {
    FlashSchedule schedule{.tile_q = 64 * warpgroups,
                           .tile_kv = tile_kv,
                           .math_warpgroups = warpgroups,
                           .o_buffer = true,
                           .key_lists = is_data_dependent(problem.mask),
                           .softmax = Softmax::stale};
    change(schedule);
    list.push_back(schedule);
  };
  auto as_it_is = [](FlashSchedule&) {};
  auto exact = [](FlashSchedule& s) { s.softmax = Softmax::exact; };
  auto q_in_registers = [](FlashSchedule& s) { s.q_in_registers = true; };
  auto o_in_halves = [](FlashSchedule& s) { s.o_passes = 2; };
  auto o_over_q = [](FlashSchedule& s) { s.o_buffer = false; };

  auto in_three_stages = [](FlashSchedule& s) { s.stages = 3; };
  auto exact_in_three_stages_q_in_registers = [](FlashSchedule& s) {
    s.stages = 3, s.q_in_registers = true, s.softmax = Softmax::exact;
  };
  auto in_four_stages_q_in_registers = [](FlashSchedule& s) {
    s.stages = 4, s.q_in_registers = true;
  };
  auto q_in_registers_without_turns = [](FlashSchedule& s) {
    s.q_in_registers = true, s.ping_pong = false, s.softmax = Softmax::exact;
  };
  auto in_four_stages_without_turns = [](FlashSchedule& s) {
    s.stages = 4, s.q_in_registers = true, s.ping_pong = false, s.softmax = Softmax::exact;
  };
  auto in_six_stages_without_turns = [](FlashSchedule& s) {
    s.stages = 6, s.q_in_registers = true, s.ping_pong = false;
  };

  auto split = [](FlashSchedule& s) { s.split_keys = true, s.o_buffer = false; };
  auto split_q_in_registers = [](FlashSchedule& s) {
    s.split_keys = s.q_in_registers = true, s.o_buffer = false;
  };

  if (wants_split(problem, shape, target)) {
    add(2, 128, split_q_in_registers);
    add(2, 128, split);
    add(2, 80, split);
    add(2, 64, split);
  }
  // Short rows wait for memory: two warpgroups and many loads under way, and keys that fit a tile
  // in one.
  constexpr std::int64_t short_row = 256, two_tiles = 128;
  if (shape.kv_len <= short_row && std::max(problem.head_dim, problem.v_head_dim()) <= 64) {
    if (problem.mask.node().is_constant() && shape.kv_len > two_tiles)
      add(2, static_cast<int>((shape.kv_len + 15) / 16 * 16), q_in_registers_without_turns);
    add(2, 64, in_four_stages_without_turns);
  }
  std::int64_t heads = shape.batch * shape.kv_heads * problem.group_size;
  bool few_tiles = heads * ((shape.q_len + 127) / 128) < 1024;
  // Where a query tile sees little of the keys, small tiles waste less at the ends of what it sees.
  const Reach reach = reach_of(problem.mask);
  const bool by_data = is_data_dependent(problem.mask);
  if (reach == Reach::narrow) {
    if (problem.v_head_dim() <= 64) add(3, 64, in_six_stages_without_turns);
    add(2, 64, in_four_stages_q_in_registers);
    add(2, 64, in_three_stages);
  }
  // Elements of a tensor are read in vectors where a tile has a multiple of 32 keys.
  if (has_pair_element(problem.score)) {
    if (problem.v_head_dim() <= 64) add(3, 96, in_three_stages);
    add(2, 96, exact_in_three_stages_q_in_registers);
    add(2, 64, exact_in_three_stages_q_in_registers);
    add(2, 64, as_it_is);
  }
  if (reach == Reach::near && !by_data) add(3, 64, in_three_stages);
  // The walk over lists takes registers; where a map of blocks decides, tiles should be blocks.
  if (by_data && !has_pair_element(problem.mask)) add(3, 64, in_three_stages);
  if (few_tiles) add(2, 128, q_in_registers);
  if (problem.v_head_dim() <= 64) add(3, 128, exact);
  add(3, 112, as_it_is);
  if (!problem.mask.node().is_constant()) add(3, 80, in_three_stages);
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

std::optional<Schedule> flash_first_guess(const Problem& problem, const Shape& shape,
                                          const Target& target) {
  for (const FlashSchedule& schedule : guesses(problem, shape, target))
    if (flash_refusal(problem, schedule, target).empty()) return to_schedule(schedule);
  return {};
}

std::vector<Schedule> flash_schedules(const Problem& problem, const Shape& shape,
                                      const Target& target) {
  std::vector<Schedule> legal;
  auto add = [&](const FlashSchedule& settings) {
    if (!flash_refusal(problem, settings, target).empty()) return;
    Schedule schedule = to_schedule(settings);
    if (!llvm::is_contained(legal, schedule)) legal.push_back(std::move(schedule));
  };
  for (const FlashSchedule& schedule : guesses(problem, shape, target)) add(schedule);
  const bool by_data = is_data_dependent(problem.mask);
  for_each_schedule([&](FlashSchedule schedule) {
    add(schedule);
    schedule.key_lists = by_data;
    if (by_data) add(schedule);
    schedule.split_keys = true;
    if (!schedule.o_buffer) add(schedule);  // split, O has no use for one
  });
  return legal;
}

int flash_splits(const FlashSchedule& schedule, const Shape& shape, std::int64_t items, int sms) {
  if (!schedule.split_keys) return 1;
  if (schedule.splits > 0) return schedule.splits;
  const std::int64_t fill = sms / std::max<std::int64_t>(items, 1);
  return static_cast<int>(std::max<std::int64_t>(std::min(fill, shape.kv_len / shortest_share), 1));
}

int flash_section_heads(const Problem& problem, const FlashSchedule& schedule, const Shape& shape,
                        int sms, std::int64_t l2_bytes) {
  std::int64_t heads = shape.batch * shape.kv_heads * problem.group_size;
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
  std::int64_t together = std::max<std::int64_t>(in_l2, sms / 4) * problem.group_size;
  std::int64_t q_tiles = (shape.q_len + schedule.tile_q - 1) / schedule.tile_q;
  std::int64_t balanced = 6 * sms / std::max<std::int64_t>(q_tiles, 1);
  // Under one bound, as a causal mask, items grow along the queries; under others they need not.
  bool grows = mask.op == ExprOp::at_most_zero;
  std::int64_t wanted = std::max<std::int64_t>(grows ? std::min(together, balanced) : together, 1);
  std::int64_t sections = std::max<std::int64_t>((heads + wanted / 2) / wanted, 1);
  return static_cast<int>(std::max<std::int64_t>((heads + sections - 1) / sections, 1));
}

}  // namespace streamattn
