// Rows of the heads of a group in one tile: whatever the call, and with faults planted.
#include "tests/emulated/emulated_case.h"
#include "tests/support/catch.h"
#include "tests/support/forward_case.h"

using namespace streamattn;

namespace {

constexpr const char* packed[] = {
    "flash_wgmma_bf16_d128_g8_causal_packed_split", "flash_wgmma_bf16_d64_g8_packed_window_sink",
    "flash_wgmma_bf16_d128_g4_causal_packed_over_q", "flash_wgmma_bf16_f32_d64_g6_packed"};

}  // namespace

TEST_CASE("packed heads suit few queries, sub-ranges, offsets, gaps and a missing LSE") {
  for (const char* name : packed) {
    const GoldenCase golden = golden_case(name);
    const EmulatedKernel kernel(golden.problem, {golden.schedule, "golden"}, golden.program());
    for (const std::int64_t q_len : {1, 3, 16, 17, 70}) {
      const ForwardCase given{.problem = golden.problem,
                              .shape = {.batch = 2, .kv_heads = 2, .q_len = q_len, .kv_len = 300},
                              .layout = q_len % 2 == 0 ? Layout::bhsd : Layout::bshd,
                              .gap = 8,
                              .q_offset = 200,
                              .q_rows = Rows{q_len / 3, q_len},
                              .kv_rows = Rows{17, 290},
                              .with_lse = q_len != 17,
                              .tensors = golden.tensors};
      INFO(name << ": " << given.describe());
      const ForwardTensors tensors(given);
      kernel.emulate(tensors.args(), {.seed = static_cast<std::uint64_t>(q_len)});
      check_result(golden.problem, tensors.args(), tensors);
    }
  }
}

TEST_CASE("faults in rows of packed heads are noticed") {
  constexpr const char *consumer = "forward/flash_consumer.cuh",
                       *shared = "forward/flash_shared.cuh", *item = "forward/flash_item.cuh",
                       *output = "parts/output.cuh", *combine = "forward/combine.cuh",
                       *epilogue = "forward/flash_epilogue.cuh";
  const struct {
    const char* what;
    const char* kernel;
    Fault fault;
  } faults[] = {
      {"a row is taken for a query",
       packed[0],
       {consumer, "score.keeps(first_row + at.row(r) / heads",
        "score.keeps(first_row + at.row(r)"}},
      {"tiles are counted in rows",
       packed[0],
       {item, "Spec::tiling.tile_q / Spec::tiling.packed_heads", "Spec::tiling.tile_q"}},
      {"warpgroups walk for the first one's queries",
       packed[0],
       {shared, "first = tile + first_row / heads", "first = tile"}},
      {"packs read the keys of their number",
       packed[2],
       {item, "item.head / (Spec::group_size / Spec::tiling.packed_heads)",
        "item.head / Spec::group_size"}},
      {"boxes begin at the head of their pack's number",
       packed[2],
       {output, "return {head * heads, row / heads};", "return {head, row / heads};"}},
      {"all rows have the sink of the first head",
       packed[1],
       {consumer, "of_head.head += at.row(r) % heads;", ""}},
      {"rows of a pack lie one query apart",
       packed[3],
       {output, "row / heads * stride + row % heads * head_stride", "row * stride"}},
      {"packs end after as many rows as a head has",
       packed[3],
       {epilogue, "q_len * heads};", "q_len};"}},
      {"merged rows go to one head", packed[0], {combine, " + in_head % params.packed_heads", ""}},
      {"merged rows go to the query of their number",
       packed[0],
       {combine, "int q = in_head / params.packed_heads", "int q = in_head"}},
  };
  for (const auto& [what, kernel, fault] : faults) {
    INFO(what);
    CHECK(report_of(golden_case(kernel), fault, {1, 2, 70, 300}, 1, {}) != "nothing");
  }
}
