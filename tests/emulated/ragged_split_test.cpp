// flash_wgmma on the emulator where sequences differ and blocks share the keys of query tiles:
// every layout, shares that lengths decide or the schedule, and with faults planted.
#include <cstring>
#include <vector>

#include "tests/emulated/ragged_case.h"

using namespace streamattn;

namespace {

constexpr SequenceLayout packed = SequenceLayout::packed, paged = SequenceLayout::paged;

/// A schedule of a kind, with shares.
Schedule split_schedule(const Problem& problem, std::size_t kind, const char* changes = "") {
  const Schedule split =
      parse_schedule("split_keys=true,o_buffer=false,splits=0", ragged_schedule(problem, kind));
  return parse_schedule(changes, split);
}

/// Lengths of which the longest are cut into many shares, and others into none.
ForwardCase long_case(const Problem& problem) {
  return ragged_case(problem, {70, 1, 0, 129, 5}, {700, 1, 7, 129, 0});
}

}  // namespace

TEST_CASE("random batches whose keys are split agree with float64 in every layout") {
  int checked = 0;
  for (std::uint64_t problem = 0; problem < 30; problem++) {
    const Problem compiled = random_sequences(ragged_draw(), problem, 0).problem;
    if (!compiled.is_ragged()) continue;
    const EmulatedKernel kernel = ragged_kernel(compiled, split_schedule(compiled, problem));
    for (std::uint64_t seed = 0; seed < 2; seed++, checked++)
      check_case(kernel.with("splits=" + std::to_string(seed * (1 + problem % 4))),
                 random_sequences(ragged_draw(), problem, 100 * problem + seed),
                 1 + static_cast<int>(3 * seed + problem % 5));
  }
  CHECK(checked > 40);
}

TEST_CASE(
    "long sequences are cut next to short ones and none, for as many blocks as there are, and "
    "agree "
    "with float64") {
  const Problem problem{
      .head_dim = 16, .group_size = 2, .mask = causal(), .q_layout = packed, .kv_layout = packed};
  for (const char* knobs : {"packed_heads=1", "packed_heads=2", "section_heads=3",
                            "tile_order=fixed", "splits=3", "splits=1"}) {
    INFO(knobs);
    const EmulatedKernel kernel = ragged_kernel(problem, split_schedule(problem, 2, knobs));
    for (const int multiprocessors : {7, 40})
      check_case(kernel, long_case(problem), multiprocessors);
  }
}

TEST_CASE("windows and sinks, scores and weights that are dropped are those of whole keys") {
  const auto score = [](const char* text) { return Expr::parse(text, ExprRole::score); };
  const Problem problems[] = {
      {.head_dim = 64,
       .mask = Expr::parse("k <= q && (k > q - 300 || k < 5)"),
       .sink = score("2"),
       .q_layout = packed,
       .kv_layout = paged},
      {.head_dim = 16, .mask = Expr::parse("k > q - 150 * head"), .kv_lens = true},
      {.out_dtype = DType::f32,
       .head_dim = 64,
       .mask = causal(),
       .score = score("2 * tanh(score / 2)"),
       .kv_layout = packed,
       .q_lens = true,
       .dropout = true}};
  for (const Problem& problem : problems)
    for (const std::size_t kind : {0, 2}) {
      INFO(problem.describe() << ", kind " << kind);
      ForwardCase given = long_case(problem);
      given.lengths.page_size = 24;
      if (problem.dropout) given.dropout = {0.3F, 9, 1};
      const EmulatedKernel kernel = ragged_kernel(problem, split_schedule(problem, kind));
      check_case(kernel, given, 30);
      check_case(kernel.with("splits=5"), given);
    }
}

TEST_CASE("what is merged of shares has the same bits in whatever order blocks compute them") {
  const Problem problem{
      .head_dim = 16, .group_size = 2, .mask = causal(), .q_layout = packed, .kv_layout = paged};
  const EmulatedKernel kernel = ragged_kernel(problem, split_schedule(problem, 2));
  const ForwardCase given = long_case(problem);
  const std::vector<double> once = result_of(kernel, given, {.seed = 1, .multiprocessors = 20});
  CHECK(result_of(kernel, given, {.seed = 2, .multiprocessors = 20}) == once);
  CHECK(result_of(kernel.with("tile_order=fixed,section_heads=1"), given,
                  {.seed = 3, .multiprocessors = 20}) == once);
  // Where the schedule says how many, not the multiprocessors either.
  const EmulatedKernel three = kernel.with("splits=3");
  CHECK(result_of(three, given, {.seed = 4, .multiprocessors = 2}) ==
        result_of(three, given, {.seed = 5, .multiprocessors = 9}));
}

TEST_CASE("one share of all keys gives the bits of keys that are not split") {
  const Problem problem{.out_dtype = DType::f32, .head_dim = 64, .mask = causal(), .kv_lens = true};
  const ForwardCase given = ragged_case(problem, {150, 150}, {700, 90});
  CHECK(result_of(ragged_kernel(problem, ragged_schedule(problem, 0)), given) ==
        result_of(ragged_kernel(problem, split_schedule(problem, 0, "splits=1")), given));
}

TEST_CASE("faults in the shares of sequences that differ are noticed") {
  constexpr const char *lister = "forward/query_tiles.cuh", *list = "forward/query_list.cuh",
                       *shares = "forward/key_shares.cuh", *combine = "forward/combine_listed.cuh",
                       *epilogue = "forward/flash_epilogue.cuh";
  const RaggedFault faults[] = {
      {"all shares are listed in one place",
       {lister, "all.set(place + share, entry)", "all.set(place, entry)"},
       "of query tiles, which nothing has written"},
      {"a tile takes the place of one share",
       {lister, "other == of_class ? of_other : 0", "other == of_class ? 1 : 0"},
       "overwrites byte"},
      {"all shares are the first one", {lister, "entry.share = share;", "entry.share = 0;"}, ""},
      {"warps do not wait for what the others see",
       {shares, "    __syncthreads();\n#pragma unroll", "#pragma unroll"},
       "reads shared address"},
      {"warps go on before all have read",
       {shares, "+ lane)));\n    __syncthreads();", "+ lane)));"},
       "overwrites shared address"},
      {"math warpgroups have the first share",
       {list, "share = __shfl_sync(~0u, words.x, 0);", "share = 0;"},
       ""},
      {"results of all heads go to one slot",
       {list, "tile * params.heads + item.head", "tile * params.heads"},
       " of shares"},
      {"results begin behind rows of the sequence",
       {epilogue, "item.slot * Spec::tiling.tile_q - this->tile_row(item)",
        "item.slot * Spec::tiling.tile_q"},
       ""},
      {"every share is merged",
       {combine, "item.share > 0 || q >= item.q_len", "q >= item.q_len"},
       ""},
      {"rows behind a sequence's last are merged",
       {combine, "item.share > 0 || q >= item.q_len", "item.share > 0"},
       "of LSE of shares, which nothing has written"},
      {"shares of one head are merged with those of the next",
       {combine, "params.heads * params.tile_q, item.shares", "params.tile_q, item.shares"},
       ""},
      {"merged rows begin at the first sequence",
       {combine, "item.q_row + q", "q"},
       "of o once more"},
      {"the merge does not wait",
       {combine, "dependency_wait();", ""},
       "no thread has called dependency_wait"},
  };
  const Problem problem = with_gaps();
  const Schedule schedule = split_schedule(problem, 0);
  const ForwardCase given = ragged_case(problem, {70, 1, 64, 0, 130}, {700, 2, 64, 70, 500});
  check_noticed(faults, problem, schedule, given, 7);
}

TEST_CASE("no more shares are listed than there is room for, although more would be faster") {
  // Ten items for 14 blocks: four shares of each fill three waves, and are one too many.
  const Problem problem{.head_dim = 16, .mask = causal(), .q_layout = packed, .kv_layout = packed};
  const Schedule schedule = split_schedule(problem, 2);
  const ForwardCase given = ragged_case(problem, {1, 1, 1, 1, 1}, {1280, 1280, 1280, 1280, 1280});
  check_case(ragged_kernel(problem, schedule), given, 14);
  CHECK_THAT(
      ragged_report(problem, schedule, given,
                    {"forward/key_shares.cuh", "if (in_all > params.places) return infinity;", ""},
                    14),
      contains_text("of query tiles, which is behind it"));
}
