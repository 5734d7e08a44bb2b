// What the compiler writes of expressions, as device code against the expressions themselves: a
// hundred random problems to a kernel, each a score policy and a tile policy.
#include <algorithm>
#include <bit>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "compiler/expr/bounds.h"
#include "compiler/expr/build.h"
#include "compiler/expr/derivative.h"
#include "compiler/expr/key_ranges.h"
#include "compiler/expr/score_policy.h"
#include "compiler/expr/tile_policy.h"
#include "emulator/device.h"
#include "emulator/global_memory.h"
#include "emulator/host_kernel.h"
#include "streamattn/error.h"
#include "tests/support/catch.h"
#include "tests/support/expr_block.h"
#include "tests/support/random_expr.h"
#include "tests/support/syntax_tree.h"

using namespace streamattn;

namespace {

constexpr int problems_of_kernel = 64, group_size = 2;
constexpr int queries = 9, keys = 16, columns = 8, most_ranges = KeyRanges::most, values = 8;

/// [low, high] of a value of a tile, as in templates/forward/key_lists.cuh.
struct Interval {
  int low, high;
};

/// What the kernel is told of a problem, and where its results go: floats, conditions as 0 and 1.
struct Task {
  ScoreParams score;
  int batch, head;
  int q_first, q_end, k_first, k_end;
  int product;  // bits of the product
  Interval rows[values], keys[values];
  int* kept;                  // [queries, keys]
  float* changed;             // [queries, keys]
  float* changed_by_queries;  // [queries, keys], of the transposed policy, as the next one
  float* slopes;
  int* ranges;  // [most_ranges, 2]: seen, then a full span, then can_see and sees_all
};
constexpr int ranges_of_task = 2 * most_ranges + 4;

// Task as device code knows it, and the kernel: thread i computes problem i.
constexpr const char* head_of_text = R"(
#include "forward/key_lists.cuh"

namespace streamattn {
struct Task {
  ScoreParams score;
  int batch, head;
  int q_first, q_end, k_first, k_end;
  int product;
  Interval rows[8], keys[8];
  int* kept;
  float* changed;
  float* changed_by_queries;
  float* slopes;
  int* ranges;
};

template <class Score>
SA_DEVICE void run_transposed(const Task& task) {
  WorkItem item = {0, task.head, task.batch, 0};
  Score score(task.score, item, Sequence());
  for (int q = task.q_first; q < task.q_first + 9; q += 3)
    for (int column = 0; column < 3; column++)
      for (int k = task.k_first; k < task.k_first + 16; k++) {
        int i = (q + column - task.q_first) * 16 + k - task.k_first;
        float x = __int_as_float(task.product), changed = x, slope = 1;
        if constexpr (Score::changes) changed = score.change(x, q, k, column, 0);
        if constexpr (Score::has_slope) slope = score.slope(x, q, k, column);
        store_global(task.changed_by_queries + i, changed * score.scale_log2);
        store_global(task.slopes + i, slope);
      }
}

template <class Score, class Tiles>
SA_DEVICE void run(const Task& task) {
  WorkItem item = {0, task.head, task.batch, 0};
  Sequence sequence;
  Score score(task.score, item, sequence);
  Tiles tiles(task.score, item, sequence);
  int i = 0;
  for (int q = task.q_first; q < task.q_first + 9; q++)
    for (int k = task.k_first; k < task.k_first + 16; k += 8)
      for (int column = 0; column < 8; column++, i++) {
        store_global(task.kept + i, int(score.keeps(q, k, column)));
        float x = __int_as_float(task.product);
        typename Score::template Elements<4> elements;
        const int rows[2] = {q, q};
        score.load(elements, rows, k + column);
        if (Score::through_tanh) {
          float factor = score.tangent_factor();
          x = tangent(factor * score.tangent_of(x, q, k, column, elements[0])) / factor;
        }
        if (Score::changes) x = score.change(x, q, k, column, elements[0]);
        store_global(task.changed + i, x * score.scale_log2);
      }
  Span q = {task.q_first, task.q_end}, k = {task.k_first, task.k_end};
  for (int n = 0; n < 4; n++) {
    Span seen = {0, 0};
    if (n < Score::range_count) seen = score.seen(n, q);
    store_global(task.ranges + 2 * n, seen.begin);
    store_global(task.ranges + 2 * n + 1, seen.end);
  }
  Span full = score.full(q, k);
  store_global(task.ranges + 8, full.begin);
  store_global(task.ranges + 9, full.end);
  store_global(task.ranges + 10, int(tiles.can_see(q, k, task.rows, task.keys)));
  store_global(task.ranges + 11, int(tiles.sees_all(q, k, task.rows, task.keys)));
}
}

struct Params {
  streamattn::Task tasks[64];
};
)";

/// A problem, a block of pairs, and what the device said of them.
struct Trial {
  Problem problem;
  ExprNames names;
  ExprBlock block;
  RandomValues given;
  NamedValues host;
  float product = 0;
  std::vector<int> kept = std::vector<int>(queries * keys);
  std::vector<float> changed = std::vector<float>(queries * keys);
  std::vector<float> changed_by_queries = changed, slopes = changed;
  std::vector<int> ranges = std::vector<int>(ranges_of_task);

  std::string describe() const {
    return problem.mask.text() + "; " + problem.score.text() + "; " + block.describe() +
           ", window " + std::to_string(given.window) + ", n " + std::to_string(given.n);
  }
};

/// Whether all integers on the way are small enough that nothing can leave 32 bits.
bool stays_small(const Expr& expr, const Trial& trial) {
  bool small = true;
  for_each_node(expr, [&](const Expr& part) {
    if (part.type() != ExprType::integer || part.node().uses_variable(Variable::score)) return;
    for (const std::int64_t value :
         all_values<std::int64_t>(part, trial.block, trial.names, trial.host))
      small = small && std::abs(value) < 1 << 28;
  });
  return small;
}

Trial drawn(std::uint64_t seed) {
  for (;; seed += 1000003) {
    try {
      std::mt19937_64 random(seed);
      RandomExprs masks(seed, {.depth = 2 + static_cast<int>(seed % 4),
                               .has_reals = seed % 3 == 0,
                               .is_linear = seed % 5 == 0});
      RandomExprs scores(seed + 1, {.depth = 2 + static_cast<int>(seed % 3)});
      Problem problem{.group_size = group_size, .mask = masks.mask().expr()};
      problem.score = scores.score().expr();
      if (problem.score.type() != ExprType::real) continue;
      Trial trial{problem, ExprNames(problem), ExprBlock::random(random, keys),
                  RandomValues(random)};
      trial.block.at.q_end = trial.block.at.q_first + queries;
      trial.product = static_cast<float>(static_cast<int>(random() % 64) - 32) / 8;
      trial.host = trial.given.in_order_of(trial.names);
      if (TileValues(problem.mask).of_rows.size() > values ||
          TileValues(problem.mask).of_keys.size() > values)
        continue;
      derivative(problem.score, expr_names::score);
      if (stays_small(problem.mask, trial) && stays_small(problem.score, trial)) return trial;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::invalid_problem) throw;
    }
  }
}

Interval bounds_of(const Expr& value, const Trial& trial) {
  const auto all = all_values<std::int64_t>(value, trial.block, trial.names, trial.host);
  const auto [low, high] = std::ranges::minmax(all);
  return {static_cast<int>(low), static_cast<int>(high)};
}

/// Runs all trials in one kernel.
void run(std::vector<Trial>& trials) {
  std::string text = head_of_text;
  std::vector<Task> tasks(problems_of_kernel);
  emulator::GlobalMemory memory;
  std::vector<Tensor> outputs;
  std::string calls;
  for (std::size_t i = 0; i < trials.size(); i++) {
    Trial& trial = trials[i];
    const std::string number = std::to_string(i), space = "problem" + number;
    text += "namespace streamattn::" + space + " {\n" + score_policy(trial.problem) +
            tile_policy(trial.problem) + "namespace transposed {\n" +
            transposed_score_policy(trial.problem) + "}\n}\n";
    calls.append("  if (threadIdx.x == ").append(number);
    calls.append(") streamattn::run<streamattn::").append(space);
    calls.append("::ProblemScore, streamattn::").append(space);
    calls.append("::ProblemTiles>(params.tasks[").append(number).append("]);\n");
    calls.append("  if (threadIdx.x == ").append(number);
    calls.append(") streamattn::run_transposed<streamattn::").append(space);
    calls.append("::transposed::ProblemScore>(params.tasks[").append(number).append("]);\n");
    const ExprPoint& at = trial.block.at;
    Task& task = tasks[i];
    task = {.score = {.scale_log2 = 0.5F * 1.4426950408889634F,
                      .scale = 0.5F,
                      .q_len = static_cast<int>(at.q_len),
                      .kv_len = static_cast<int>(at.kv_len),
                      .named = trial.host},
            .batch = static_cast<int>(at.batch),
            .head = static_cast<int>(at.head),
            .q_first = static_cast<int>(at.q_first),
            .q_end = static_cast<int>(at.q_end),
            .k_first = static_cast<int>(at.k_first),
            .k_end = static_cast<int>(at.k_end),
            .product = std::bit_cast<int>(trial.product)};
    for (std::size_t n = 0; n < trial.names.tensors.size(); n++) {
      NamedTensor& tensor = task.score.named.tensors[n];
      TensorArg arg{.name = trial.names.tensors[n].name,
                    .data = tensor.data,
                    .dtype = trial.names.tensors[n].dtype,
                    .rank = trial.names.tensors[n].rank};
      std::copy_n(tensor.sizes, 4, arg.sizes.begin());
      std::copy_n(tensor.strides, 4, arg.strides.begin());
      tensor.data = memory.add_tensor(arg);
    }
    const TileValues tile_values(trial.problem.mask);
    for (std::size_t n = 0; n < tile_values.of_rows.size(); n++)
      task.rows[n] = bounds_of(tile_values.of_rows[n], trial);
    for (std::size_t n = 0; n < tile_values.of_keys.size(); n++)
      task.keys[n] = bounds_of(tile_values.of_keys[n], trial);
    const auto place = [&](void* data, int count) {
      return memory
          .add_tensor("results", Tensor::bshd(data, DType::f32, 1, 1, 1, count),
                      emulator::Role::output)
          .data;
    };
    task.kept = static_cast<int*>(place(trial.kept.data(), queries * keys));
    task.changed = static_cast<float*>(place(trial.changed.data(), queries * keys));
    task.changed_by_queries =
        static_cast<float*>(place(trial.changed_by_queries.data(), queries * keys));
    task.slopes = static_cast<float*>(place(trial.slopes.data(), queries * keys));
    task.ranges = static_cast<int*>(place(trial.ranges.data(), ranges_of_task));
  }
  text +=
      "extern \"C\" __global__ void __launch_bounds__(64, 1) "
      "streamattn_policies(const __grid_constant__ Params params) {\n" +
      calls + "}\n";
  const emulator::HostKernel kernel({.text = text,
                                     .entry = "streamattn_policies",
                                     .target = "sm_90a",
                                     .threads = problems_of_kernel,
                                     .parameter_bytes = sizeof(Task) * tasks.size()},
                                    {});
  const emulator::Command command = kernel.launch(1, tasks.data(), false);
  emulator::Device(memory, {}).run(std::span(&command, 1));
  memory.copy_back();
}

/// A score, or its slope, in double, of the product that the policy is given.
std::vector<double> values_of(const Expr& score, const Trial& trial) {
  const FlatExpr flat(score, trial.names);
  RowEvaluator<double> row(flat, trial.host);
  std::vector<double> all(queries * keys, trial.product * 0.5);
  ExprPoint at = trial.block.at;
  for (at.q = at.q_first; at.q < at.q_end; at.q++) {
    double* to = all.data() + (at.q - at.q_first) * keys;
    row.start(at);
    row.evaluate(at.k_first, keys, to, to);
  }
  return all;
}

/// Sums of floats in another order, or an element halfway between two results of a comparison, may
/// differ a little or, seldom, much.
bool is_near(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return true;
  return a == b || std::abs(a - b) <= 2e-3 * std::max({1.0, std::abs(a), std::abs(b)});
}

void check_mask(const Trial& trial) {
  const auto holds =
      all_values<std::uint8_t>(trial.problem.mask, trial.block, trial.names, trial.host);
  int differ = 0;
  bool has_reals = false;
  for_each_node(trial.problem.mask,
                [&](const Expr& part) { has_reals |= part.type() == ExprType::real; });
  for (int i = 0; i < queries * keys; i++) differ += static_cast<int>(holds[i] != trial.kept[i]);
  CHECK(differ <= (has_reals ? queries * keys / 8 : 0));

  // Ranges are those of KeyRanges, in the order of their ends.
  const KeyRanges ranges(trial.problem.mask);
  const auto end_of = [&](const Expr& end) {
    return static_cast<int>(integer_at(end, trial.block.at, trial.names, trial.host));
  };
  std::vector<std::pair<int, int>> seen;  // end, begin
  for (const KeyRange& range : ranges.seen)
    seen.emplace_back(end_of(range.end), end_of(range.begin));
  std::ranges::stable_sort(seen, std::greater(), [](const auto& range) { return range.first; });
  for (std::size_t i = 0; i < seen.size(); i++) {
    CHECK(trial.ranges[2 * i] == seen[i].second);
    CHECK(trial.ranges[2 * i + 1] == seen[i].first);
  }
  const std::int64_t k_first = trial.block.at.k_first;
  const bool some = std::ranges::any_of(holds, [](auto h) { return h != 0; });
  const bool all = std::ranges::all_of(holds, [](auto h) { return h != 0; });
  for (std::int64_t k = std::max<std::int64_t>(k_first, trial.ranges[8]);
       k < std::min<std::int64_t>(k_first + keys, trial.ranges[9]); k++)
    for (int q = 0; q < queries; q++) CHECK(holds[q * keys + k - k_first] != 0);
  if (some) CHECK(trial.ranges[10] != 0);
  if (!all) CHECK(trial.ranges[11] == 0);
}

void check_values(const char* what, const std::vector<float>& all, double unit,
                  const std::vector<double>& wanted) {
  int differ = 0;
  for (int i = 0; i < queries * keys; i++) {
    const double found = all[i] / unit;
    differ += static_cast<int>(!is_near(found, wanted[i]));
    CAPTURE(what, found, wanted[i]);
    if (differ > queries * keys / 8) FAIL_CHECK("values differ");
    if (differ > queries * keys / 8) return;
  }
}

void check_score(const Trial& trial) {
  constexpr double log2_e = 1.4426950408889634;
  const Expr& score = trial.problem.score;
  const std::vector<double> scores = values_of(score, trial);
  check_values("scores", trial.changed, log2_e, scores);
  check_values("scores of transposed tiles", trial.changed_by_queries, log2_e, scores);
  check_values("slopes", trial.slopes, 1, values_of(derivative(score, expr_names::score), trial));
}

}  // namespace

TEST_CASE("device code of random masks, scores and slopes computes what the expressions say") {
  for (int kernel = 0; kernel < 4; kernel++) {
    std::vector<Trial> trials;
    for (int i = 0; i < problems_of_kernel; i++)
      trials.push_back(drawn(kernel * problems_of_kernel + i + 1));
    run(trials);
    for (const Trial& trial : trials) {
      INFO(trial.describe());
      check_mask(trial);
      check_score(trial);
    }
  }
}
