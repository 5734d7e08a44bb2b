// Every golden kernel, executed by the emulator on small shapes.
#include <algorithm>
#include <span>

#include "compiler/expr/names.h"
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

/// Three sequences more: of half the keys, of none, and of one key and one query.
void add_lengths(ForwardCase& given) {
  const Problem& problem = given.problem;
  const std::int64_t q = given.shape.q_len, kv = given.shape.kv_len;
  given.shape.batch = 4;
  given.lengths.page_size = 8 * (1 + given.seed % 3);
  if (problem.q_lens || problem.q_layout != SequenceLayout::dense)
    given.lengths.q = {q, q, q / 2, std::min<std::int64_t>(q, 1)};
  if (problem.has_kv_lens() || problem.kv_layout != SequenceLayout::dense)
    given.lengths.kv = {kv, kv / 2, 0, std::min<std::int64_t>(kv, 1)};
}

ForwardCase call_of(const GoldenCase& golden, const Shape& shape, std::uint64_t seed) {
  ForwardCase given = forward_call_of(golden, shape, seed);
  if (golden.problem.is_ragged()) add_lengths(given);
  return given;
}

/// Rows that fill an item, that do not, and that are several; few keys and none.
constexpr Shape decode_shapes[] = {{.batch = 1, .kv_heads = 2, .q_len = 4, .kv_len = 413},
                                   {.batch = 2, .kv_heads = 1, .q_len = 1, .kv_len = 130},
                                   {.batch = 1, .kv_heads = 1, .q_len = 19, .kv_len = 70},
                                   {.batch = 1, .kv_heads = 1, .q_len = 5, .kv_len = 0}};

template <class Wanted>
void check_goldens(std::span<const Shape> called_with, const Wanted& is_wanted) {
  int checked = 0;
  for (const GoldenCase& golden : golden_cases()) {
    const Problem& problem = golden.problem;
    if (!is_wanted(golden)) continue;
    const EmulatedKernel kernel(problem, {golden.schedule, "golden"}, golden.program());
    for (const Shape& shape : called_with)
      for (std::uint64_t seed : {1, 2}) {
        const ForwardCase given = call_of(golden, shape, seed);
        INFO(golden.name << ": " << given.describe());
        const ForwardTensors tensors(given);
        kernel.emulate(tensors.args(), {.seed = seed});
        check_result(problem, tensors.args(), tensors);
        checked++;
      }
  }
  CHECK(checked > 0);
}

void check_flash_goldens(int least_head_dim, int largest_head_dim) {
  check_goldens(shapes, [=](const GoldenCase& golden) {
    const int head_dim = golden.problem.head_dim;
    return golden.schedule.family() == "flash_wgmma" && head_dim >= least_head_dim &&
           head_dim <= largest_head_dim;
  });
}

/// Those whose blocks are in clusters, or are not.
void check_decode_goldens(bool in_clusters) {
  check_goldens(decode_shapes, [=](const GoldenCase& golden) {
    const Schedule& schedule = golden.schedule;
    return schedule.family() == "decode_wgmma" &&
           (std::get<std::int64_t>(schedule.get("cluster")) > 1) == in_clusters;
  });
}

}  // namespace

TEST_CASE("golden kernels of decode agree with float64 under several seeds") {
  check_decode_goldens(/*in_clusters=*/false);
}

TEST_CASE("golden kernels of decode in clusters agree with float64 under several seeds") {
  check_decode_goldens(/*in_clusters=*/true);
}

TEST_CASE("golden kernels of head dims below 128 agree with float64 under several seeds") {
  check_flash_goldens(0, 127);
}

TEST_CASE("golden kernels of head dim 128 agree with float64 under several seeds") {
  check_flash_goldens(128, 128);
}

TEST_CASE("golden kernels of head dims above 128 agree with float64 under several seeds") {
  check_flash_goldens(129, 256);
}

TEST_CASE("one block that computes every item agrees with float64") {
  for (const char* name : {"flash_wgmma_bf16_d128_causal", "flash_wgmma_bf16_d256_causal",
                           "flash_wgmma_f16_f32_d256"}) {
    const GoldenCase golden = golden_case(name);
    const EmulatedKernel kernel(golden.problem, {golden.schedule, "golden"}, golden.program());
    const ForwardCase given{.problem = golden.problem, .shape = {1, 2, 400, 300}};
    INFO(name);
    const ForwardTensors tensors(given);
    kernel.emulate(tensors.args(), {.multiprocessors = 1});
    check_result(golden.problem, tensors.args(), tensors);
  }
}

TEST_CASE("O in two passes, sections of one head and the fixed order agree with float64") {
  for (const char* changes : {"o_passes=2", "section_heads=1", "tile_order=fixed"}) {
    GoldenCase golden = golden_case("flash_wgmma_bf16_d128_causal_two_warpgroups");
    golden.schedule = parse_schedule(changes, golden.schedule);
    const EmulatedKernel kernel(golden.problem, {golden.schedule, changes}, golden.program());
    INFO(changes);
    for (const int multiprocessors : {1, 3}) {
      const ForwardCase given{.problem = golden.problem, .shape = {2, 2, 300, 300}};
      const ForwardTensors tensors(given);
      kernel.emulate(tensors.args(), {.multiprocessors = multiprocessors});
      check_result(golden.problem, tensors.args(), tensors);
    }
  }
}

TEST_CASE("every offset of the queries modulo a key tile agrees with float64") {
  const GoldenCase golden = golden_case("flash_wgmma_bf16_d128_causal_three_stages");
  constexpr int tile_kv = 64;  // its own
  const EmulatedKernel kernel(golden.problem, {golden.schedule, "golden"}, golden.program());
  for (int offset = -3; offset < tile_kv; offset++) {
    const ForwardCase given{.problem = golden.problem, .shape = {1, 1, 20, 150}};
    INFO("offset " << offset);
    const ForwardTensors tensors(given);
    ForwardArgs args = tensors.args();
    args.q_offset = offset;
    kernel.emulate(args, {.seed = static_cast<std::uint64_t>(offset + 4)});
    check_result(golden.problem, args, tensors);
  }
}

TEST_CASE("some rows of some keys agree with float64") {
  for (const char* name : {"flash_wgmma_bf16_d128_causal", "flash_wgmma_bf16_d64"}) {
    const GoldenCase golden = golden_case(name);
    const EmulatedKernel kernel(golden.problem, {golden.schedule, "golden"}, golden.program());
    const ForwardCase given{.problem = golden.problem, .shape = {2, 2, 300, 400}};
    INFO(name);
    const ForwardTensors tensors(given);
    ForwardArgs args = tensors.args();
    args.q_rows = Rows{37, 270};
    args.kv_rows = Rows{81, 333};
    kernel.emulate(args, {});
    check_result(golden.problem, args, tensors);
  }
}

TEST_CASE("scores far below zero agree with float64") {
  for (const char* name :
       {"flash_wgmma_bf16_d128_causal_three_stages", "flash_wgmma_bf16_d64_causal"}) {
    const GoldenCase golden = golden_case(name);
    const EmulatedKernel kernel(golden.problem, {golden.schedule, "golden"}, golden.program());
    for (const Shape& shape : {Shape{1, 2, 300, 257}, Shape{1, 16, 64, 65}}) {
      const ForwardCase given{.problem = golden.problem, .shape = shape};
      INFO(name << ": " << given.describe());
      const ForwardTensors tensors(given);
      ForwardArgs args = tensors.args();
      args.scale = 20.F;
      kernel.emulate(args, {});
      check_result(golden.problem, args, tensors);
    }
  }
}
