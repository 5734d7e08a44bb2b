// The CPU's backward pass against float64, for every mask, score, layout and type.
#include <hwy/targets.h>

#include <algorithm>
#include <cstring>

#include "compiler/operations/backward/check.h"
#include "measure/backward_accuracy.h"
#include "runtime/cpu/backward.h"
#include "tests/support/catch.h"
#include "tests/support/compositions.h"
#include "tests/support/random_sequences.h"
#include "tests/support/scratch.h"

namespace streamattn {
namespace {

/// Small tiles, so that short sequences have several of them.
constexpr CpuTileSides small_tiles{.q = 20, .kv = 40};

void run(const Problem& problem, const BackwardArgs& args, CpuTileSides tile = small_tiles) {
  check_backward(problem, args);
  cpu_backward(problem, FlatProblem(problem), FlatSlopes(problem), tile, resolve(problem, args));
}

/// The tensors of a case after both passes.
BackwardTensors computed(const BackwardCase& given, CpuTileSides tile = small_tiles) {
  BackwardTensors tensors(given);
  compute_outputs(given, tensors);
  run(given.forward.problem, tensors.args(), tile);
  return tensors;
}

void check_tensors(const BackwardCase& given, const BackwardTensors& tensors) {
  const BackwardAccuracy accuracy = check_backward(given, tensors, Arithmetic::float32, 1e18);
  CHECK(accuracy.untouched);
  for (const auto& [name, error, plain, allowed] : accuracy.errors) {
    CAPTURE(name, plain);
    CHECK(error <= allowed);
  }
}

void check_case(const BackwardCase& given) {
  INFO(given.describe());
  check_tensors(given, computed(given));
}

/// Whether all gradients are equal bit for bit.
bool same_gradients(BackwardTensors& a, BackwardTensors& b) {
  const auto same = [](HostTensor& x, HostTensor& y) {
    return std::ranges::equal(x.bytes(), y.bytes());
  };
  bool equal = same(a.d_q, b.d_q) && same(a.d_k, b.d_k) && same(a.d_v, b.d_v);
  for (std::size_t i = 0; i < a.elements.size(); i++)
    equal = equal && a.elements[i].values == b.elements[i].values;
  return equal;
}

Expr score_of(const char* text) { return Expr::parse(text, ExprRole::score); }

const char* const scores[] = {
    "score",
    "2.5 * tanh(score / 2.5)",
    "score + slope[head] * (k - q)",
    "score + table[head, k - q + 8]",
    "score + bias:bf16[batch, head, q, k]",
    "score + bias[q, k] * bias[k, q]",
    "score * temperature[q]",
    "score + early[k]",
    "select(k % 5 == 0, score * s[kv_head], score - 0.25) + log(1.0 + abs(score)) * (batch + 1)"};

const char* const masks[] = {"true",
                             "k <= q",
                             "k <= q && (k < 3 || k > q - 11)",
                             "doc[batch, q] == doc[batch, k]",
                             "k % 3 == q % 3 || k < head",
                             "false"};

}  // namespace

TEST_CASE("gradients agree with float64 for every mask with every score, with and without a sink") {
  std::uint64_t seed = 1;
  for (const char* mask : masks) {
    for (const char* score : scores) {
      for (const bool has_sink : {false, true}) {
        BackwardCase given{.forward = {.problem = {.dtype = DType::f32,
                                                   .head_dim = 12,
                                                   .value_head_dim = 20,
                                                   .group_size = 2,
                                                   .mask = Expr::parse(mask),
                                                   .score = score_of(score)},
                                       .shape = {2, 2, 45, 45},
                                       .seed = seed++}};
        if (has_sink) given.forward.problem.sink = score_of("sink[head] + 0.5");
        check_case(given);
      }
    }
  }
}

TEST_CASE("gradients agree with float64 for odd shapes in every type and layout") {
  const auto [shape, head_dim, v_head_dim, group_size] =
      GENERATE(table<Shape, int, int, int>({{{1, 1, 1, 1}, 1, 1, 1},
                                            {{2, 3, 7, 13}, 5, 3, 1},
                                            {{1, 2, 33, 65}, 64, 64, 4},
                                            {{2, 1, 50, 129}, 40, 72, 3},
                                            {{1, 1, 100, 17}, 20, 31, 1},
                                            {{3, 1, 1, 200}, 128, 128, 8}}));
  const Layout layout = GENERATE(Layout::bshd, Layout::bhsd, Layout::padded, Layout::sparse);
  std::uint64_t seed = 1;
  for (const bool is_causal : {false, true}) {
    for (const DType type : {DType::f16, DType::bf16, DType::f32}) {
      for (const bool is_float : {false, true}) {
        BackwardCase given{.forward = {.problem = {.dtype = type,
                                                   .head_dim = head_dim,
                                                   .value_head_dim = v_head_dim,
                                                   .group_size = group_size,
                                                   .mask = is_causal ? causal() : Expr()},
                                       .shape = shape,
                                       .layout = layout,
                                       .seed = ++seed}};
        if (is_float) given.gradient_dtype = DType::f32;
        check_case(given);
      }
    }
  }
}

TEST_CASE("gradients are those of outputs of another type") {
  check_case(
      {.forward = {.problem = {.dtype = DType::bf16, .out_dtype = DType::f32, .head_dim = 24},
                   .shape = {2, 2, 19, 45}}});
}

TEST_CASE("gradients of a call with offsets, a scale and outliers agree with float64") {
  check_case({.forward = {.problem = {.dtype = DType::bf16, .head_dim = 32, .mask = causal()},
                          .shape = {1, 2, 60, 80},
                          .distribution = Distribution::outliers,
                          .scale = 0.3F,
                          .q_offset = 30,
                          .k_offset = 10}});
}

TEST_CASE("only the rows that are asked for are read and written") {
  check_case({.forward = {.problem = {.dtype = DType::f16, .head_dim = 16, .mask = causal()},
                          .shape = {2, 2, 60, 80},
                          .q_rows = Rows{7, 51},
                          .kv_rows = Rows{13, 70}}});
}

TEST_CASE("gradients of random sequences agree with float64, and no others' rows are written") {
  for (std::uint64_t seed = 1; seed <= 120; seed++) {
    BackwardCase given =
        random_gradients({.most_queries = 60, .most_keys = 90}, seed, seed, /*on_gpu=*/false);
    given.forward.problem.dropout = seed % 5 == 0;
    if (given.forward.problem.dropout) given.forward.dropout = {0.3F, seed, 1};
    check_case(given);
  }
}

TEST_CASE("gradients of nothing are zero, and of empty calls nothing happens") {
  for (const Shape& shape : {Shape{1, 2, 0, 30}, Shape{1, 2, 30, 0}, Shape{0, 2, 5, 5}}) {
    check_case({.forward = {.problem = {.dtype = DType::f32,
                                        .head_dim = 8,
                                        .score = score_of("score + slope[head] * (k - q)")},
                            .shape = shape}});
  }
}

TEST_CASE("rows that see no key have no gradient and give none") {
  const BackwardCase given{
      .forward = {
          .problem = {.dtype = DType::f32, .head_dim = 8, .mask = Expr::parse("k <= q && q >= 10")},
          .shape = {1, 1, 20, 20}}};
  BackwardTensors tensors = computed(given);
  check_tensors(given, tensors);
  const auto* d_q = static_cast<const float*>(tensors.d_q.view().data);
  CHECK(std::all_of(d_q, d_q + 80, [](float x) { return x == 0; }));
}

TEST_CASE("gradients add up to what is there") {
  check_case({.forward = {.problem = {.dtype = DType::bf16,
                                      .head_dim = 16,
                                      .group_size = 2,
                                      .mask = causal(),
                                      .score = score_of("score + slope[head] * (k - q)")},
                          .shape = {1, 2, 50, 70}},
              .gradient_dtype = DType::f32,
              .accumulate = true});
}

TEST_CASE("gradients of shares of the keys add up to the whole") {
  const BackwardCase given{.forward = {.problem = {.dtype = DType::f32,
                                                   .head_dim = 16,
                                                   .mask = causal(),
                                                   .score = score_of("score + bias[head, q, k]")},
                                       .shape = {1, 2, 90, 90}}};
  BackwardTensors whole = computed(given);
  BackwardTensors shares(given);
  compute_outputs(given, shares);
  BackwardArgs args = shares.args();
  for (HostTensor* gradient : {&shares.d_q, &shares.d_k, &shares.d_v})
    std::ranges::fill(gradient->bytes(), std::byte{0});
  for (auto& element : shares.elements) std::ranges::fill(element.values, 0.0F);
  args.accumulate = true;
  for (const Rows keys : {Rows{60, 90}, Rows{0, 33}, Rows{33, 60}}) {
    args.kv_rows = keys;
    run(given.forward.problem, args);
  }
  check_tensors(given, whole);
  check_tensors(given, shares);
}

TEST_CASE("equal calls give equal gradients on any number of threads") {
  BackwardCase given{.forward = {.problem = {.dtype = DType::bf16,
                                             .head_dim = 32,
                                             .group_size = 3,
                                             .mask = causal(),
                                             .score = score_of("score + table[head, k - q + 9]")},
                                 .shape = {2, 2, 100, 100}}};
  BackwardTensors first = computed(given);
  for (const int threads : {1, 2, 3}) {
    given.forward.max_sms = threads;
    BackwardTensors other = computed(given);
    CHECK(same_gradients(first, other));
  }
}

TEST_CASE("what is hidden never reaches a gradient, whatever it holds") {
  const BackwardCase given{.forward = {.problem = {.dtype = DType::f32,
                                                   .head_dim = 24,
                                                   .value_head_dim = 8,
                                                   .mask = Expr::parse("k <= q && k > q - 20")},
                                       .shape = {1, 1, 70, 70},
                                       .q_offset = 30}};
  BackwardTensors clean = computed(given);
  BackwardTensors dirty(given);
  // Keys 0 to 10 are behind the window of every row, and rows from 60 on are past the last key.
  dirty.forward.k.poison({0, 11});
  dirty.forward.v.poison({0, 11});
  compute_outputs(given, dirty);
  dirty.forward.q.poison({60, 70});
  dirty.d_o.poison({60, 70});
  run(given.forward.problem, dirty.args());
  // They are held against float64 of the clean inputs.
  std::ranges::copy(dirty.d_q.bytes(), clean.d_q.bytes().begin());
  std::ranges::copy(dirty.d_k.bytes(), clean.d_k.bytes().begin());
  std::ranges::copy(dirty.d_v.bytes(), clean.d_v.bytes().begin());
  check_tensors(given, clean);
}

TEST_CASE("a NaN that is seen reaches the gradients that it is part of") {
  const BackwardCase given{
      .forward = {.problem = {.dtype = DType::f32, .head_dim = 8, .mask = causal()},
                  .shape = {1, 1, 30, 30}}};
  BackwardTensors tensors(given);
  compute_outputs(given, tensors);
  tensors.forward.v.poison({20, 21});
  run(given.forward.problem, tensors.args());
  const auto is_nan = [](const HostTensor& tensor, int row) {
    return std::isnan(static_cast<const float*>(tensor.view().data)[row * 8]);
  };
  CHECK_FALSE(is_nan(tensors.d_q, 19));
  CHECK(is_nan(tensors.d_q, 20));
  CHECK(is_nan(tensors.d_q, 29));
  CHECK(is_nan(tensors.d_k, 20));
  CHECK_FALSE(is_nan(tensors.d_v, 20));
}

TEST_CASE("every instruction set the CPU has gives exact gradients") {
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
    CAPTURE(hwy::TargetName(target));
    hwy::SetSupportedTargetsForTest(target);
    check_case({.forward = {.problem = {.dtype = DType::bf16,
                                        .head_dim = 40,
                                        .value_head_dim = 24,
                                        .mask = causal(),
                                        .score = score_of("20 * tanh(score / 20)")},
                            .shape = {1, 2, 77, 90}}});
    hwy::SetSupportedTargetsForTest(0);
  }
}

}  // namespace streamattn
