// The CPU target on batches whose sequences differ, in every layout.
#include <algorithm>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/forward_case.h"
#include "tests/support/random_sequences.h"
#include "tests/unit/cpu_run.h"

namespace streamattn {
namespace {

constexpr SequenceLayout dense = SequenceLayout::dense, packed = SequenceLayout::packed,
                         paged = SequenceLayout::paged;

/// A batch of four with an empty sequence, in memory as `problem` says.
ForwardCase four(const Problem& problem) {
  return {.problem = problem,
          .shape = {.batch = 4, .kv_heads = 2, .q_len = 5, .kv_len = 130},
          .lengths = {.q = {5, 1, 0, 3}, .kv = {130, 1, 64, 0}}};
}

Problem causal_problem() {
  return {.dtype = DType::bf16, .head_dim = 32, .group_size = 2, .mask = causal()};
}

void check_case(const ForwardCase& given) {
  INFO(given.describe());
  const ForwardTensors tensors(given);
  run(given.problem, tensors.args());
  check_result(given.problem, tensors.args(), tensors);
}

/// The rows of o that are written, in the order of sequences.
std::vector<double> outputs(const ForwardCase& given) {
  const ForwardTensors tensors(given);
  run(given.problem, tensors.args());
  return read_rows(tensors.args(), all_rows(tensors.args())).o;
}

}  // namespace

TEST_CASE("the CPU agrees with float64 for thousands of random batches of sequences") {
  for (std::uint64_t seed = 0; seed < 3000; seed++) check_case(random_sequences({}, seed, seed));
}

TEST_CASE("every layout of sequences gives the same bits") {
  Problem problem = causal_problem();
  problem.q_lens = problem.kv_lens = true;
  const std::vector<double> expected = outputs(four(problem));
  for (const SequenceLayout q : {dense, packed}) {
    for (const SequenceLayout kv : {dense, packed, paged}) {
      problem.q_layout = q;
      problem.kv_layout = kv;
      CHECK(outputs(four(problem)) == expected);
    }
  }
  problem.kv_layout = paged;
  for (const std::int64_t page_size : {1, 7, 16, 200}) {
    ForwardCase given = four(problem);
    given.lengths.page_size = page_size;
    CHECK(outputs(given) == expected);
    given.layout = Layout::bhsd;
    CHECK(outputs(given) == expected);
  }
}

TEST_CASE("a sequence among others has the result that it has alone") {
  Problem problem = causal_problem();
  problem.q_layout = problem.kv_layout = packed;
  const ForwardCase given = four(problem);
  const ForwardTensors tensors(given);
  run(given.problem, tensors.args());
  for (const OutputRow& row : all_rows(tensors.args())) {
    // The same rows of q, k and v as dense tensors.
    ForwardArgs args = tensors.args();
    Problem alone = causal_problem();
    const Sequences& sequences = args.sequences;
    const std::int64_t q = sequences.cu_seqlens_q[row.batch],
                       k = sequences.cu_seqlens_kv[row.batch];
    args.q_rows = Rows{q + row.row, q + row.row + 1};
    args.kv_rows = Rows{k, sequences.cu_seqlens_kv[row.batch + 1]};
    args.q_offset = given.lengths.kv[row.batch] - given.lengths.q[row.batch] - q;
    args.k_offset = -k;
    args.sequences = {};
    const Errors errors = errors_of(alone, args, sample_rows(args, 1 << 20, 0));
    CHECK(errors.o <= errors.o_allowed);
  }
}

TEST_CASE("K and V in one tensor of pages are two views of it") {
  constexpr std::int64_t pages = 6, page_size = 16, heads = 2, dim = 32;
  Problem problem = causal_problem();
  problem.kv_layout = paged;
  ForwardCase given = four(problem);
  given.lengths = {.q = {}, .kv = {20, 5, 0, 16}};
  given.shape.kv_len = 20;
  ForwardTensors tensors(given);
  run(given.problem, tensors.args());
  const std::vector<double> expected = read_rows(tensors.args(), all_rows(tensors.args())).o;

  ForwardArgs args = tensors.args();
  REQUIRE(args.k.batch <= pages);
  constexpr std::int64_t page = page_size * heads * dim;
  std::vector<std::uint16_t> both(pages * 2 * page);  // [pages, 2, page_size, heads, dim]
  for (std::int64_t p = 0; p < args.k.batch; p++) {
    std::copy_n(static_cast<const std::uint16_t*>(args.k.data) + p * page, page,
                both.data() + 2 * p * page);
    std::copy_n(static_cast<const std::uint16_t*>(args.v.data) + p * page, page,
                both.data() + (2 * p + 1) * page);
  }
  args.k.data = both.data(), args.v.data = both.data() + page;
  args.k.batch_stride = args.v.batch_stride = 2 * page;
  run(given.problem, args);
  CHECK(read_rows(args, all_rows(args)).o == expected);
}

TEST_CASE("pages that were given back are not read where the mask hides them") {
  Problem problem = causal_problem();
  problem.mask = causal() && sliding_window(10);
  problem.kv_layout = paged;
  ForwardCase given = four(problem);
  given.shape.q_len = 1;
  given.lengths = {.q = {}, .kv = {130, 100, 64, 40}};
  ForwardTensors tensors(given);
  run(given.problem, tensors.args());
  const std::vector<double> expected = read_rows(tensors.args(), all_rows(tensors.args())).o;

  ForwardArgs args = tensors.args();
  Sequences& sequences = args.sequences;
  std::vector<std::int32_t> table(4 * sequences.pages, -1);
  for (std::int64_t b = 0; b < 4; b++)
    for (std::int64_t p = (given.lengths.kv[b] - 10) / 16; p < sequences.pages; p++)
      table[b * sequences.pages + p] = sequences.block_table[b * sequences.block_table_stride + p];
  sequences.block_table = table.data();
  sequences.block_table_stride = 0;
  run(given.problem, args);
  CHECK(read_rows(args, all_rows(args)).o == expected);
}

TEST_CASE("lengths beyond what there is room for are cut, and those below 0 are 0") {
  Problem problem = causal_problem();
  problem.kv_lens = true;
  ForwardCase given = four(problem);
  given.lengths = {.q = {}, .kv = {130, 0, 64, 130}};
  ForwardTensors tensors(given);
  run(given.problem, tensors.args());
  const std::vector<double> expected = read_rows(tensors.args(), all_rows(tensors.args())).o;
  ForwardArgs args = tensors.args();
  const std::int32_t lens[] = {1000000, -5, 64, 131};
  args.sequences.kv_lens = lens;
  run(given.problem, args);
  CHECK(read_rows(args, all_rows(args)).o == expected);
}

}  // namespace streamattn
