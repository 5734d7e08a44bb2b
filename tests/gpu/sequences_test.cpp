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

TEST_CASE("a captured launch is right for the lengths that stand there when it replays") {
  NEEDS_GPU();
  ForwardCase given{.problem = {.group_size = 8, .mask = causal(), .kv_lens = true},
                    .shape = {.batch = 4, .kv_heads = 2, .q_len = 1, .kv_len = 2000}};
  given.lengths.kv = {2000, 2000, 2000, 2000};
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
  const std::vector<std::vector<std::int32_t>> steps = {
      {2000, 1, 700, 64}, {0, 2000, 65, 1999}, {5, 5, 5, 5}};
  for (const std::vector<std::int32_t>& lens : steps) {
    bench->upload(const_cast<std::int32_t*>(operands.args().sequences.kv_lens), lens.data(),
                  lens.size() * sizeof(std::int32_t));
    check(driver().cuGraphLaunch(exec, stream), "replay");
    check(driver().cuStreamSynchronize(stream), "replay");
    operands.download_outputs(tensors);
    ForwardArgs args = tensors.args();
    args.sequences.kv_lens = lens.data();
    const Errors errors = errors_of(given.problem, args, all_rows(args), {}, Arithmetic::gpu);
    CHECK(errors.ok());
  }
  check(driver().cuGraphExecDestroy(exec), "destroy");
  check(driver().cuGraphDestroy(graph), "destroy");
  check(driver().cuStreamDestroy(stream), "destroy");
}
