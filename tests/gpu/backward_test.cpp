// Backward kernels on a GPU against float64.
#include <llvm/Support/Parallel.h>

#include <algorithm>
#include <limits>
#include <tuple>

#include "measure/backward_accuracy.h"
#include "measure/backward_operands.h"
#include "tests/gpu/gpu_case.h"
#include "tests/support/catch.h"
#include "tests/support/planted_values.h"
#include "tests/support/random_sequences.h"
#include "tests/support/skip.h"

using namespace streamattn;

#define NEEDS_GPU() \
  if (auto reason = no_gpu_reason(); !reason.empty()) SKIP_TEST(reason)

namespace {

// Compiles for all cases on all cores first: that is most of the time of these tests.
void check_cases(const std::vector<BackwardCase>& cases) {
  llvm::parallelFor(0, cases.size(), [&](std::size_t i) {
    const ForwardCase& call = cases[i].forward;
    gpu_jit().forward(call.problem, call.shape);
    gpu_jit().backward(call.problem, call.shape);
  });
  for (const BackwardCase& c : cases) check_case(c);
}

}  // namespace

TEST_CASE("gradients of every head_dim, dtype and mask are as accurate as plain attention's") {
  NEEDS_GPU();
  std::vector<BackwardCase> cases;
  for (int head_dim = 16; head_dim <= 256; head_dim += 8)
    for (const DType dtype : {DType::bf16, DType::f16})
      for (const Expr& mask : {Expr(), causal()})
        cases.push_back(
            {.forward = {.problem = {.dtype = dtype, .head_dim = head_dim, .mask = mask},
                         .shape = {2, 2, 333, 333},
                         .seed = static_cast<std::uint64_t>(head_dim)}});
  check_cases(cases);
}

TEST_CASE("gradients of odd shapes, grouped heads and other value head dims agree with float64") {
  NEEDS_GPU();
  std::vector<BackwardCase> cases;
  for (const Shape& shape : {Shape{1, 2, 1, 1}, Shape{2, 1, 65, 1000}, Shape{1, 3, 700, 129},
                             Shape{3, 2, 127, 128}, Shape{1, 1, 5, 0}, Shape{1, 1, 0, 5}})
    for (const int group_size : {1, 4})
      for (const auto& [head_dim, value_head_dim] :
           {std::pair(128, 128), std::pair(64, 128), std::pair(128, 64), std::pair(72, 40),
            std::pair(192, 128), std::pair(256, 256), std::pair(64, 200)})
        cases.push_back({.forward = {.problem = {.head_dim = head_dim,
                                                 .value_head_dim = value_head_dim,
                                                 .group_size = group_size,
                                                 .mask = causal()},
                                     .shape = shape}});
  check_cases(cases);
}

TEST_CASE("gradients on a GPU are float32 or added to what is there, in any layout") {
  NEEDS_GPU();
  std::vector<BackwardCase> cases;
  for (const Layout layout : {Layout::bshd, Layout::bhsd, Layout::padded})
    for (const bool accumulate : {false, true})
      cases.push_back({.forward = {.problem = {.head_dim = 128, .group_size = 2, .mask = causal()},
                                   .shape = {2, 2, 300, 420},
                                   .layout = layout,
                                   .q_rows = Rows{20, 290},
                                   .kv_rows = Rows{30, 400}},
                       .gradient_dtype = DType::f32,
                       .accumulate = accumulate});
  check_cases(cases);
}

TEST_CASE("gradients of random packed sequences agree with float64 on a GPU") {
  NEEDS_GPU();
  const SequenceDraw draw{.types = {DType::f16, DType::bf16},
                          .head_dims = {64, 80, 128, 192},
                          .value_head_dims = {64, 128},
                          .group_sizes = {1, 2, 3},
                          .most_queries = 400,
                          .most_keys = 500};
  std::vector<BackwardCase> cases;
  for (std::uint64_t seed = 1; seed <= 60; seed++) {
    cases.push_back(random_gradients(draw, seed / 3, seed, /*on_gpu=*/true));
  }
  check_cases(cases);
}

TEST_CASE("what a mask hides leaves gradients on a GPU as they are, whatever it holds") {
  NEEDS_GPU();
  constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
  for (const auto& [head_dim, group_size, accumulate] :
       {std::tuple(64, 1, false), std::tuple(128, 4, false), std::tuple(256, 1, false),
        std::tuple(192, 2, false), std::tuple(128, 1, true)}) {
    // Keys from 250 on are hidden from all queries, and the first 50 of these see none.
    const BackwardCase given{.forward = {.problem = {.head_dim = head_dim,
                                                     .value_head_dim = std::min(head_dim, 128),
                                                     .group_size = group_size,
                                                     .mask = causal()},
                                         .shape = {2, 2, 300, 420},
                                         .q_offset = -50},
                             .gradient_dtype = accumulate ? DType::f32 : DType::bf16,
                             .accumulate = accumulate};
    INFO(given.describe());
    BackwardTensors tensors(given);
    for (const std::int64_t key : {250, 251, 310, 419}) {
      plant(tensors.forward.k, key, 5, not_a_number);
      plant(tensors.forward.v, key, 7, not_a_number);
    }
    for (const std::int64_t query : {0, 20, 49}) {
      plant(tensors.forward.q, query, 3, not_a_number);
      plant(tensors.d_o, query, 9, not_a_number);
    }
    const auto bench = gpu_workbench(0);
    run_once(gpu_jit().forward(given.forward.problem, given.forward.shape), tensors.forward,
             *bench);
    run_once(gpu_jit().backward(given.forward.problem, given.forward.shape), tensors, *bench);
    const BackwardAccuracy accuracy = check_backward(given, tensors, Arithmetic::gpu, 1.5e9);
    CHECK(accuracy.ok());
  }
}

TEST_CASE("gradients under windows and documents agree with float64 on a GPU") {
  NEEDS_GPU();
  std::vector<BackwardCase> cases;
  for (const int head_dim : {64, 128}) {
    cases.push_back({.forward = {.problem = {.head_dim = head_dim,
                                             .mask = Expr::parse("k <= q && (k < 4 || k > q - w)")},
                                 .shape = {1, 2, 1500, 1500},
                                 .scalars = {{"w", 128}}}});
    cases.push_back({.forward = {.problem = {.head_dim = head_dim, .mask = causal() && document()},
                                 .shape = {2, 2, 800, 800}}});
  }
  check_cases(cases);
}

TEST_CASE("gradients through scores and sinks agree with float64 on a GPU") {
  NEEDS_GPU();
  const Expr sink = Expr::parse("sink[head]", ExprRole::score);
  std::vector<BackwardCase> cases;
  for (const int head_dim : {64, 128, 256}) {
    const auto add = [&](const Problem& problem, const std::vector<NamedNumber>& scalars = {},
                         const std::vector<NamedInput>& tensors = {}) {
      BackwardCase& added = cases.emplace_back();
      added.forward = {
          .problem = problem, .shape = {2, 2, 500, 500}, .scalars = scalars, .tensors = tensors};
      added.forward.problem.head_dim = head_dim;
    };
    add({.mask = causal(), .score = softcap(scalar("cap", DType::f32)), .sink = sink},
        {{"cap", 2}});
    add({.group_size = 2, .mask = causal(), .score = alibi()}, {}, {{"slope", InputKind::slopes}});
    add({.score = additive_bias("bias", DType::bf16)});
    add({.score =
             Expr::parse("score * temperature[head, q] + table[q - k + 500]", ExprRole::score)});
  }
  check_cases(cases);
}

TEST_CASE("gradients of tensors that pairs share in any way agree with float64 on a GPU") {
  NEEDS_GPU();
  std::vector<BackwardCase> cases;
  for (const char* score :
       {"score + row[q]", "score + column[batch, k]", "score * t[kv_head] + t[head]",
        "score + table[(q - k) % 7, head] * 0.5", "score * exp(t[head, q // 16] * 0.1)",
        "score + bias[q, k] + bias[k, q]", "score + bias:bf16[batch, head, q, k]"})
    for (const int head_dim : {64, 128})
      cases.push_back({.forward = {.problem = {.head_dim = head_dim,
                                               .group_size = 2,
                                               .mask = causal(),
                                               .score = Expr::parse(score, ExprRole::score)},
                                   .shape = {2, 2, 600, 600}}});
  check_cases(cases);
}

TEST_CASE("gradients of tensors have the same bits in ten runs on a GPU") {
  NEEDS_GPU();
  const BackwardCase given{
      .forward = {
          .problem = {.head_dim = 128,
                      .mask = causal(),
                      .score = Expr::parse("score * t[head] + table[q - k]", ExprRole::score),
                      .sink = Expr::parse("sink[head]", ExprRole::score)},
          .shape = {2, 8, 1024, 1024}}};
  const BackwardTensors first = result_of(given);
  for (int run = 0; run < 10; run++) {
    const BackwardTensors other = result_of(given);
    for (std::size_t i = 0; i < first.elements.size(); i++)
      REQUIRE(first.elements[i].values == other.elements[i].values);
  }
}

TEST_CASE("a hundred backward runs on a GPU give the same bits") {
  NEEDS_GPU();
  for (const int head_dim : {64, 128, 256}) {
    for (const Expr& mask : {Expr(), causal()}) {
      const BackwardCase given{.forward = {.problem = {.head_dim = head_dim, .mask = mask},
                                           .shape = {1, 16, 2048, 2048}}};
      const ForwardCase& call = given.forward;
      const auto bench = gpu_workbench(0);
      BackwardTensors tensors(given);
      run_once(gpu_jit().forward(call.problem, call.shape), tensors.forward, *bench);
      const BackwardOperands operands(tensors, *bench);
      const Enqueue launch = operands.launch_of(gpu_jit().backward(call.problem, call.shape));
      std::vector<std::byte> first;
      for (int run = 0; run < 100; run++) {
        bench->run(launch);
        operands.download_gradients(tensors);
        if (run == 0) first.assign(tensors.d_q.bytes().begin(), tensors.d_q.bytes().end());
        INFO(given.describe() << ", run " << run);
        REQUIRE(std::ranges::equal(first, tensors.d_q.bytes()));
      }
    }
  }
}

TEST_CASE("gradients of long sequences agree with float64 on a GPU") {
  NEEDS_GPU();
  std::vector<BackwardCase> cases;
  for (const int head_dim : {64, 128, 256})
    for (const Expr& mask : {Expr(), causal()})
      cases.push_back({.forward = {.problem = {.head_dim = head_dim, .mask = mask},
                                   .shape = {1, 4, 8192, 8192}}});
  check_cases(cases);
}

// What compute-sanitizer is run on.
TEST_CASE("one small launch of each backward skeleton") {
  NEEDS_GPU();
  for (const int head_dim : {64, 128, 256})
    for (const Expr& mask : {Expr(), causal()})
      for (const Expr& score : {Problem().score, softcap(20)})
        check_cases({{.forward = {.problem = {.head_dim = head_dim, .mask = mask, .score = score},
                                  .shape = {1, 2, 200, 300},
                                  .max_sms = 3}}});
}
