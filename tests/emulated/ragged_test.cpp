// flash_wgmma on the emulator where sequences differ: every layout, lengths of every kind, and with
// faults planted.
#include <vector>

#include "tests/emulated/ragged_case.h"
#include "tests/support/planted_values.h"

using namespace streamattn;

namespace {

constexpr SequenceLayout packed = SequenceLayout::packed;

}  // namespace

TEST_CASE("random batches of many queries agree with float64 in every layout without pages") {
  int checked = 0;
  for (std::uint64_t problem = 0; problem < 40; problem++) {
    const Problem compiled = random_sequences(ragged_draw(), problem, 0).problem;
    if (!compiled.is_ragged() || compiled.kv_layout == SequenceLayout::paged) continue;
    const EmulatedKernel kernel = ragged_kernel(compiled, ragged_schedule(compiled, problem));
    for (std::uint64_t seed = 0; seed < 4; seed++, checked++)
      check_case(kernel, random_sequences(ragged_draw(), problem, 100 * problem + seed),
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
        ragged_kernel(problem, parse_schedule(knobs, ragged_schedule(problem, 0)));
    for (const int multiprocessors : {7, 132})
      check_case(kernel, ragged_case(problem, q, kv), multiprocessors);
  }
}

TEST_CASE(
    "more sequences than a warp has lanes are all listed, and none of them may have a query") {
  const Problem problem{.head_dim = 16, .q_layout = packed, .kv_layout = packed};
  const EmulatedKernel kernel = ragged_kernel(problem, ragged_schedule(problem, 2));
  std::vector<std::int64_t> lengths(300);
  for (std::size_t i = 0; i < lengths.size(); i++)
    lengths[i] = static_cast<std::int64_t>(i % 17 == 0 ? 70 : i % 3);
  check_case(kernel, ragged_case(problem, lengths, lengths), 5);
  std::ranges::fill(lengths, 0);
  check_case(kernel, ragged_case(problem, lengths, lengths), 5);
}

TEST_CASE("a packed batch of equal sequences gives the bits of the dense one") {
  for (const char* score : {"score", "2 * tanh(score / 2)"}) {
    Problem dense{.head_dim = 64,
                  .group_size = 2,
                  .mask = causal(),
                  .score = Expr::parse(score, ExprRole::score)};
    Problem ragged = dense;
    ragged.q_layout = ragged.kv_layout = packed;
    for (std::size_t kind = 0; kind < std::size(ragged_kinds); kind++) {
      INFO(score << ", kind " << kind);
      const Shape shape{.batch = 3, .kv_heads = 1, .q_len = 150, .kv_len = 210};
      const Schedule schedule = ragged_schedule(ragged, kind);
      CHECK(result_of(ragged_kernel(ragged, schedule), {.problem = ragged, .shape = shape}) ==
            result_of(ragged_kernel(dense, schedule), {.problem = dense, .shape = shape}));
    }
  }
}

TEST_CASE(
    "NaN and infinity in V reach their rows in a sequence's last tile, where all keys are seen") {
  const Problem problem{
      .head_dim = 64, .mask = Expr::parse("k < 1000"), .q_layout = packed, .kv_layout = packed};
  const Schedule schedule = ragged_schedule(problem, 0);
  ForwardTensors tensors(ragged_case(problem, {150, 70}, {50, 90}));
  plant_not_finite(tensors, 40, /*seed=*/7);
  ragged_kernel(problem, schedule).emulate(tensors.args(), {.seed = 2, .multiprocessors = 2});
  check_result(problem, tensors.args(), tensors);
  // Taken for tiles that hide keys, rows are not given back what the screen took.
  const char* const producer = "forward/flash_producer.cuh";
  const std::string text =
      faulty_text({producer, "hides && index < 0 ? Screened::v : Screened::v_rows", "Screened::v"});
  const EmbeddedFile instead[] = {{producer, text}};
  ragged_kernel(problem, schedule, instead).launch(tensors.args());
  CHECK_FALSE(errors_of(problem, tensors.args(), all_rows(tensors.args())).ok());
}

TEST_CASE("weights that are dropped of sequences that differ are those of each by itself") {
  const Problem problem{
      .head_dim = 64, .mask = causal(), .q_layout = packed, .kv_layout = packed, .dropout = true};
  const EmulatedKernel kernel = ragged_kernel(problem, ragged_schedule(problem, 0));
  ForwardCase given = ragged_case(problem, {150, 3, 70}, {200, 3, 333});
  given.dropout = {0.3F, 9, 1};
  check_case(kernel, given);
}

TEST_CASE("rows behind the last that stay what they are, are noticed where all keys are seen") {
  const Problem problem{.head_dim = 64, .q_layout = packed, .kv_layout = packed, .kv_lens = true};
  const std::string report = ragged_report(
      problem, ragged_schedule(problem, 0),
      ragged_case(problem, {140, 1, 200, 64, 300}, {140, 2, 199, 64, 500}),
      {"forward/flash_screen.cuh", "clear_rows<VTile>(shared.v(note.x), note.z)", "(void)0"});
  CHECK_THAT(report, contains_text("wrong result"));
}

TEST_CASE("faults where sequences differ are noticed") {
  constexpr const char *lister = "forward/query_tiles.cuh", *list = "forward/query_list.cuh",
                       *producer = "forward/flash_producer.cuh",
                       *screen = "forward/flash_screen.cuh",
                       *epilogue = "forward/flash_epilogue.cuh", *output = "parts/output.cuh",
                       *shared = "forward/flash_shared.cuh", *block = "forward/flash_wgmma.cuh";
  const RaggedFault faults[] = {
      {"cleared rows are not shown to wgmma",
       {screen, "make_int4(0, 0, 0, 0));\n    fence_shared_to_async();", "make_int4(0, 0, 0, 0));"},
       "fence_shared_to_async is missing"},
      {"tiles do not wait for all that clear them",
       {screen, "named_barrier_any(screen_barrier, 32 * screen_warps, look_at(note))",
        "look_at(note)"},
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
       {block, "  dependency_wait();\n", ""},
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
  const Problem problem = with_gaps();
  const Schedule schedule = ragged_schedule(problem, 0);
  const ForwardCase given = ragged_case(problem, {140, 1, 200, 64, 300}, {140, 2, 199, 64, 500});
  check_noticed(faults, problem, schedule, given);
}
