// Every golden kernel, executed by the emulator on small shapes.
#include "tests/emulated/emulated_case.h"
#include "tests/support/catch.h"
#include "tests/support/forward_case.h"
#include "tests/support/golden_cases.h"

using namespace streamattn;

namespace {

/// A few tiles with more items than blocks; odd tails and two batch entries; rows that see no key
/// under a causal mask; single rows; no keys at all.
constexpr Shape shapes[] = {{.batch = 1, .kv_heads = 2, .q_len = 300, .kv_len = 413},
                            {.batch = 2, .kv_heads = 1, .q_len = 65, .kv_len = 130},
                            {.batch = 1, .kv_heads = 1, .q_len = 230, .kv_len = 70},
                            {.batch = 2, .kv_heads = 1, .q_len = 1, .kv_len = 3},
                            {.batch = 1, .kv_heads = 1, .q_len = 5, .kv_len = 0}};

void check_goldens(int least_head_dim, int largest_head_dim) {
  int checked = 0;
  for (const GoldenCase& golden : golden_cases()) {
    const Problem& problem = golden.problem;
    if (problem.head_dim < least_head_dim || problem.head_dim > largest_head_dim) continue;
    const EmulatedKernel kernel(problem, {golden.schedule, "golden"}, golden.program());
    for (const Shape& shape : shapes)
      for (std::uint64_t seed : {1, 2, 3}) {
        const ForwardCase given{.problem = problem, .shape = shape, .seed = seed};
        INFO(golden.name << ": " << given.describe());
        const ForwardTensors tensors(given);
        kernel.emulate(tensors.args(), {.seed = seed});
        check_result(problem, tensors.args(), tensors);
        checked++;
      }
  }
  CHECK(checked > 0);
}

}  // namespace

TEST_CASE("golden kernels of head dims below 128 agree with float64 under several seeds") {
  check_goldens(0, 127);
}

TEST_CASE("golden kernels of head dim 128 agree with float64 under several seeds") {
  check_goldens(128, 128);
}

TEST_CASE("golden kernels of head dims above 128 agree with float64 under several seeds") {
  check_goldens(129, 256);
}
