// Split keys on the emulator: shares of the key walk, and the kernel that merges them.
#include <cstring>
#include <vector>

#include "streamattn/error.h"
#include "tests/emulated/emulated_case.h"
#include "tests/support/catch.h"
#include "tests/support/scratch.h"

using namespace streamattn;

namespace {

/// Several items a block and query tiles that end in the middle; rows that see no key under a
/// causal mask; single rows; no keys at all.
constexpr Shape shapes[] = {{.batch = 1, .kv_heads = 2, .q_len = 300, .kv_len = 413},
                            {.batch = 1, .kv_heads = 1, .q_len = 230, .kv_len = 70},
                            {.batch = 2, .kv_heads = 1, .q_len = 1, .kv_len = 700},
                            {.batch = 1, .kv_heads = 1, .q_len = 5, .kv_len = 0}};

EmulatedKernel kernel_of(const GoldenCase& golden, std::span<const EmbeddedFile> instead = {}) {
  return {golden.problem, {golden.schedule, "golden"}, golden.program(), instead};
}

EmulatedKernel with_splits(const EmulatedKernel& kernel, int splits) {
  return kernel.with("splits=" + std::to_string(splits));
}

/// O and LSE of a run, bit by bit.
std::vector<double> result_of(const EmulatedKernel& kernel, const ForwardCase& given,
                              const Emulation& how) {
  const ForwardTensors tensors(given);
  kernel.emulate(tensors.args(), how);
  RowValues values = read_rows(tensors.args(), all_rows(tensors.args()));
  values.o.insert(values.o.end(), values.lse.begin(), values.lse.end());
  return values.o;
}

struct Planted {
  const char* what;
  Fault fault;
};

/// "right" or "wrong result", or the report.
std::string outcome(const GoldenCase& golden, const Fault& fault) {
  const std::string text = faulty_text(fault);
  const EmbeddedFile instead[] = {{fault.file, text}};
  const EmulatedKernel kernel = with_splits(kernel_of(golden, instead), 3);
  std::string worst = "right";
  for (const Shape& shape : {Shape{1, 2, 300, 600}, Shape{1, 1, 230, 70}}) {
    const ForwardTensors tensors({.problem = golden.problem, .shape = shape});
    const ForwardArgs args = tensors.args();
    try {
      kernel.emulate(args, {});
    } catch (const Error& error) {
      if (error.code() != ErrorCode::launch_failed) throw;
      return error.what();
    }
    const Errors errors = errors_of(golden.problem, args, all_rows(args));
    if (!errors.ok()) worst = "wrong result";
  }
  return worst;
}

}  // namespace

TEST_CASE("shares of split keys, some of them empty, merge to what float64 gives") {
  for (const GoldenCase& golden : split_golden_cases()) {
    const EmulatedKernel kernel = kernel_of(golden);
    for (const Shape& shape : shapes)
      for (int splits : {1, 2, 3, 7}) {
        const ForwardCase given{
            .problem = golden.problem, .shape = shape, .seed = static_cast<std::uint64_t>(splits)};
        INFO(golden.name << ": " << given.describe() << ", splits " << splits);
        const ForwardTensors tensors(given);
        with_splits(kernel, splits).emulate(tensors.args(), {.seed = given.seed});
        check_result(golden.problem, tensors.args(), tensors);
      }
  }
}

TEST_CASE("a merged result does not depend on the order in which shares are computed") {
  const GoldenCase golden = golden_case("flash_wgmma_bf16_d128_causal_split");
  const EmulatedKernel kernel = with_splits(kernel_of(golden), 4);
  const ForwardCase given{.problem = golden.problem, .shape = {1, 2, 300, 700}};
  const std::vector<double> once = result_of(kernel, given, {.multiprocessors = 1});
  for (std::uint64_t seed : {2, 3}) {
    const std::vector<double> again =
        result_of(kernel, given, {.seed = seed, .multiprocessors = static_cast<int>(seed) * 2});
    REQUIRE(again.size() == once.size());
    CHECK(std::memcmp(again.data(), once.data(), once.size() * sizeof(double)) == 0);
  }
}

TEST_CASE("sub-ranges, offsets, gaps between rows and a missing LSE suit split keys") {
  const GoldenCase golden = golden_case("flash_wgmma_bf16_f32_d128_causal_q_in_registers_split");
  const ForwardTensors tensors({.problem = golden.problem,
                                .shape = {2, 1, 260, 610},
                                .layout = Layout::sbhd,
                                .gap = 8,
                                .q_offset = 301,
                                .q_rows = Rows{30, 199},
                                .kv_rows = Rows{17, 600},
                                .with_lse = false});
  with_splits(kernel_of(golden), 3).emulate(tensors.args(), {.seed = 5});
  check_result(golden.problem, tensors.args(), tensors);
}

TEST_CASE("faults in shares and in their merging are noticed") {
  constexpr const char *walk = "parts/key_walk.cuh", *combine = "parts/shares.cuh",
                       *consumer = "forward/flash_consumer.cuh", *order = "parts/tile_order.cuh",
                       *epilogue = "forward/flash_epilogue.cuh";
  const Planted faults[] = {
      {"shares overlap", {walk, "in_front_of(share + 1) - to_skip", "in_front_of(share + 1)"}},
      {"the rest of the tiles is lost", {walk, " + n % shares * s / shares", ""}},
      {"a share begins at the front", {walk, "to_skip = in_front_of(share);", "to_skip = 0;"}},
      {"warpgroups take the first share", {consumer, "? max(more - 1, 0) : 0", "? 0 : 0"}},
      {"one share is computed by all", {order, "index % params.splits", "0"}},
      {"shares are written over each other", {epilogue, "item.share * order.all_heads", "0"}},
      {"shares are added without weights", {combine, "exp2_approx((", "1 + 0 * exp2_approx(("}},
      {"weights are of the other base", {combine, "- base) * log2_e", "- base)"}},
      {"a row without keys is merged as any",
       {combine, "largest == -infinity ? 0 : largest", "largest"}},
      {"the last share is left out", {combine, "s < shares", "s + 1 < shares"}},
      {"the sum is left out of the LSE", {combine, "base + log2_approx(sum) * ln_2", "base"}},
  };
  const GoldenCase golden = golden_case("flash_wgmma_bf16_d128_causal_split");
  for (const Planted& planted : faults) {
    INFO(planted.what);
    CHECK(outcome(golden, planted.fault) != "right");
  }
}

TEST_CASE("a launch of split keys without a workspace is refused") {
  const GoldenCase golden = golden_case("flash_wgmma_bf16_d128_causal_split");
  const Target& target = find_target("sm_90a");
  const ForwardKernel kernel(
      {Operation::forward, golden.problem, {golden.schedule, "golden"}, target},
      std::make_unique<EmulatedExecutor>(golden.problem, golden.schedule, target,
                                         std::make_shared<EmulatedProgram>(golden.program()),
                                         Emulation{}));
  const ForwardTensors tensors({.problem = golden.problem, .shape = {1, 1, 10, 600}});
  ForwardArgs args = tensors.args();
  const std::size_t bytes = kernel.workspace_bytes(args);
  CHECK(bytes >= 2 * 10 * (128 + 1) * sizeof(float));
  const std::string needed = ", this launch needs " + std::to_string(bytes);
  CHECK_THAT(error_of([&] { kernel.launch(args); }),
             contains_text("invalid_argument: workspace: is 0 bytes" + needed));
  std::vector<std::byte> memory(bytes + 512);
  args.workspace = {memory.data(), bytes - 1};
  CHECK_THAT(error_of([&] { kernel.launch(args); }),
             contains_text("workspace: is " + std::to_string(bytes - 1) + " bytes" + needed));
  const auto address = reinterpret_cast<std::uintptr_t>(memory.data());
  args.workspace = {memory.data() + (256 - address % 256) + 16, bytes};
  CHECK_THAT(error_of([&] { kernel.launch(args); }), contains_text("needs a multiple of 256"));
}
