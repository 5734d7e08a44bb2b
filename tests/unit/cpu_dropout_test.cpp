// Dropout on the CPU, forward and backward, against float64.
#include "compiler/operations/backward/check.h"
#include "measure/backward_accuracy.h"
#include "runtime/cpu/backward.h"
#include "tests/support/catch.h"
#include "tests/support/forward_case.h"
#include "tests/support/kept_pairs.h"
#include "tests/unit/cpu_run.h"

namespace streamattn {
namespace {

constexpr DType types[] = {DType::f16, DType::bf16, DType::f32};

ForwardCase case_of(const Problem& problem, const Shape& shape, float rate) {
  ForwardCase given{.problem = problem, .shape = shape, .dropout = {rate, 11, 5}};
  given.problem.dropout = true;
  return given;
}

void check_forward_case(const ForwardCase& given) {
  INFO(given.describe());
  const ForwardTensors tensors(given);
  run(given.problem, tensors.args());
  check_result(given.problem, tensors.args(), tensors);
}

void check_backward_case(const BackwardCase& given) {
  INFO(given.describe());
  BackwardTensors tensors(given);
  compute_outputs(given, tensors);
  const Problem& problem = given.forward.problem;
  const BackwardArgs args = tensors.args();
  streamattn::check_backward(problem, args);
  cpu_backward(problem, FlatProblem(problem), FlatSlopes(problem), {.q = 20, .kv = 40},
               resolve(problem, args));
  const BackwardAccuracy accuracy = check_backward(given, tensors, Arithmetic::float32, 1e18);
  CHECK(accuracy.untouched);
  for (const auto& [name, error, plain, allowed] : accuracy.errors) {
    CAPTURE(name, plain);
    CHECK(error <= allowed);
  }
}

/// Which weights a call keeps, as its O tells.
std::vector<bool> told_by(const ForwardCase& given, CpuTileSides tile, Rows q, Rows k) {
  ForwardTensors tensors(given);
  tell_kept_pairs(tensors);
  run(given.problem, tensors.args(), tile);
  return told_pairs(tensors, q, k);
}

}  // namespace

TEST_CASE("the CPU drops weights as float64 does, in every type, with masks, sinks and groups") {
  const float rate = GENERATE(0.0F, 0.1F, 0.5F, 0.95F);
  for (const DType type : types) {
    check_forward_case(case_of({.dtype = type, .head_dim = 24}, {2, 2, 19, 45}, rate));
    check_forward_case(case_of({.dtype = type, .head_dim = 32, .group_size = 3, .mask = causal()},
                               {1, 1, 70, 90}, rate));
    check_forward_case(case_of({.dtype = type,
                                .head_dim = 8,
                                .score = Expr::parse("2.5 * tanh(score / 2.5)", ExprRole::score),
                                .sink = Expr::parse("0.5", ExprRole::score)},
                               {1, 2, 33, 50}, rate));
  }
}

TEST_CASE("the CPU drops weights of sequences of their own lengths") {
  ForwardCase given = case_of(
      {.dtype = DType::f32, .head_dim = 8, .mask = causal(), .q_lens = true, .kv_lens = true},
      {3, 2, 20, 50}, 0.3F);
  given.lengths = {.q = {20, 3, 7}, .kv = {50, 20, 31}};
  check_forward_case(given);
}

TEST_CASE("a rate of 0 gives the bits of a problem without dropout") {
  const ForwardCase with = case_of({.dtype = DType::bf16, .head_dim = 16}, {1, 2, 30, 70}, 0);
  ForwardCase without = with;
  without.problem.dropout = false;
  ForwardTensors a(with), b(without);
  run(with.problem, a.args());
  run(without.problem, b.args());
  CHECK(std::ranges::equal(a.o.bytes(), b.o.bytes()));
  CHECK(std::ranges::equal(a.lse.bytes(), b.lse.bytes()));
}

TEST_CASE("LSE does not know of dropout") {
  const ForwardCase with = case_of({.dtype = DType::f32, .head_dim = 16}, {1, 2, 30, 70}, 0.4F);
  ForwardCase without = with;
  without.problem.dropout = false, without.dropout = {};
  ForwardTensors a(with), b(without);
  run(with.problem, a.args());
  run(without.problem, b.args());
  CHECK(std::ranges::equal(a.lse.bytes(), b.lse.bytes()));
  CHECK_FALSE(std::ranges::equal(a.o.bytes(), b.o.bytes()));
}

TEST_CASE("the CPU keeps the defined pairs, whatever its tiles, offsets and sub-ranges") {
  ForwardCase given =
      case_of({.dtype = DType::f32, .head_dim = 8, .value_head_dim = 100, .group_size = 2},
              {2, 2, 40, 100}, 0.5F);
  const auto [q_offset, k_offset] =
      GENERATE(table<std::int64_t, std::int64_t>({{0, 0}, {77, 16}, {-30, -5}, {1000, 13}}));
  given.q_offset = q_offset, given.k_offset = k_offset;
  INFO(given.describe());
  const Rows q{0, 40}, k{0, 100};
  const std::vector<bool> expected = defined_pairs(given, q, k);
  CHECK(told_by(given, small_tiles, q, k) == expected);
  CHECK(told_by(given, {.q = 16, .kv = 7}, q, k) == expected);
  CHECK(told_by(given, {.q = 96, .kv = 256}, q, k) == expected);
  given.q_rows = Rows{3, 31}, given.kv_rows = Rows{19, 83};
  CHECK(told_by(given, small_tiles, *given.q_rows, *given.kv_rows) ==
        defined_pairs(given, *given.q_rows, *given.kv_rows));
}

TEST_CASE("gradients on the CPU go through what was kept, in every type") {
  const float rate = GENERATE(0.0F, 0.1F, 0.5F);
  for (const DType type : types) {
    check_backward_case({.forward = case_of({.dtype = type, .head_dim = 24, .value_head_dim = 40},
                                            {2, 2, 45, 61}, rate)});
    check_backward_case(
        {.forward = case_of({.dtype = type, .head_dim = 16, .group_size = 3, .mask = causal()},
                            {1, 1, 50, 50}, rate)});
  }
}

TEST_CASE("gradients of named tensors and sinks go through what was kept") {
  for (const char* score : {"score + bias:bf16[q, k]", "score + slope[head] * (k - q)",
                            "2.5 * tanh(score / 2.5) * temperature[q]"}) {
    check_backward_case({.forward = case_of({.dtype = DType::f32,
                                             .head_dim = 12,
                                             .group_size = 2,
                                             .mask = causal(),
                                             .score = Expr::parse(score, ExprRole::score),
                                             .sink = Expr::parse("sink[head]", ExprRole::score)},
                                            {2, 1, 45, 45}, 0.3F)});
  }
}

TEST_CASE("gradients of sub-ranges go through what the whole call keeps") {
  BackwardCase given{.forward = case_of({.dtype = DType::f32, .head_dim = 8}, {1, 2, 40, 70}, 0.4F),
                     .gradient_dtype = DType::f32};
  given.forward.q_rows = Rows{5, 33}, given.forward.kv_rows = Rows{0, 70};
  check_backward_case(given);
  given.forward.q_rows.reset();
  given.forward.kv_rows = Rows{11, 60};
  check_backward_case(given);
}

}  // namespace streamattn
