// Backward kernels of packed sequences, executed by the emulator on small batches.
#include <algorithm>

#include "tests/emulated/ragged_case.h"
#include "tests/support/catch.h"
#include "tests/support/golden_cases.h"

using namespace streamattn;

namespace {

std::vector<GoldenCase> packed_golden_cases() {
  std::vector<GoldenCase> cases = backward_golden_cases();
  std::erase_if(cases, [](const GoldenCase& golden) { return !golden.problem.is_ragged(); });
  return cases;
}

BackwardCase packed_call_of(const GoldenCase& golden, const std::vector<std::int64_t>& q,
                            const std::vector<std::int64_t>& kv, std::uint64_t seed = 1) {
  BackwardCase given{.forward = ragged_case(golden.problem, q, kv)};
  given.forward.seed = seed;
  given.forward.scalars = golden.scalars;
  given.forward.tensors = golden.tensors;
  return given;
}

}  // namespace

TEST_CASE("gradients of packed sequences agree with float64 under several seeds") {
  // Odd tails, none, one row, whole tiles; more queries than keys, whose first rows see none.
  const std::pair<std::vector<std::int64_t>, std::vector<std::int64_t>> lengths[] = {
      {{70, 1, 0, 200}, {70, 1, 0, 200}},
      {{128, 64, 3}, {256, 128, 0}},
      {{0, 150, 65}, {40, 20, 300}},
      {{5}, {131}}};
  for (const GoldenCase& golden : packed_golden_cases()) {
    const EmulatedBackward kernel(golden);
    std::uint64_t seed = 1;
    for (const auto& [q, kv] : lengths) {
      const BackwardCase given = packed_call_of(golden, q, kv, ++seed);
      INFO(golden.name << ": " << given.describe());
      check_gradients(given, kernel.emulate(given, {.seed = seed, .multiprocessors = 3}));
    }
  }
}

TEST_CASE("float32 gradients of packed sequences are written, and added to what is there") {
  for (const bool accumulate : {false, true}) {
    const GoldenCase golden = golden_case("backward_wgmma_bf16_d128_g2_causal_packed");
    BackwardCase given = packed_call_of(golden, {70, 1, 0, 130}, {70, 140, 20, 130});
    given.gradient_dtype = DType::f32;
    given.accumulate = accumulate;
    INFO(given.describe());
    check_gradients(given, EmulatedBackward(golden).emulate(given));
  }
}

TEST_CASE("packed sequences are worked on in groups that an L2 has room for") {
  const GoldenCase golden = golden_case("backward_wgmma_bf16_d128_g2_causal_packed");
  const EmulatedBackward kernel(golden);
  std::vector<std::int64_t> lengths;  // more than a warp has lanes
  for (int i = 0; i < 40; i++) lengths.push_back(i % 13 == 0 ? 150 : i % 4);
  BackwardCase given = packed_call_of(golden, lengths, lengths);
  given.forward.shape.kv_heads = 1;
  const std::int64_t rows = 100, row_bytes = 2 * 8 * 128;
  check_gradients(
      given, kernel.emulate(given, {.multiprocessors = 3, .l2_bytes = rows * row_bytes * 3 / 2}));
}

TEST_CASE("gradients of packed sequences are equal bit for bit in whatever order blocks run") {
  const GoldenCase golden = golden_case("backward_wgmma_bf16_d128_g2_causal_packed");
  const EmulatedBackward kernel(golden);
  BackwardCase given = packed_call_of(golden, {200, 30, 129}, {200, 260, 129});
  BackwardTensors first = kernel.emulate(given, {.multiprocessors = 8});
  for (const int blocks : {1, 3, 8}) {
    given.forward.max_sms = blocks;
    BackwardTensors other = kernel.emulate(given, {.seed = 2, .multiprocessors = 8});
    CHECK(same_gradients(first, other));
  }
}

TEST_CASE("gradients of random packed sequences agree with float64") {
  SequenceDraw draw = ragged_draw();
  draw.head_dims = {16, 64, 80, 144};
  for (std::uint64_t seed = 1; seed <= 12; seed++) {
    const BackwardCase given = random_gradients(draw, seed, seed, /*on_gpu=*/true);
    INFO(given.describe());
    const EmulatedBackward kernel(chosen_case(given.forward.problem, Operation::backward));
    check_gradients(given, kernel.emulate(given, {.seed = seed, .multiprocessors = 3}));
  }
}

TEST_CASE("faults of the places of packed sequences are noticed") {
  constexpr const char* causal = "backward_wgmma_bf16_d128_g2_causal_packed";
  constexpr const char* full = "backward_wgmma_bf16_d64_packed";
  constexpr const char* lens = "backward_wgmma_f16_d80_packed_lens";
  constexpr const char* sink = "backward_wgmma_bf16_d128_causal_packed_alibi_sink";
  struct PackedFault {
    const char* what;
    const char* kernel;
    Fault fault;
  };
  constexpr const char* sequences = "backward/sequences.cuh";
  constexpr const char* tiles = "backward/packed_tiles.cuh";
  constexpr const char* loader = "backward/backward_loader.cuh";
  const PackedFault faults[] = {
      {"rows behind a sequence are loaded and stored",
       causal,
       {sequences, "{longest - count, first + count}", "{0, first + longest}"}},
      {"a sequence's queries lie where its keys do",
       causal,
       {sequences, "make_int4(q.first, q.count,", "make_int4(kv.first, q.count,"}},
      {"tiles of sequences have one place",
       causal,
       {sequences, "return first / tile_rows + index;", "return first / tile_rows;"}},
      {"the search ends in front of the last sequence",
       causal,
       {sequences, "end = sequences;", "end = sequences - 1;"}},
      {"positions are aligned as those of the first sequence",
       causal,
       {sequences, "batch.aligns_ends ? aligned", "batch.aligns_ends ? 0"}},
      {"a tile behind the keys of a sequence is listed",
       full,
       {tiles, "tile * tile_rows < keys.count;", "tile * tile_rows <= keys.count;"}},
      {"tiles of all sequences are in the place of the first one's",
       causal,
       {tiles, "listed + __popc(all & ~(~0u << lane))", "listed"}},
      {"the sequences behind a group are lost",
       causal,
       {tiles, "end + __ffs(int(behind)) - 1;", "end + __ffs(int(behind));"}},
      {"the end of the list is not there", causal, {tiles, "i < params.room;", "i < 0;"}},
      {"a place without a tile is an item",
       causal,
       {loader, "if (item.key_tile < 0) continue;", ""}},
      {"walks are as long as the longest sequence",
       causal,
       {loader, "rows = packed().q.count;", "rows = params.batch.q_len;"}},
      {"statistics are those of the first sequence's rows",
       causal,
       {loader, "place += TilePlaces::first_of(q.first, batch, tiling.tile_q);", ""}},
      {"rows behind a sequence have statistics",
       lens,
       {"backward/row_sums.cuh", "exists = tile.queries.first + in_tile < tile.queries.q.count;",
        "exists = true;"}},
      {"rows behind a sequence are cleared",
       lens,
       {"backward/clear_unseen.cuh", "rows = min(tile_rows, of.q.count - of.first - in_tile);",
        ""}},
      {"dQ of each sequence goes to the first",
       causal,
       {"backward/sum_turns.cuh", "packed_queries<Spec>(params.batch, visit.batch)",
        "packed_queries<Spec>(params.batch, 0)"}},
      {"dK and dV go to the rows of queries",
       causal,
       {"backward/gradient_store.cuh", ".kv.in_map(params.batch.kv_len)",
        ".q.in_map(params.batch.q_len)"}},
      {"elements take the statistics of the first sequence",
       sink,
       {sequences, "place * Spec::tile_q}", "0}"}},
      {"elements of all sequences are those of the first",
       sink,
       {sequences, "packed_queries<Spec>(batch, item.batch),", "packed_queries<Spec>(batch, 0),"}},
  };
  for (const auto& [what, kernel, fault] : faults) {
    INFO(what);
    const GoldenCase golden = golden_case(kernel);
    const BackwardCase given = packed_call_of(golden, {70, 0, 130, 20}, {90, 140, 128, 300});
    const Emulation how = {.seed = 1, .multiprocessors = 3, .slice_seconds = 0.2};
    CHECK(report_of(golden, given, fault, how) != "nothing");
  }
}
