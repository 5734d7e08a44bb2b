// Faults planted in the templates of decode, each of which the emulator must name.
#include "tests/emulated/emulated_case.h"
#include "tests/support/catch.h"
#include "tests/support/scratch.h"

using namespace streamattn;

namespace {

constexpr const char *consumer = "decode/decode_consumer.cuh", *state = "decode/decode_state.cuh",
                     *pieces = "decode/piece_memory.cuh", *output = "decode/output_rows.cuh",
                     *cluster = "decode/cluster_merge.cuh",
                     *producer = "decode/decode_producer.cuh", *rows = "decode/decode_rows.cuh",
                     *stream = "decode/decode_stream.cuh", *block = "decode/decode_wgmma.cuh";

constexpr const char *dense = "decode_wgmma_bf16_d128_g8",
                     *f16 = "decode_wgmma_f16_d64_causal_lens",
                     *wide = "decode_wgmma_bf16_f32_d256_g16",
                     *clustered = "decode_wgmma_bf16_d128_g8_cluster8";

// One head, whose keys all blocks share.
constexpr Shape one_head = {1, 1, 1, 1000};

}  // namespace

TEST_CASE("a wait, fence or barrier that decode lacks is named") {
  check_caught({
      {"no wait for QK",
       dense,
       {consumer, "    wgmma_wait<0>();\n    pin(s);", "    pin(s);"},
       "which was not waited for",
       one_head},
      {"no wait for PV",
       dense,
       {consumer, "    wgmma_commit();\n    wgmma_wait<0>();\n#pragma unroll\n",
        "    wgmma_commit();\n#pragma unroll\n"},
       "which was not waited for",
       one_head},
      {"no fence in front of PV",
       dense,
       {consumer, "pin(state.o[m]);\n    wgmma_fence();", "pin(state.o[m]);"},
       "registers were touched since the last wgmma_fence",
       one_head},
      {"no wait for K",
       dense,
       {consumer, "    shared.k_ring().wait(stage);\n", ""},
       "reads shared address",
       one_head},
      {"no wait for V",
       dense,
       {consumer, "    shared.v_ring().wait(stage);\n", ""},
       "reads shared address",
       one_head},
      {"K is released before QK is complete",
       dense,
       {consumer,
        "    wgmma_commit();\n    wgmma_wait<0>();\n    pin(s);\n    if (lane == 0) "
        "shared.k_ring().release(stage);",
        "    wgmma_commit();\n    if (lane == 0) shared.k_ring().release(stage);\n    "
        "wgmma_wait<0>();\n    pin(s);"},
       "overwrites shared address",
       one_head},
      {"P is not shown to wgmma",
       dense,
       {consumer,
        "                                 p.packed[2 * j], p.packed[2 * j + 1]);\n    }\n    "
        "fence_shared_to_async();",
        "                                 p.packed[2 * j], p.packed[2 * j + 1]);\n    }"},
       "fence_shared_to_async is missing",
       one_head},
      {"P has one buffer",
       dense,
       {consumer, "p_buffer ^= 1;", ""},
       "overwrites shared address",
       one_head},
      {"Q is not shown to wgmma",
       dense,
       {rows, "    fence_shared_to_async();\n", ""},
       "fence_shared_to_async is missing",
       one_head},
      {"no barrier behind Q",
       dense,
       {consumer, "    state.clear();\n    sync();", "    state.clear();"},
       "reads shared address",
       one_head},
      {"no barrier behind maxima of warps",
       dense,
       {state,
        "    weights.put(weight);\n    named_barrier_sync(decode_barrier, decode_math_threads);",
        "    weights.put(weight);"},
       "reads shared address",
       one_head,
       30.F},
      {"P that is stored once more is not waited for",
       dense,
       {consumer, "      store_p(p);\n      sync();", "      store_p(p);"},
       "reads shared address",
       one_head,
       30.F},
      {"the kernel before is not waited for",
       dense,
       {block, "  dependency_wait();\n", ""},
       "no thread has called dependency_wait",
       one_head},
      {"barriers are not initialised for all",
       dense,
       {block, "  __syncthreads();\n", ""},
       "no barrier orders its initialisation",
       one_head},
  });
}

TEST_CASE("what pieces of items lack on their way to the last block is named") {
  check_caught({
      {"pieces are not released",
       dense,
       {pieces, "      fence_gpu();\n      before", "      before"},
       "orders the write before",
       one_head},
      {"pieces are not acquired",
       dense,
       {pieces, "count - 1);\n      fence_gpu();", "count - 1);"},
       "orders the write before",
       one_head},
      {"lanes do not wait for the one that counts",
       dense,
       {pieces, "    }\n    __syncwarp();\n    return __shfl_sync",
        "    }\n    return __shfl_sync"},
       "orders the write before",
       one_head},
      {"the one that counts does not wait for lanes",
       dense,
       {pieces, "    u32 before = 0;\n    __syncwarp();", "    u32 before = 0;"},
       "orders the write before",
       one_head},
      {"the counter of arrivals is left",
       dense,
       {pieces, "of_warp(counted), count - 1);", "of_warp(counted), count);"},
       "leaves the zero words at",
       one_head},
      {"the first to arrive merges",
       dense,
       {pieces, "before, 0) == u32(count - 1)", "before, 0) == 0"},
       "which nothing has written",
       one_head},
      {"blocks share a slot",
       dense,
       {pieces, "return 2 * stream.share() +", "return "},
       "which nothing has written",
       one_head},
  });
}

TEST_CASE("splits that are taken for others are named, or give wrong results") {
  constexpr const char* splits = "split_tokens=128";
  check_caught({
      {"splits of an item share a slot",
       dense,
       {pieces, "return piece.item_begin + piece.begin;", "return piece.item_begin;"},
       "orders the write before",
       one_head,
       {},
       splits},
      {"an item's last split is not waited for",
       dense,
       {pieces, "if constexpr (splits) return piece.length();",
        "if constexpr (splits) return piece.length() - 1;"},
       "",
       one_head,
       {},
       splits},
      {"splits have a tile of their neighbour, too",
       dense,
       {stream, "min(end * grain, tiles.count)", "min(end * grain + 1, tiles.count)"},
       "wrong result",
       one_head,
       {},
       splits},
  });
}

TEST_CASE("what blocks of a cluster lack on their way to each other is named") {
  constexpr Shape heads = {1, 3, 1, 1000};
  constexpr const char* one_cluster = "blocks=8";
  check_caught({
      {"parts are given before the cluster has met",
       clustered,
       {cluster, "    cluster_wait();  //", "    //"},
       "itialis",
       one_head},
      {"the barrier is initialised behind the fence",
       clustered,
       {block,
        "    if constexpr (Spec::tiling.cluster > 1) ClusterMerge<Spec>::begin(shared);\n    "
        "fence_mbarrier_init();",
        "    fence_mbarrier_init();\n    if constexpr (Spec::tiling.cluster > 1) "
        "ClusterMerge<Spec>::begin(shared);"},
       "no barrier orders its initialisation",
       one_head},
      {"parts of others are not waited for",
       clustered,
       {cluster, "      mbarrier_wait_cluster(shared.received_barrier(), parity);\n", ""},
       "shared address",
       one_head},
      {"parts of others are waited for as those of the block",
       clustered,
       {cluster, "mbarrier_wait_cluster(", "mbarrier_wait("},
       "without mbarrier_wait_cluster",
       one_head},
      {"a row of sums too many is expected",
       clustered,
       {cluster, "rows * 16)", "(rows + 1) * 16)"},
       "deadlock",
       one_head},
      {"the next parts may come before these are read",
       clustered,
       {cluster, "    cluster_arrive();", "    cluster_arrive_relaxed();"},
       "overwrites shared address",
       heads,
       {},
       one_cluster},
      {"the loading warp does not meet the others",
       clustered,
       {producer, "        if (!stream.done()) cluster_arrive_relaxed();\n", ""},
       "at whose barrier it has not arrived",
       heads,
       {},
       one_cluster},
      {"phases of parts are not told apart",
       clustered,
       {cluster, "    parity ^= 1;\n", ""},
       "shared address",
       heads,
       {},
       one_cluster},
      {"a block adds its part twice, and leaves another out",
       clustered,
       {cluster, "shared.received(unit / cluster, source)",
        "shared.received(unit / cluster, source | 1)"},
       "wrong result",
       one_head},
      {"parts of rows go to each other's units",
       clustered,
       {cluster, "(m * (rows / 8) + j) * warps + warp",
        "(m * (rows / 8) + j) * warps + (warp ^ 1)"},
       "wrong result",
       one_head},
      {"a tile is in no block's part of a piece",
       clustered,
       {stream, "count * (rank + 1) / cluster}", "count * (rank + 1) / cluster - (rank == 3)}"},
       "wrong result",
       one_head},
  });
}

TEST_CASE("tiles and rows of decode that are taken for others are named, or give wrong results") {
  check_caught({
      {"V is taken for K-major",
       dense,
       {consumer, "accumulate_ss<0, 1>", "accumulate_ss<0, 0>"},
       "reads shared address",
       one_head},
      {"warps store P in each other's keys",
       dense,
       {consumer, "PTile::place(8 * j + lane % 8, warp,",
        "PTile::place(8 * j + lane % 8, 3 - warp,"},
       "wrong result",
       one_head},
      {"halves of a step of P are exchanged",
       dense,
       {consumer, "lane / 8 % 2 * 16)", "16 - lane / 8 % 2 * 16)"},
       "wrong result",
       one_head},
      {"a chunk of V is taken for another",
       wide,
       {consumer, "(m * VTile::chunk_bytes >> 4)", "((m ^ 1) * VTile::chunk_bytes >> 4)"},
       "wrong result",
       one_head},
      {"sums miss a warp's keys",
       dense,
       {state, "sum[c] += x; });", "sum[c] = x; });"},
       "wrong result",
       one_head},
      {"the sum that divides O misses half of the keys",
       dense,
       {state,
        "+\n                        unpack(Element(), u16(weights.packed[first + 1] >> high))", ""},
       "wrong result",
       one_head},
      {"references move without O",
       dense,
       {state, "      scale(c, shrink);\n", ""},
       "wrong result",
       one_head,
       30.F},
      {"keys of a tile past the last are seen",
       dense,
       {consumer, "key + behind_first(i) < sequence.kv_len &&", "true &&"},
       "wrong result",
       one_head},
      {"rows of O go to each other's heads",
       dense,
       {output, "int row = at.row(2 * eight + odd);", "int row = at.row(2 * eight + !odd);"},
       "wrong result",
       one_head},
      {"a block takes a tile of its neighbour, too",
       dense,
       {stream, "end = share_begin(share() + 1);",
        "end = min(share_begin(share() + 1) + 1, total);"},
       "",
       one_head},
      {"boxes arrive in each other's place",
       dense,
       {producer, "to + c * Tile::chunk_bytes + lane", "to + (1 - c) * Tile::chunk_bytes + lane"},
       "wrong result",
       one_head},
      {"an expected byte too few",
       dense,
       {producer, "ring.acquire(stage, Tile::bytes)", "ring.acquire(stage, Tile::bytes - 16)"},
       "",
       one_head},
      {"sums of f16 are not of all lanes",
       f16,
       {"decode/row_exchange.cuh", "lanes = 4; lanes < 32", "lanes = 4; lanes < 16"},
       "wrong result",
       one_head},
  });
}

TEST_CASE("what copies of small pages lack is named") {
  GoldenCase golden = golden_case("decode_wgmma_bf16_d128_g8_causal_paged");
  golden.schedule.set("blocks", std::int64_t{1});  // more tiles than stages
  ForwardCase given{.problem = golden.problem,
                    .shape = {.batch = 1, .kv_heads = 1, .q_len = 1, .kv_len = 300}};
  given.lengths.page_size = 4;
  const struct {
    Fault fault;
    const char* cause;
  } planted[] = {
      {{consumer, "params.box_rows == 0) fence", "params.box_rows < 0) fence"},
       "fence_shared_to_async is missing"},
      {{producer, "    copy_async_arrive(ring.full + 8 * stage.stage);\n", ""}, "deadlock"},
      {{producer, "if (lane == 0) ring.wait_empty(stage);", ""}, "overwrites shared address"},
      {{block, "params.box_rows == 0 ? 32 : 1", "params.box_rows == 0 ? 31 : 1"}, "arrives"}};
  for (const auto& [fault, cause] : planted) {
    INFO(fault.from);
    const std::string text = faulty_text(fault);
    const EmbeddedFile instead[] = {{fault.file, text}};
    const EmulatedKernel kernel(golden.problem, {golden.schedule, "golden"}, golden.program(),
                                instead);
    const ForwardTensors tensors(given);
    CHECK_THROWS_WITH(kernel.launch(tensors.args()), contains_text(cause));
  }
}
