// Append kernels, executed by the emulator: every layout and rotation, and planted faults.
#include <vector>

#include "measure/append_accuracy.h"
#include "measure/append_operands.h"
#include "streamattn/error.h"
#include "tests/emulated/emulated_case.h"
#include "tests/support/catch.h"
#include "tests/support/golden_cases.h"
#include "tests/support/random_append.h"

using namespace streamattn;

namespace {

/// An append kernel on the emulator.
class EmulatedAppend {
 public:
  /// Templates in `instead` take the place of their namesakes.
  explicit EmulatedAppend(GoldenCase golden, std::span<const EmbeddedFile> instead = {})
      : golden_(std::move(golden)),
        program_(std::make_shared<const EmulatedProgram>(golden_.program(), instead)) {}

  /// Knobs that steer a launch.
  void set(const std::string& knobs) { golden_.schedule = parse_schedule(knobs, golden_.schedule); }

  AppendKernel kernel(const Emulation& how = {}) const {
    const Target& target = find_target("sm_90a");
    return AppendKernel({Operation::append, golden_.problem, {golden_.schedule, "golden"}, target},
                        std::make_unique<EmulatedExecutor>(golden_.problem, golden_.schedule,
                                                           target, program_, how));
  }

  AppendAccuracy emulate(const AppendCase& given, const Emulation& how = {}) const {
    AppendTensors tensors(given);
    run_once(kernel(how), tensors, *cpu_workbench());
    return check_append_result(golden_.problem, tensors);
  }

 private:
  GoldenCase golden_;
  std::shared_ptr<const EmulatedProgram> program_;
};

/// Three sequences, one without new tokens, one with more of them than its cache holds.
AppendCase call_of(const GoldenCase& golden, RopeStyle style, int dim = 0) {
  const Problem& problem = golden.problem;
  AppendCase given{.forward = {.problem = problem,
                               .shape = {.batch = 3, .kv_heads = 2, .q_len = 7, .kv_len = 40}},
                   .rope = {.style = style, .dim = dim}};
  if (problem.q_lens || problem.q_layout == SequenceLayout::packed)
    given.forward.lengths.q = {7, 0, 4};
  if (problem.has_kv_lens() || problem.kv_layout == SequenceLayout::packed)
    given.forward.lengths.kv = {40, 17, 2};
  return given;
}

void check_ok(const EmulatedAppend& kernel, const AppendCase& given, const Emulation& how = {}) {
  INFO(given.describe());
  const AppendAccuracy found = kernel.emulate(given, how);
  CHECK(found.rows > 0);
  CHECK(found.wrong_copies == 0);
  CHECK(found.error <= 1);
  CHECK(found.untouched);
}

/// What the emulator says of the golden kernel with `fault`.
std::string report_of(const char* name, const Fault& fault) {
  const std::string text = faulty_text(fault);
  const EmbeddedFile instead[] = {{fault.file, text}};
  const GoldenCase golden = golden_case(name);
  const AppendCase given = call_of(golden, RopeStyle::split_half, 16);
  try {
    const EmulatedAppend kernel(golden, instead);
    return kernel.emulate(given, {.slice_seconds = 0.2}).ok() ? "nothing" : "wrong result";
  } catch (const Error& error) {
    if (error.code() != ErrorCode::launch_failed) throw;
    return error.what();
  }
}

}  // namespace

TEST_CASE("golden append kernels copy and turn rows in every layout") {
  for (const GoldenCase& golden : append_golden_cases()) {
    INFO(golden.name);
    EmulatedAppend kernel(golden);
    check_ok(kernel, call_of(golden, RopeStyle::none));
    for (const RopeStyle style : {RopeStyle::interleaved, RopeStyle::split_half}) {
      check_ok(kernel, call_of(golden, style, 16), {.seed = 2, .multiprocessors = 3});
      AppendCase given = call_of(golden, style, golden.problem.head_dim / 16 * 16);
      given.with_tables = true;
      given.forward.layout = Layout::bhsd;
      check_ok(kernel, given);
      given.with_queries = false;
      given.forward.k_offset = 100000;
      given.with_tables = false;
      kernel.set("item_heads=3");
      check_ok(kernel, given);
      kernel.set("item_heads=0");
    }
  }
}

TEST_CASE("emulated appends are right for random batches of sequences") {
  const SequenceDraw draw{.types = {DType::f16, DType::bf16},
                          .head_dims = {8, 24, 64, 128},
                          .value_head_dims = {8, 40, 64},
                          .page_sizes = {1, 3, 16},
                          .most_queries = 9,
                          .most_keys = 60};
  for (std::uint64_t problem = 0; problem < 12; problem++) {
    AppendCase given = random_append(draw, 16, problem, 0);
    const Problem& what = given.forward.problem;
    const EmulatedAppend kernel(
        {.name = "random",
         .problem = what,
         .schedule = choose(Operation::append, what, {}, find_target("sm_90a")).schedule,
         .operation = Operation::append});
    for (std::uint64_t seed = 0; seed < 12; seed++) {
      given = random_append(draw, 16, problem, seed);
      given.forward.layout = Layout::bshd;  // others are not aligned
      given.forward.gap = 0;
      INFO(given.describe());
      CHECK(kernel.emulate(given, {.seed = seed}).ok());
    }
  }
}

TEST_CASE("tokens that have no place in the pages of an emulated cache are not written") {
  const GoldenCase golden = golden_case("append_rows_bf16_d128_packed_paged");
  const EmulatedAppend kernel(golden);
  const AppendCase given = call_of(golden, RopeStyle::interleaved);
  const auto is_right = [&](const std::vector<std::int32_t>& lens, std::int32_t page) {
    const AppendTensors tensors(given);
    AppendArgs args = tensors.args();
    Sequences& sequences = args.sequences;
    std::vector<std::int32_t> table(sequences.block_table,
                                    sequences.block_table + 3 * sequences.block_table_stride - 3);
    table[2] = page;  // rows 32 to 47 of sequence 0, which has room for 40
    sequences.block_table = table.data();
    sequences.kv_lens = lens.data();
    kernel.kernel().launch(args);
    return check_append_result(golden.problem, tensors, args).ok();
  };
  const std::int32_t given_page = AppendTensors(given).args().sequences.block_table[2];
  CHECK(is_right({43, 17, 2}, given_page));
  CHECK(is_right({40, 17, 2}, -1));
  CHECK(is_right({2000000000, -5, 2}, given_page));
}

TEST_CASE("faults of append kernels are noticed") {
  constexpr const char *rows = "append/append_rows.cuh", *token = "append/new_token.cuh",
                       *turns = "append/turns.cuh";
  constexpr const char *dense = "append_rows_bf16_d128", *lens = "append_rows_bf16_d192x128_lens",
                       *paged = "append_rows_bf16_d128_packed_paged",
                       *packed = "append_rows_f16_d64_packed",
                       *odd = "append_rows_f16_d24x40_packed_paged";
  struct Planted {
    const char* what;
    const char* kernel;
    Fault fault;
    const char* cause;
  };
  const Planted faults[] = {
      {"tokens in front of the cache are written",
       lens,
       {token, "cache_row < 0 || ", ""},
       "wrong result"},
      {"tokens that are no sequence's are written",
       packed,
       {token, "exists = 0 <= i && i < count;", "exists = true;"},
       "wrong result"},
      {"rows without a place go to a page",
       paged,
       {token, "if (cache_row < 0 || cache_row >= room) return false;", ""},
       "in no tensor"},
      {"new tokens go to the begin of the cache",
       lens,
       {token, "cache_row = length - count + i;", "cache_row = i;"},
       "wrong result"},
      {"the search ends one sequence early", paged, {token, "<= token", "< token"}, "wrong result"},
      {"rows of a page are counted over all pages",
       paged,
       {token, "to_row = at.row;", "to_row = cache_row;"},
       "wrong result"},
      {"the last vector of an odd number is forgotten",
       odd,
       {rows, "int half = (count - begin + 1) / 2;", "int half = (count - begin) / 2;"},
       "wrong result"},
      {"a vector behind the row is copied",
       odd,
       {rows, "bool has_high = high < count;", "bool has_high = true;"},
       "once more"},
      {"the position of the row in its tensor is taken",
       lens,
       {rows, "(long long)params.batch.k_position + at.cache_row", "(long long)at.row"},
       "wrong result"},
      {"sines have the wrong sign in half of the quarters",
       dense,
       {turns, "if (quarter & 2) sine = -sine;", ""},
       "wrong result"},
      {"pairs are neighbours where they should be halves",
       dense,
       {turns, "    if (split_half) {", "    if (!split_half) {"},
       "wrong result"},
      {"V is turned, too",
       dense,
       {rows, "head < v_begin) {", "head < v_begin + 1) {"},
       "once more"},
  };
  for (const auto& [what, kernel, fault, cause] : faults) {
    INFO(what);
    CHECK_THAT(report_of(kernel, fault), contains_text(cause));
  }
}
