// The emulator beside the GPU: the same kernels on the same inputs.
#include "emulator/emulated_kernel.h"
#include "measure/operands.h"
#include "tests/emulated/emulated_case.h"
#include "tests/gpu/gpu_case.h"
#include "tests/support/catch.h"
#include "tests/support/skip.h"

using namespace streamattn;

TEST_CASE("the emulator's results are the GPU's but for the order of sums") {
  if (const auto reason = no_gpu_reason(); !reason.empty()) SKIP_TEST(reason);
  for (const GoldenCase& golden : golden_cases()) {
    INFO(golden.name);
    const Problem& problem = golden.problem;
    const ForwardCase given{.problem = problem,
                            .shape = {1, 2, 300, 413},
                            .scalars = golden.scalars,
                            .tensors = golden.tensors};
    ForwardTensors there(given);
    run_once(gpu_jit().forward(problem, golden.schedule), there, *gpu_workbench(0));
    const ForwardTensors here(given);
    const auto rows = all_rows(here.args());
    const RowValues gpu = read_rows(there.args(), rows);
    const EmulatedKernel kernel(problem, {golden.schedule, "golden"}, golden.program());
    kernel.launch(here.args());
    const RowValues emulated = read_rows(here.args(), rows);
    // Sums in another order move a score by an ulp of float32, which now and then moves P or O by
    // an ulp of the element type; all of plain attention's error is of that kind.
    const RowValues exact = reference_forward(problem, here.args(), rows);
    const RowValues plain = plain_forward(problem, here.args(), rows);
    CHECK(relative_error(emulated.o, gpu.o) <= relative_error(plain.o, exact.o) / 2);
    CHECK(max_error(emulated.lse, gpu.lse) <= 2e-5);
  }
}
