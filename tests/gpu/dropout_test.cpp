// Dropout on a GPU: the pairs that are kept, and what becomes of them, forward and backward.
#include "measure/backward_accuracy.h"
#include "measure/backward_operands.h"
#include "tests/gpu/gpu_case.h"
#include "tests/support/catch.h"
#include "tests/support/kept_pairs.h"
#include "tests/support/skip.h"

using namespace streamattn;

#define NEEDS_GPU() \
  if (auto reason = no_gpu_reason(); !reason.empty()) SKIP_TEST(reason)

namespace {

ForwardCase case_of(Problem problem, const Shape& shape, float rate = 0.2F) {
  problem.dropout = true;
  return {.problem = std::move(problem),
          .shape = shape,
          .dropout = {.rate = rate, .seed = 0x123456789ABCDEF0, .offset = 0xFEDCBA9876543210}};
}

}  // namespace

TEST_CASE("a GPU keeps the defined pairs at any offset, of shares too") {
  NEEDS_GPU();
  ForwardCase given =
      case_of({.head_dim = 64, .value_head_dim = 256, .group_size = 4}, {2, 2, 150, 250}, 0.5F);
  for (const auto& [q_offset, k_offset] :
       {std::pair<std::int64_t, std::int64_t>{0, 0}, {1000, 32}, {-90, -16}, {7, 5}, {-3, -41}}) {
    for (const Rows& k : {Rows{0, 250}, Rows{0, 96}, Rows{96, 131}, Rows{131, 250}}) {
      given.q_offset = q_offset, given.k_offset = k_offset, given.kv_rows = k;
      ForwardTensors tensors(given);
      tell_kept_pairs(tensors);
      const auto bench = gpu_workbench(0);
      run_once(gpu_jit().forward(given.problem, given.shape), tensors, *bench);
      INFO(given.describe());
      CHECK(told_pairs(tensors, {0, 150}, k) == defined_pairs(given, {0, 150}, k));
    }
  }
}

TEST_CASE("a GPU drops weights as accurately as plain attention, of every head_dim and mask") {
  NEEDS_GPU();
  for (const int head_dim : {16, 40, 64, 96, 128, 192, 256})
    for (const DType dtype : {DType::bf16, DType::f16})
      for (const Expr& mask : {Expr(), causal()})
        for (const Shape& shape : {Shape{2, 2, 333, 333}, Shape{1, 1, 5, 5000}}) {
          const ForwardCase given =
              case_of({.dtype = dtype, .head_dim = head_dim, .group_size = 2, .mask = mask}, shape);
          check_case(given, gpu_jit().forward(given.problem, given.shape));
        }
}

TEST_CASE("a GPU goes back through what it kept, of every head_dim, mask and score") {
  NEEDS_GPU();
  for (const int head_dim : {16, 64, 96, 128, 192, 256})
    for (const Expr& mask : {Expr(), causal()})
      check_case(BackwardCase{
          case_of({.head_dim = head_dim, .group_size = 2, .mask = mask}, {2, 2, 333, 333})});
  check_case(BackwardCase{
      case_of({.head_dim = 64, .mask = causal(), .score = additive_bias("bias", DType::bf16)},
              {1, 2, 300, 300})});
  ForwardCase shares = case_of({.dtype = DType::f16, .head_dim = 128}, {1, 2, 300, 400});
  shares.q_rows = Rows{20, 290}, shares.kv_rows = Rows{33, 390};
  check_case(BackwardCase{shares});
}
