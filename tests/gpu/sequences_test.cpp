// Batches whose sequences differ, on a GPU.
#include <llvm/Support/Parallel.h>

#include <algorithm>
#include <vector>

#include "measure/accuracy.h"
#include "measure/operands.h"
#include "runtime/gpu/device.h"
#include "tests/gpu/gpu_case.h"
#include "tests/support/catch.h"
#include "tests/support/random_sequences.h"
#include "tests/support/skip.h"

using namespace streamattn;

#define NEEDS_GPU() \
  if (auto reason = no_gpu_reason(); !reason.empty()) SKIP_TEST(reason)

TEST_CASE("random batches of sequences are as accurate as plain attention") {
  NEEDS_GPU();
  constexpr std::uint64_t problems = 48, cases_of_problem = 20;
  const SequenceDraw draw{.types = {DType::f16, DType::bf16},
                          .head_dims = {16, 64, 80, 128, 256},
                          .value_head_dims = {64, 128, 256},
                          .page_sizes = {1, 3, 8, 16, 24, 64, 128},
                          .most_sequences = 9,
                          .most_keys = 3000};
  llvm::parallelFor(0, problems, [&](std::size_t i) {
    const ForwardCase first = random_sequences(draw, i, 0);
    if (first.problem.is_ragged()) gpu_jit().forward(first.problem, {1, 1, 4, 4096});
  });
  for (std::uint64_t problem = 0; problem < problems; problem++) {
    for (std::uint64_t i = 0; i < cases_of_problem; i++) {
      const ForwardCase given = random_sequences(draw, problem, 1000 * problem + i);
      if (!given.problem.is_ragged()) continue;
      check_case(given, gpu_jit().forward(given.problem, {1, 1, 4, 4096}));
    }
  }
}

TEST_CASE("random batches of many queries are as accurate as plain attention") {
  NEEDS_GPU();
  constexpr std::uint64_t problems = 48, cases_of_problem = 12;
  constexpr Shape prefill{.batch = 8, .kv_heads = 2, .q_len = 1024, .kv_len = 1024};
  const SequenceDraw draw{.types = {DType::f16, DType::bf16},
                          .head_dims = {16, 64, 80, 128, 256},
                          .value_head_dims = {40, 64, 128, 256},
                          .page_sizes = {1, 3, 8, 12, 16, 20, 24, 64, 128, 256},
                          .most_sequences = 9,
                          .most_queries = 700,
                          .most_keys = 1500};
  llvm::parallelFor(0, problems, [&](std::size_t i) {
    const ForwardCase first = random_sequences(draw, i, 0);
    if (first.problem.is_ragged()) gpu_jit().forward(first.problem, prefill);
  });
  for (std::uint64_t problem = 0; problem < problems; problem++) {
    for (std::uint64_t i = 0; i < cases_of_problem; i++) {
      const ForwardCase given = random_sequences(draw, problem, 1000 * problem + i);
      if (!given.problem.is_ragged()) continue;
      const ForwardKernel& kernel = gpu_jit().forward(given.problem, prefill);
      CHECK(kernel.schedule().family() == "flash_wgmma");
      check_case(given, kernel);
    }
  }
}

TEST_CASE("random batches of long sequences whose keys are split are as accurate as others") {
  NEEDS_GPU();
  constexpr std::uint64_t problems = 32, cases_of_problem = 8;
  constexpr Shape long_contexts{.batch = 1, .kv_heads = 2, .q_len = 128, .kv_len = 65536};
  const SequenceDraw draw{.types = {DType::f16, DType::bf16},
                          .head_dims = {16, 64, 80, 128, 256},
                          .value_head_dims = {40, 64, 128, 256},
                          .page_sizes = {1, 3, 8, 12, 16, 20, 24, 64, 128, 256},
                          .most_sequences = 6,
                          .most_queries = 200,
                          .most_keys = 8000};
  for (std::uint64_t problem = 0; problem < problems; problem++) {
    for (std::uint64_t i = 0; i < cases_of_problem; i++) {
      const ForwardCase given = random_sequences(draw, problem, 1000 * problem + i);
      if (!given.problem.is_ragged()) continue;
      const ForwardKernel& kernel = gpu_jit().forward(given.problem, long_contexts);
      CHECK(std::get<bool>(kernel.schedule().get("split_keys")));
      check_case(given, kernel);
    }
  }
}

namespace {

/// Captures a launch of a case whose sequences have lengths, and replays it with other ones: those
/// of the keys, and as many queries as there is room for.
void check_replays(const ForwardCase& given, const std::vector<std::vector<std::int32_t>>& steps) {
  const ForwardKernel& kernel = gpu_jit().forward(given.problem, given.shape);
  ForwardTensors tensors(given);
  const auto bench = gpu_workbench(0);
  const Operands operands(tensors, *bench);
  const Enqueue launch = operands.launch_of(kernel);
  ContextScope scope(GpuDevice::get().context());
  CUstream stream = nullptr;
  CUgraph graph = nullptr;
  CUgraphExec exec = nullptr;
  check(driver().cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING), "cuStreamCreate");
  check(driver().cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_RELAXED), "begin capture");
  launch(stream);
  check(driver().cuStreamEndCapture(stream, &graph), "end capture");
  check(driver().cuGraphInstantiateWithFlags(&exec, graph, 0), "instantiate");
  for (const std::vector<std::int32_t>& lens : steps) {
    std::vector<std::int32_t> q_lens;
    for (const std::int32_t length : lens)
      q_lens.push_back(std::min(length, static_cast<std::int32_t>(given.shape.q_len)));
    const auto upload = [&](const std::int32_t* to, const std::vector<std::int32_t>& from) {
      bench->upload(const_cast<std::int32_t*>(to), from.data(), from.size() * sizeof from[0]);
    };
    upload(operands.args().sequences.kv_lens, lens);
    if (given.problem.q_lens) upload(operands.args().sequences.q_lens, q_lens);
    check(driver().cuGraphLaunch(exec, stream), "replay");
    check(driver().cuStreamSynchronize(stream), "replay");
    operands.download_outputs(tensors);
    ForwardArgs args = tensors.args();
    args.sequences.kv_lens = lens.data();
    if (given.problem.q_lens) args.sequences.q_lens = q_lens.data();
    const Errors errors = errors_of(given.problem, args, all_rows(args), {}, Arithmetic::gpu);
    CHECK(errors.ok());
  }
  check(driver().cuGraphExecDestroy(exec), "destroy");
  check(driver().cuGraphDestroy(graph), "destroy");
  check(driver().cuStreamDestroy(stream), "destroy");
}

}  // namespace

TEST_CASE("a captured launch is right for the lengths that stand there when it replays") {
  NEEDS_GPU();
  ForwardCase given{.problem = {.group_size = 8, .mask = causal(), .kv_lens = true},
                    .shape = {.batch = 4, .kv_heads = 2, .q_len = 1, .kv_len = 2000}};
  given.lengths.kv = {2000, 2000, 2000, 2000};
  const std::vector<std::vector<std::int32_t>> steps = {
      {2000, 1, 700, 64}, {0, 2000, 65, 1999}, {5, 5, 5, 5}};
  check_replays(given, steps);
  given.problem.q_lens = true;
  given.shape.q_len = 700;  // many queries: work items are listed anew
  given.lengths.q = {700, 700, 700, 700};
  check_replays(given, steps);
  given.problem.kv_layout = SequenceLayout::paged;
  for (const std::int64_t page_size : {4, 64}) {
    given.lengths.page_size = page_size;
    check_replays(given, steps);
  }
  given.shape = {.batch = 2, .kv_heads = 2, .q_len = 130, .kv_len = 9000};  // split keys
  given.lengths.q = {130, 130};
  given.lengths.kv = {9000, 9000};
  check_replays(given, {{9000, 9000}, {9000, 1}, {0, 5000}, {64, 300}, {8999, 0}});
}

// What compute-sanitizer is run on.
TEST_CASE("one small launch of each skeleton of sequences that differ") {
  NEEDS_GPU();
  constexpr SequenceLayout packed = SequenceLayout::packed, paged = SequenceLayout::paged;
  for (const SequenceLayout keys : {packed, paged})
    for (const std::int64_t page_size : {64, 5}) {
      if (keys == packed && page_size == 5) continue;
      ForwardCase given{.problem = {.head_dim = 64,
                                    .group_size = 4,
                                    .mask = causal(),
                                    .q_layout = packed,
                                    .kv_layout = keys},
                        .shape = {.batch = 3, .kv_heads = 2, .q_len = 140, .kv_len = 600},
                        .lengths = {.q = {140, 1, 70}, .kv = {140, 600, 0}},
                        .max_sms = 3};
      given.lengths.page_size = keys == paged ? page_size : 0;
      const ForwardKernel& whole = gpu_jit().forward(given.problem, {8, 2, 1024, 1024});
      CHECK(whole.schedule().family() == "flash_wgmma");
      check_case(given, whole);
      check_case(given, gpu_jit().forward(given.problem, {1, 2, 128, 65536}));
      for (const char* cluster : {"cluster=1", "cluster=4"}) {
        const Schedule decode = gpu_jit().forward(given.problem, {8, 2, 1, 4096}).schedule();
        CHECK(decode.family() == "decode_wgmma");
        given.lengths.q = {1, 4, 2};
        given.shape.q_len = 4;
        check_case(given, gpu_jit().forward(given.problem, parse_schedule(cluster, decode)));
      }
    }
}
