// flash_wgmma on the emulator where sequences differ: every layout, lengths of every kind, and with
// faults planted.
#include <algorithm>
#include <cstring>
#include <vector>

#include "streamattn/error.h"
#include "tests/emulated/emulated_case.h"
#include "tests/support/catch.h"
#include "tests/support/forward_case.h"
#include "tests/support/random_sequences.h"

using namespace streamattn;

namespace {

constexpr SequenceLayout packed = SequenceLayout::packed;

const Target& hopper() { return find_target("sm_90a"); }

constexpr const char* knobs_of_kind[] = {
    "tile_q=128,tile_kv=64,stages=2,math_warpgroups=2,ping_pong=true,q_in_registers=true,"
    "o_buffer=true,o_passes=1,softmax=stale",
    "tile_q=192,tile_kv=48,stages=3,math_warpgroups=3,ping_pong=true,q_in_registers=false,"
    "o_buffer=true,o_passes=1,softmax=exact",
    "tile_q=64,tile_kv=32,stages=4,math_warpgroups=1,ping_pong=false,q_in_registers=true,"
    "o_buffer=true,o_passes=1,softmax=stale"};

/// A schedule of the family for long sequences, of a kind.
Schedule schedule_of(const Problem& problem, std::size_t kind) {
  const Schedule chosen =
      choose(Operation::forward, problem, {4, 2, 4096, 4096}, hopper()).schedule;
  return parse_schedule(knobs_of_kind[kind % std::size(knobs_of_kind)], chosen);
}

EmulatedKernel kernel_of(const Problem& problem, const Schedule& schedule,
                         std::span<const EmbeddedFile> instead = {}) {
  return {problem,
          {schedule, "a test"},
          emit(Operation::forward, problem, schedule, hopper()),
          instead};
}

void check_case(const EmulatedKernel& kernel, const ForwardCase& given, int multiprocessors = 3) {
  INFO(given.describe() << ", " << multiprocessors << " multiprocessors");
  const ForwardTensors tensors(given);
  kernel.emulate(tensors.args(), {.seed = given.seed, .multiprocessors = multiprocessors});
  check_result(given.problem, tensors.args(), tensors);
}

ForwardCase case_of(const Problem& problem, const std::vector<std::int64_t>& q,
                    const std::vector<std::int64_t>& kv) {
  ForwardCase given{.problem = problem,
                    .shape = {.batch = static_cast<std::int64_t>(q.size()), .kv_heads = 2},
                    .lengths = {.q = q, .kv = kv}};
  given.shape.q_len = *std::ranges::max_element(q);
  given.shape.kv_len = *std::ranges::max_element(kv);
  return given;
}

/// What flash_wgmma takes of random batches.
SequenceDraw gpu_draw() {
  return {.types = {DType::f16, DType::bf16},
          .head_dims = {16, 64, 80},
          .value_head_dims = {40, 64},
          .group_sizes = {1, 2, 3},
          .most_queries = 260,
          .most_keys = 330};
}

/// O and LSE of a run, bit by bit.
std::vector<double> result_of(const EmulatedKernel& kernel, const ForwardCase& given,
                              const Emulation& how = {}) {
  const ForwardTensors tensors(given);
  kernel.emulate(tensors.args(), how);
  RowValues values = read_rows(tensors.args(), all_rows(tensors.args()));
  values.o.insert(values.o.end(), values.lse.begin(), values.lse.end());
  return values.o;
}

}  // namespace

TEST_CASE("random batches of many queries agree with float64 in every layout without pages") {
  int checked = 0;
  for (std::uint64_t problem = 0; problem < 40; problem++) {
    const Problem compiled = random_sequences(gpu_draw(), problem, 0).problem;
    if (!compiled.is_ragged() || compiled.kv_layout == SequenceLayout::paged) continue;
    const EmulatedKernel kernel = kernel_of(compiled, schedule_of(compiled, problem));
    for (std::uint64_t seed = 0; seed < 4; seed++, checked++)
      check_case(kernel, random_sequences(gpu_draw(), problem, 100 * problem + seed),
                 1 + static_cast<int>(seed % 4));
  }
  CHECK(checked > 50);
}

TEST_CASE(
    "huge sequences next to tiny ones and none agree with float64, however heads are shared") {
  const Problem problem{
      .head_dim = 64, .group_size = 4, .mask = causal(), .q_layout = packed, .kv_layout = packed};
  const std::vector<std::int64_t> q = {500, 1, 0, 129, 128, 0, 63},
                                  kv = {600, 1, 7, 129, 0, 0, 300};
  for (const char* knobs : {"packed_heads=1", "packed_heads=4", "section_heads=1",
                            "section_heads=3", "tile_order=fixed"}) {
    INFO(knobs);
    const EmulatedKernel kernel =
        kernel_of(problem, parse_schedule(knobs, schedule_of(problem, 0)));
    for (const int multiprocessors : {7, 132})
      check_case(kernel, case_of(problem, q, kv), multiprocessors);
  }
}

TEST_CASE(
    "more sequences than a warp has lanes are all listed, and none of them may have a query") {
  const Problem problem{.head_dim = 16, .q_layout = packed, .kv_layout = packed};
  const EmulatedKernel kernel = kernel_of(problem, schedule_of(problem, 2));
  std::vector<std::int64_t> lengths(300);
  for (std::size_t i = 0; i < lengths.size(); i++)
    lengths[i] = static_cast<std::int64_t>(i % 17 == 0 ? 70 : i % 3);
  check_case(kernel, case_of(problem, lengths, lengths), 5);
  std::ranges::fill(lengths, 0);
  check_case(kernel, case_of(problem, lengths, lengths), 5);
}

TEST_CASE("a packed batch of equal sequences gives the bits of the dense one") {
  for (const char* score : {"score", "2 * tanh(score / 2)"}) {
    Problem dense{.head_dim = 64,
                  .group_size = 2,
                  .mask = causal(),
                  .score = Expr::parse(score, ExprRole::score)};
    Problem ragged = dense;
    ragged.q_layout = ragged.kv_layout = packed;
    for (std::size_t kind = 0; kind < std::size(knobs_of_kind); kind++) {
      INFO(score << ", kind " << kind);
      const Shape shape{.batch = 3, .kv_heads = 1, .q_len = 150, .kv_len = 210};
      const Schedule schedule = schedule_of(ragged, kind);
      CHECK(result_of(kernel_of(ragged, schedule), {.problem = ragged, .shape = shape}) ==
            result_of(kernel_of(dense, schedule), {.problem = dense, .shape = shape}));
    }
  }
}

TEST_CASE("weights that are dropped of sequences that differ are those of each by itself") {
  const Problem problem{
      .head_dim = 64, .mask = causal(), .q_layout = packed, .kv_layout = packed, .dropout = true};
  const EmulatedKernel kernel = kernel_of(problem, schedule_of(problem, 0));
  ForwardCase given = case_of(problem, {150, 3, 70}, {200, 3, 333});
  given.dropout = {0.3F, 9, 1};
  check_case(kernel, given);
}

TEST_CASE("faults where sequences differ are noticed") {
  constexpr const char *lister = "forward/query_tiles.cuh", *list = "forward/query_list.cuh",
                       *producer = "forward/flash_producer.cuh",
                       *screen = "forward/flash_screen.cuh",
                       *epilogue = "forward/flash_epilogue.cuh", *output = "parts/output.cuh",
                       *shared = "forward/flash_shared.cuh", *block = "forward/flash_wgmma.cuh";
  const struct {
    const char* what;
    Fault fault;
    const char* cause;
  } faults[] = {
      {"rows behind the last stay what they are",
       {screen, "clear_rows<VTile>(shared.v(note.x), note.z)", "(void)0"},
       "wrong result"},
      {"cleared rows are not shown to wgmma",
       {screen, "make_int4(0, 0, 0, 0));\n    fence_shared_to_async();", "make_int4(0, 0, 0, 0));"},
       "fence_shared_to_async is missing"},
      {"tiles do not wait for all that clear them",
       {screen, "named_barrier_sync(screen_barrier, 32 * screen_warps);", ""},
       "shared address"},
      {"whole tiles of O are stored where a sequence ends",
       {epilogue, "tile_row(item) + at.first_row() + 64 <= to.count", "true"},
       "of o once more"},
      {"rows of O are copied behind the end",
       {output, "if (tile_row + row >= to.count || column >= columns) continue;", ""},
       "of o, which is behind it"},
      {"keys begin at the first sequence",
       {producer, "first_kv_row_of<Spec>(item) + first_key", "first_key"},
       "wrong result"},
      {"items begin at the first sequence",
       {list, "q_row = __shfl_sync(~0u, rows.x, 0);", "q_row = 0;"},
       "of lse once more"},
      {"the list is not waited for",
       {block, "if constexpr (Spec::key_lists || is_ragged<Spec>) dependency_wait();", ""},
       "of query tiles, which nothing has written"},
      {"the queue of the screen is as long as a ring",
       {shared, "StageQueue<tiling.screen_places()>", "StageQueue<2>"},
       ""},
      {"classes begin before all have counted",
       {lister, "    __syncthreads();\n    int in_front", "    int in_front"},
       "reads shared address"},
      {"warps begin at the same place of a class",
       {lister, "next = until - all + in_front;", "next = until - all;"},
       "overwrites byte"},
      {"classes begin where they end",
       {lister, "next = until - all + in_front;", "next = until + in_front;"},
       "of query tiles, which is behind it"},
  };
  // Lengths that leave garbage behind them, and sequences without any between.
  const Problem problem{.head_dim = 64,
                        .mask = causal(),
                        .q_layout = packed,
                        .kv_layout = packed,
                        .q_lens = true,
                        .kv_lens = true};
  const Schedule schedule = schedule_of(problem, 0);
  const ForwardCase given = case_of(problem, {140, 1, 200, 64, 300}, {140, 2, 199, 64, 500});
  for (const auto& [what, fault, cause] : faults) {
    INFO(what);
    const std::string text = faulty_text(fault);
    const EmbeddedFile instead[] = {{fault.file, text}};
    const EmulatedKernel kernel = kernel_of(problem, schedule, instead);
    const ForwardTensors tensors(given);
    std::string report = "nothing";
    try {
      kernel.emulate(tensors.args(), {.seed = 1, .slice_seconds = 0.2});
      if (!check_accuracy(given, tensors, Arithmetic::float32).ok()) report = "wrong result";
    } catch (const Error& error) {
      if (error.code() != ErrorCode::launch_failed) throw;
      report = error.what();
    }
    CHECK(report != "nothing");
    CHECK_THAT(report, contains_text(cause));
  }
}
