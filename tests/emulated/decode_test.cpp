// decode_wgmma on the emulator: ragged batches, and pieces of items that blocks merge.
#include <algorithm>
#include <vector>

#include "streamattn/error.h"
#include "tests/emulated/emulated_case.h"
#include "tests/support/catch.h"
#include "tests/support/forward_case.h"
#include "tests/support/random_sequences.h"

using namespace streamattn;

namespace {

const Target& hopper() { return find_target("sm_90a"); }

EmulatedKernel kernel_of(const Problem& problem, const Schedule& schedule) {
  return {problem, {schedule, "a test"}, emit(Operation::forward, problem, schedule, hopper())};
}

EmulatedKernel kernel_of(const GoldenCase& golden) {
  return {golden.problem, {golden.schedule, "golden"}, golden.program()};
}

/// The schedule of the family for rows of so many queries.
Schedule decode_schedule(const Problem& problem, std::int64_t q_len) {
  const Shape shape{.batch = 1, .kv_heads = 1, .q_len = q_len, .kv_len = 8192};
  for (const Schedule& schedule : schedules(Operation::forward, problem, shape, hopper()))
    if (schedule.family() == "decode_wgmma") return schedule;
  FAIL("decode_wgmma has no schedule for " + problem.describe());
  throw;
}

void check_case(const EmulatedKernel& kernel, const ForwardCase& given, int multiprocessors) {
  INFO(given.describe() << ", " << multiprocessors << " multiprocessors");
  const ForwardTensors tensors(given);
  kernel.emulate(tensors.args(), {.seed = given.seed, .multiprocessors = multiprocessors});
  check_result(given.problem, tensors.args(), tensors);
}

/// O and LSE, bit by bit.
std::vector<double> values_of(const ForwardArgs& args) {
  RowValues values = read_rows(args, all_rows(args));
  values.o.insert(values.o.end(), values.lse.begin(), values.lse.end());
  return values.o;
}

/// Those of a run.
std::vector<double> result_of(const EmulatedKernel& kernel, const ForwardCase& given,
                              const Emulation& how) {
  const ForwardTensors tensors(given);
  kernel.emulate(tensors.args(), how);
  return values_of(tensors.args());
}

/// The call of one sequence of a batch whose keys are paged.
ForwardArgs entry_of(ForwardArgs args, std::int64_t b) {
  for (Tensor* tensor : {&args.q, &args.o, &args.lse}) {
    const std::int64_t offset = b * tensor->batch_stride * bytes(tensor->dtype);
    tensor->data = static_cast<char*>(tensor->data) + offset;
    tensor->batch = 1;
  }
  args.sequences.batch = 1;
  args.sequences.kv_lens += b;
  args.sequences.block_table += b * args.sequences.block_table_stride;
  return args;
}

/// What decode_wgmma takes of random batches.
SequenceDraw gpu_draw() {
  return {.types = {DType::f16, DType::bf16},
          .head_dims = {16, 64, 80, 128},
          .value_head_dims = {64, 128},
          .group_sizes = {1, 2, 3, 8},
          .page_sizes = {1, 3, 8, 12, 16, 24, 64, 128},
          .most_queries = 12,
          .most_keys = 400};
}

}  // namespace

TEST_CASE("random batches of sequences agree with float64 in every layout") {
  for (std::uint64_t problem = 0; problem < 24; problem++) {
    const Problem compiled = random_sequences(gpu_draw(), problem, 0).problem;
    const EmulatedKernel kernel =
        kernel_of(compiled, decode_schedule(compiled, 1 + static_cast<int>(problem % 5)));
    for (std::uint64_t seed = 0; seed < 6; seed++)
      check_case(kernel, random_sequences(gpu_draw(), problem, 100 * problem + seed),
                 1 + static_cast<int>(seed % 4));
  }
}

TEST_CASE("random batches of sequences in clusters agree with float64 in every layout") {
  for (std::uint64_t problem = 0; problem < 12; problem++) {
    const Problem compiled = random_sequences(gpu_draw(), problem, 0).problem;
    Schedule schedule = decode_schedule(compiled, 1 + static_cast<int>(problem % 5));
    schedule.set("stages", std::int64_t{2});
    schedule.set("cluster", std::int64_t{2 << problem % 3});
    const EmulatedKernel kernel = kernel_of(compiled, schedule);
    for (std::uint64_t seed = 0; seed < 6; seed++)
      check_case(kernel, random_sequences(gpu_draw(), problem, 100 * problem + seed),
                 1 + 7 * static_cast<int>(seed));
  }
}

TEST_CASE("random batches in splits agree with float64 in every layout") {
  for (std::uint64_t problem = 0; problem < 8; problem++) {
    const Problem compiled = random_sequences(gpu_draw(), problem, 0).problem;
    Schedule schedule = decode_schedule(compiled, 1 + static_cast<int>(problem % 5));
    schedule.set("stages", std::int64_t{2});
    schedule.set("cluster", std::int64_t{1 << problem % 4});
    schedule.set("split_tokens", std::int64_t{64 << problem % 2});
    const EmulatedKernel kernel = kernel_of(compiled, schedule);
    for (std::uint64_t seed = 0; seed < 6; seed++)
      check_case(kernel, random_sequences(gpu_draw(), problem, 100 * problem + seed),
                 1 + 7 * static_cast<int>(seed));
  }
}

TEST_CASE("with splits a sequence gives the same bits alone and in any batch") {
  const GoldenCase golden = golden_case("decode_wgmma_bf16_d128_g8_causal_paged");
  ForwardCase given{.problem = golden.problem,
                    .shape = {.batch = 4, .kv_heads = 2, .q_len = 1, .kv_len = 1100}};
  given.lengths.kv = {700, 65, 1100, 300};
  // Whether all sequences give the bits that they have in the batch alone, on other
  // multiprocessors.
  const auto is_invariant = [&](const char* knobs) {
    const EmulatedKernel kernel = kernel_of(golden.problem, parse_schedule(knobs, golden.schedule));
    const ForwardTensors tensors(given);
    kernel.emulate(tensors.args(), {.multiprocessors = 11});
    check_result(golden.problem, tensors.args(), tensors);
    bool same = true;
    for (std::int64_t b = 0; b < given.shape.batch; b++) {
      const ForwardArgs alone = entry_of(tensors.args(), b);
      const std::vector<double> in_batch = values_of(alone);
      for (const int multiprocessors : {1, 7, 22}) {
        kernel.emulate(alone, {.seed = 2, .multiprocessors = multiprocessors});
        same = same && values_of(alone) == in_batch;
      }
    }
    return same;
  };
  CHECK(is_invariant("split_tokens=128"));
  CHECK(is_invariant("split_tokens=64,blocks=5"));
  CHECK(is_invariant("split_tokens=256,cluster=4"));
  CHECK_FALSE(is_invariant("split_tokens=0"));
}

TEST_CASE("every row of a long sequence is merged from the pieces of many blocks") {
  for (const char* name : {"decode_wgmma_bf16_d128_g8", "decode_wgmma_bf16_f32_d256_g16"}) {
    const GoldenCase golden = golden_case(name);
    const EmulatedKernel kernel = kernel_of(golden);
    for (const int multiprocessors : {1, 2, 5, 12, 132})
      check_case(kernel,
                 {.problem = golden.problem,
                  .shape = {.batch = 1, .kv_heads = 1, .q_len = 1, .kv_len = 1500},
                  .seed = 7},
                 multiprocessors);
  }
}

TEST_CASE("the last block to arrive may be any, and gives the same bits") {
  const GoldenCase golden = golden_case("decode_wgmma_bf16_d128_g8_causal_paged");
  const EmulatedKernel kernel = kernel_of(golden);
  ForwardCase given{.problem = golden.problem,
                    .shape = {.batch = 3, .kv_heads = 2, .q_len = 1, .kv_len = 700}};
  given.lengths.kv = {700, 65, 130};
  const std::vector<double> expected = result_of(kernel, given, {.seed = 0, .multiprocessors = 4});
  for (std::uint64_t seed = 1; seed < 12; seed++)
    CHECK(result_of(kernel, given, {.seed = seed, .multiprocessors = 4}) == expected);
}

TEST_CASE(
    "blocks and clusters that share an item may arrive in any order, and give the same bits") {
  const GoldenCase golden = golden_case("decode_wgmma_bf16_d128_g8_causal_paged_cluster4");
  ForwardCase given{.problem = golden.problem,
                    .shape = {.batch = 3, .kv_heads = 2, .q_len = 1, .kv_len = 1500}};
  given.lengths.kv = {1500, 65, 700};
  for (const char* blocks : {"blocks=4", "blocks=12", "blocks=20"}) {
    INFO(blocks);
    const EmulatedKernel kernel = kernel_of(golden).with(blocks);
    check_case(kernel, given, 22);
    const std::vector<double> expected =
        result_of(kernel, given, {.seed = 0, .multiprocessors = 22});
    for (std::uint64_t seed = 1; seed < 6; seed++)
      CHECK(result_of(kernel, given, {.seed = seed, .multiprocessors = 22}) == expected);
  }
}

TEST_CASE("clusters that find no tile of short sequences, or fewer than blocks, are no one's") {
  const EmulatedKernel kernel =
      kernel_of(golden_case("decode_wgmma_bf16_d128_g8_causal_paged_cluster4")).with("blocks=40");
  ForwardCase given{.problem = golden_case("decode_wgmma_bf16_d128_g8_causal_paged").problem,
                    .shape = {.batch = 3, .kv_heads = 1, .q_len = 1, .kv_len = 1000}};
  for (const std::vector<std::int64_t>& lengths :
       {std::vector<std::int64_t>{130, 0, 200}, {64, 1, 0}, {0, 0, 0}, {1000, 3, 64}}) {
    given.lengths.kv = lengths;
    check_case(kernel, given, 132);
  }
}

TEST_CASE("blocks that find no tile of short sequences are no one's pieces") {
  GoldenCase golden = golden_case("decode_wgmma_bf16_d128_g8_causal_paged");
  golden.schedule.set("blocks", std::int64_t{40});
  const EmulatedKernel kernel = kernel_of(golden);
  ForwardCase given{.problem = golden.problem,
                    .shape = {.batch = 3, .kv_heads = 1, .q_len = 1, .kv_len = 1000}};
  for (const std::vector<std::int64_t>& lengths :
       {std::vector<std::int64_t>{130, 0, 200}, {64, 1, 0}, {0, 0, 0}, {1000, 3, 64}}) {
    given.lengths.kv = lengths;
    check_case(kernel, given, 132);
  }
}

TEST_CASE("scores far from each other move references, up and down") {
  for (const char* name : {"decode_wgmma_bf16_d128_g8", "decode_wgmma_f16_d64_causal_lens"}) {
    const GoldenCase golden = golden_case(name);
    const EmulatedKernel kernel = kernel_of(golden);
    for (const float scale : {0.01F, 1.F, 10.F, 200.F})
      check_case(kernel,
                 {.problem = golden.problem,
                  .shape = {.batch = 2, .kv_heads = 1, .q_len = 1, .kv_len = 500},
                  .distribution = Distribution::outliers,
                  .scale = scale},
                 2);
  }
}

TEST_CASE("a row that first sees keys of low scores keeps their weights") {
  // Keys are seen from the last tile to the first: all but the first 64 are hidden.
  const Problem problem{.group_size = 2,
                        .mask = Expr::parse("k < 64"),
                        .score = Expr::parse("score - 300", ExprRole::score)};
  const EmulatedKernel kernel = kernel_of(problem, decode_schedule(problem, 1));
  check_case(kernel,
             {.problem = problem, .shape = {.batch = 1, .kv_heads = 1, .q_len = 1, .kv_len = 400}},
             2);
}

TEST_CASE("keys behind a window are not read: pages that were given back may be anything") {
  const GoldenCase golden = golden_case("decode_wgmma_bf16_d128_g4_sinks_window_paged");
  const EmulatedKernel kernel = kernel_of(golden);
  ForwardCase given{.problem = golden.problem,
                    .shape = {.batch = 2, .kv_heads = 1, .q_len = 1, .kv_len = 1000},
                    .scalars = {{"window", 100}, {"first", 4}}};
  given.lengths.kv = {1000, 600};
  const ForwardTensors tensors(given);
  ForwardArgs args = tensors.args();
  const Sequences& sequences = args.sequences;
  std::vector<std::int32_t> table(sequences.block_table,
                                  sequences.block_table + 2 * sequences.block_table_stride);
  for (std::int64_t b = 0; b < 2; b++)
    for (std::int64_t p = 4; p < given.lengths.kv[b] / 16 - 8; p++)
      table[b * sequences.block_table_stride + p] = p % 2 == 0 ? -1 : 0x7FFFFFFF;
  args.sequences.block_table = table.data();
  kernel.emulate(args, {.multiprocessors = 3});
  check_result(golden.problem, tensors.args(), tensors);
}

TEST_CASE("pages of any size give the same bits") {
  const GoldenCase golden = golden_case("decode_wgmma_bf16_d128_g8_causal_paged");
  const EmulatedKernel kernel = kernel_of(golden);
  ForwardCase given{.problem = golden.problem,
                    .shape = {.batch = 3, .kv_heads = 2, .q_len = 1, .kv_len = 200}};
  given.lengths.kv = {200, 65, 1};
  const std::vector<double> expected = result_of(kernel, given, {.multiprocessors = 2});
  for (const std::int64_t page_size : {1, 2, 5, 8, 48, 512}) {
    given.lengths.page_size = page_size;
    CHECK(result_of(kernel, given, {.multiprocessors = 2}) == expected);
  }
}
