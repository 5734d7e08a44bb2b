// Appends and merges on a GPU, bit by bit and against float64.
#include "measure/append_accuracy.h"
#include "measure/append_operands.h"
#include "measure/merge_case.h"
#include "tests/gpu/gpu_case.h"
#include "tests/support/catch.h"
#include "tests/support/random_append.h"
#include "tests/support/skip.h"

using namespace streamattn;

#define NEEDS_GPU() \
  if (auto reason = no_gpu_reason(); !reason.empty()) SKIP_TEST(reason)

namespace {

void check_append(const AppendCase& given) {
  INFO(given.describe());
  const ForwardCase& call = given.forward;
  const auto bench = gpu_workbench(0);
  AppendTensors tensors(given);
  run_once(gpu_jit().append(call.problem, call.shape), tensors, *bench);
  const AppendAccuracy found = check_append_result(call.problem, tensors);
  CHECK(found.wrong_copies == 0);
  CHECK(found.error <= 1);
  CHECK(found.untouched);
}

}  // namespace

TEST_CASE("appends of random batches are right bit by bit, and turned as float64 turns them") {
  NEEDS_GPU();
  const SequenceDraw draw{.types = {DType::f16, DType::bf16},
                          .head_dims = {8, 24, 64, 128, 256},
                          .value_head_dims = {8, 64, 128},
                          .page_sizes = {1, 3, 16, 64},
                          .most_sequences = 9,
                          .most_queries = 300,
                          .most_keys = 2000};
  for (std::uint64_t problem = 0; problem < 16; problem++)
    for (std::uint64_t i = 0; i < 10; i++) {
      AppendCase given = random_append(draw, 16, problem, 1000 * problem + i);
      given.forward.layout = Layout::bshd;  // others are not aligned
      given.forward.gap = 0;
      check_append(given);
    }
}

TEST_CASE("a long prompt is appended at the end of positions") {
  NEEDS_GPU();
  for (const RopeStyle style : {RopeStyle::none, RopeStyle::interleaved, RopeStyle::split_half})
    check_append({.forward = {.problem = {.group_size = 4},
                              .shape = {.batch = 2, .kv_heads = 8, .q_len = 5000, .kv_len = 6000},
                              .k_offset = 500000000},
                  .rope = {.style = style, .theta = 500000}});
}

TEST_CASE("merges of shares of all types are as exact as rounding allows") {
  NEEDS_GPU();
  const auto bench = gpu_workbench(0);
  for (const DType type : {DType::f16, DType::bf16})
    for (const bool is_float : {false, true})
      for (const int dim : {8, 64, 128, 256})
        for (const std::int64_t shares : {2, 7}) {
          const MergeCase given{.forward = {.problem = {.dtype = type, .value_head_dim = dim},
                                            .shape = {.batch = 3, .kv_heads = 5, .q_len = 333}},
                                .shares = shares,
                                .merged_dtype = is_float ? DType::f32 : type};
          INFO(given.describe());
          MergeTensors tensors(given);
          run_once(gpu_jit().merge(given.forward.problem, given.forward.shape), tensors, *bench);
          CHECK(check_merge_result(tensors).ok());
        }
}
