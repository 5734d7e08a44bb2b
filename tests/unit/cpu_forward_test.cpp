// The CPU target against the float64 reference, over odd shapes, layouts, types and sub-ranges.
#include <hwy/targets.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <thread>
#include <vector>

#include "runtime/cpu/tile.h"
#include "tests/support/catch.h"
#include "tests/support/forward_case.h"
#include "tests/support/scratch.h"
#include "tests/unit/cpu_run.h"

namespace streamattn {
namespace {

constexpr DType types[] = {DType::f16, DType::bf16, DType::f32};

/// Runs a case with default arguments and checks all of its output.
void check_case(const ForwardCase& given) {
  INFO(given.describe());
  const ForwardTensors tensors(given);
  run(given.problem, tensors.args());
  check_result(given.problem, tensors.args(), tensors);
}

/// Whether o and lse are equal bit for bit.
bool same_output(ForwardTensors& a, ForwardTensors& b) {
  return std::ranges::equal(a.o.bytes(), b.o.bytes()) &&
         std::ranges::equal(a.lse.bytes(), b.lse.bytes());
}

}  // namespace

TEST_CASE("the CPU agrees with float64 for odd shapes in every type and layout") {
  const auto [shape, head_dim, v_head_dim, group_size] =
      GENERATE(table<Shape, int, int, int>({{{1, 1, 1, 1}, 1, 1, 1},
                                            {{2, 3, 7, 13}, 5, 3, 1},
                                            {{1, 2, 33, 65}, 64, 64, 4},
                                            {{2, 1, 50, 129}, 40, 72, 3},
                                            {{1, 1, 100, 17}, 20, 31, 1},
                                            {{3, 1, 1, 200}, 128, 128, 8},
                                            {{1, 1, 3, 70}, 300, 7, 41}}));
  const Layout layout = GENERATE(Layout::bshd, Layout::bhsd, Layout::padded, Layout::sparse);
  const bool is_causal = GENERATE(false, true);
  std::uint64_t seed = 1;
  for (const DType type : types) {
    check_case({.problem = {.dtype = type,
                            .head_dim = head_dim,
                            .value_head_dim = v_head_dim,
                            .group_size = group_size,
                            .mask = is_causal ? causal() : Expr()},
                .shape = shape,
                .layout = layout,
                .seed = ++seed});
  }
}

TEST_CASE("the CPU writes float32 for 16-bit inputs when asked to") {
  for (const DType type : {DType::f16, DType::bf16}) {
    check_case({.problem = {.dtype = type, .out_dtype = DType::f32, .head_dim = 24},
                .shape = {.batch = 2, .kv_heads = 2, .q_len = 19, .kv_len = 45}});
  }
}

TEST_CASE("the CPU stays as exact as plain attention on data with outliers") {
  for (const DType type : types) {
    for (const int head_dim : {16, 64, 128, 256}) {
      check_case({.problem = {.dtype = type, .head_dim = head_dim, .mask = causal()},
                  .shape = {.kv_heads = 2, .q_len = 65, .kv_len = 190},
                  .distribution = Distribution::outliers,
                  .seed = static_cast<std::uint64_t>(head_dim)});
    }
  }
}

TEST_CASE("every instruction set the CPU has gives an exact result") {
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
    INFO(hwy::TargetName(target));
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    CHECK(vector_target() == std::string(hwy::TargetName(target)));
    for (const DType type : types) {
      check_case({.problem = {.dtype = type, .head_dim = 37, .group_size = 2, .mask = causal()},
                  .shape = {.kv_heads = 2, .q_len = 45, .kv_len = 90},
                  .distribution = Distribution::outliers});
    }
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

TEST_CASE("row sub-ranges compute and write these rows only, at their global positions") {
  const auto [q_rows, kv_rows] = GENERATE(table<Rows, Rows>({{{0, 30}, {0, 80}},
                                                             {{7, 23}, {11, 64}},
                                                             {{29, 30}, {0, 1}},
                                                             {{3, 9}, {60, 60}},
                                                             {{5, 5}, {0, 80}}}));
  const Layout layout = GENERATE(Layout::bshd, Layout::sparse);
  const ForwardCase given{
      .problem = {.dtype = DType::bf16, .head_dim = 32, .group_size = 2, .mask = causal()},
      .shape = {.batch = 2, .kv_heads = 2, .q_len = 30, .kv_len = 80},
      .layout = layout};
  const ForwardTensors tensors(given);
  ForwardArgs args = tensors.args();
  args.q_rows = q_rows;
  args.kv_rows = kv_rows;
  run(given.problem, args);
  check_result(given.problem, args, tensors);
}

TEST_CASE("offsets move the causal diagonal, far out of the tensors too") {
  const std::int64_t q_offset = GENERATE(-1000, -10, 0, 13, 39, 1000, std::int64_t{1} << 40);
  const std::int64_t k_offset = GENERATE(-7, 0, 20);
  const ForwardCase given{
      .problem = {.dtype = DType::f32, .head_dim = 8, .group_size = 3, .mask = causal()},
      .shape = {.kv_heads = 1, .q_len = 50, .kv_len = 40}};
  const ForwardTensors tensors(given);
  ForwardArgs args = tensors.args();
  args.q_offset = q_offset;
  args.k_offset = k_offset;
  run(given.problem, args);
  check_result(given.problem, args, tensors);
}

TEST_CASE("rows that see no key are zero with an LSE of minus infinity") {
  for (const DType type : types) {
    // Top left: with fewer keys than queries at the bottom right, the first rows see nothing.
    check_case({.problem = {.dtype = type, .head_dim = 16, .mask = causal()},
                .shape = {.batch = 2, .kv_heads = 1, .q_len = 90, .kv_len = 21}});
    check_case({.problem = {.dtype = type, .head_dim = 16},
                .shape = {.batch = 2, .kv_heads = 1, .q_len = 9, .kv_len = 0}});
  }
}

TEST_CASE("calls without rows write nothing") {
  for (const Shape& shape :
       {Shape{.batch = 0, .q_len = 4, .kv_len = 4}, Shape{.kv_heads = 0, .q_len = 4, .kv_len = 4},
        Shape{.q_len = 0, .kv_len = 4}}) {
    const ForwardCase given{.problem = {.dtype = DType::f32, .head_dim = 4}, .shape = shape};
    const ForwardTensors tensors(given);
    run(given.problem, tensors.args());
    CHECK(tensors.o.is_poison_outside({}));
    CHECK(tensors.lse.is_poison_outside({}));
  }
}

TEST_CASE("a given scale replaces the default one") {
  const ForwardCase given{.problem = {.dtype = DType::f16, .head_dim = 16},
                          .shape = {.q_len = 20, .kv_len = 50}};
  for (const float scale : {1e-6F, 0.1F, 4.0F, 1000.0F}) {
    const ForwardTensors tensors(given);
    ForwardArgs args = tensors.args();
    args.scale = scale;
    run(given.problem, args);
    check_result(given.problem, args, tensors);
  }
}

TEST_CASE("the LSE is not written where the call has none") {
  const ForwardCase given{.problem = {.dtype = DType::f16, .head_dim = 16},
                          .shape = {.q_len = 20, .kv_len = 50}};
  const ForwardTensors tensors(given);
  ForwardArgs args = tensors.args();
  args.lse = {};
  run(given.problem, args);
  check_result(given.problem, args, tensors);
}

TEST_CASE("NaN and infinity in keys that a row does not see never reach it") {
  for (const DType type : types) {
    const ForwardCase given{
        .problem = {.dtype = type, .head_dim = 13, .group_size = 2, .mask = causal()},
        .shape = {.kv_heads = 2, .q_len = 60, .kv_len = 60}};
    ForwardTensors tensors(given);
    tensors.k.poison({33, 60});
    tensors.v.poison({30, 60});
    ForwardArgs args = tensors.args();
    run(given.problem, args);
    // Rows 30 and later see poison and are NaN; the reference says so too.
    check_result(given.problem, args, tensors);
    args.q_rows = Rows{0, 30};
    for (const double value : read_rows(args, all_rows(args)).o) {
      REQUIRE(std::isfinite(value));
    }
  }
}

TEST_CASE("a NaN in a query spoils its own row and no other") {
  const ForwardCase given{.problem = {.dtype = DType::bf16, .head_dim = 16},
                          .shape = {.kv_heads = 2, .q_len = 40, .kv_len = 30}};
  ForwardTensors tensors(given);
  tensors.q.poison({17, 18});
  run(given.problem, tensors.args());
  check_result(given.problem, tensors.args(), tensors);
}

TEST_CASE("the result does not depend on threads or on the size of query tiles") {
  const auto [mask, tile_kv] =
      GENERATE(table<const char*, int>({{"k <= q", small_tiles.kv},
                                        {"k <= q && (k < 3 || k > q - 20)", small_tiles.kv},
                                        {"k <= q && (k < 3 || k > q - 20)", 100},
                                        {"abs(q - k) < 4 * (head + 1) || k >= kv_len - 2", 100}}));
  const DType type = GENERATE(DType::bf16, DType::f32);
  const ForwardCase given{
      .problem = {.dtype = type, .head_dim = 48, .group_size = 3, .mask = Expr::parse(mask)},
      .shape = {.batch = 2, .kv_heads = 2, .q_len = 130, .kv_len = 150}};
  ForwardTensors expected(given);
  run(given.problem, expected.args(), {small_tiles.q, tile_kv});
  for (const int max_sms : {1, 2, 1000}) {
    for (const int tile_q : {1, 7, 96, 1000}) {
      ForwardTensors again(given);
      ForwardArgs args = again.args();
      args.max_sms = max_sms;
      run(given.problem, args, {tile_q, tile_kv});
      CHECK(same_output(again, expected));
    }
  }
}

TEST_CASE("any size of key tiles gives an exact result") {
  const ForwardCase given{.problem = {.dtype = DType::f32, .head_dim = 16, .mask = causal()},
                          .shape = {.kv_heads = 2, .q_len = 70, .kv_len = 100}};
  for (const int tile_kv : {1, 5, 64, 100, 5000}) {
    const ForwardTensors tensors(given);
    run(given.problem, tensors.args(), {small_tiles.q, tile_kv});
    check_result(given.problem, tensors.args(), tensors);
  }
}

TEST_CASE("launches from several threads at the same time do not disturb each other") {
  const ForwardCase given{
      .problem = {.dtype = DType::f16, .head_dim = 32, .group_size = 2, .mask = causal()},
      .shape = {.kv_heads = 2, .q_len = 100, .kv_len = 100}};
  ForwardTensors expected(given);
  run(given.problem, expected.args());
  std::atomic<int> wrong = 0;
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&] {
      for (int repeat = 0; repeat < 10; ++repeat) {
        ForwardTensors own(given);
        run(given.problem, own.args());
        wrong += !same_output(own, expected);
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK(wrong == 0);
}

TEST_CASE("a launch without memory for its tiles is an error that says how large they are") {
  // More than any machine has addresses for, so that it is refused without a limit. No element is
  // reached.
  constexpr int dim = 1 << 30;
  constexpr int keys = 1 << 20;
  float q = 0, kv = 0, o = poison;
  const Problem problem{.dtype = DType::f32, .head_dim = 1, .value_head_dim = dim};
  const ForwardArgs args{.q = Tensor::bshd(&q, DType::f32, 1, 1, 1, 1),
                         .k = Tensor::bshd(&kv, DType::f32, 1, keys, 1, 1),
                         .v = Tensor::bshd(&kv, DType::f32, 1, keys, 1, dim),
                         .o = Tensor::bshd(&o, DType::f32, 1, 1, 1, dim)};
  CHECK_THAT(error_of([&] {
               cpu_forward(problem, FlatProblem(problem), {96, keys}, resolve(problem, args));
             }),
             contains_text("launch_failed: the system has no memory for tiles of 96 x 1048576 with "
                           "head dims 1 and 1073741824"));
  CHECK(o == poison);
}

}  // namespace streamattn
