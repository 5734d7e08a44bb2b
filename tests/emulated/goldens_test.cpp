// Every golden kernel, executed by the emulator on small shapes.
#include "emulator/emulated_kernel.h"
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

}  // namespace

TEST_CASE("every golden kernel agrees with float64 under several seeds") {
  for (const GoldenCase& golden : golden_cases()) {
    const EmulatedKernel kernel(golden.problem, {golden.schedule, "golden"}, golden.source());
    for (const Shape& shape : shapes)
      for (std::uint64_t seed : {1, 2, 3}) {
        const ForwardCase given{.problem = golden.problem, .shape = shape, .seed = seed};
        INFO(golden.name << ": " << given.describe());
        const ForwardTensors tensors(given);
        kernel.emulate(tensors.args(), {.seed = seed});
        check_result(golden.problem, tensors.args(), tensors);
      }
  }
}
