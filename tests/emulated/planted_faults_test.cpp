// Faults planted in the shipped templates, each of which the emulator must name.
#include <vector>

#include "tests/emulated/emulated_case.h"
#include "tests/support/catch.h"

using namespace streamattn;

namespace {

constexpr const char *flash = "forward/flash_wgmma.cuh", *consumer = "forward/flash_consumer.cuh",
                     *producer = "forward/flash_producer.cuh", *places = "forward/flash_shared.cuh",
                     *epilogue = "forward/flash_epilogue.cuh", *ring = "parts/stage_ring.cuh",
                     *output = "parts/output.cuh", *tile = "parts/swizzled_tile.cuh",
                     *order = "parts/tile_order.cuh";

// Kernels by what they have.
constexpr const char *q_registers = "flash_wgmma_bf16_d128_causal_no_ping_pong",  // and an O buffer
    *q_shared = "flash_wgmma_bf16_d64x256",                                       // and an O buffer
        *o_over_q = "flash_wgmma_bf16_d128_causal_o_over_q";                      // and ping-pong

struct Planted {
  const char* what;
  const char* kernel;
  Fault fault;
  const char* cause;  ///< part of the report
};

void check_caught(const std::vector<Planted>& faults) {
  for (const Planted& planted : faults) {
    INFO(planted.what);
    const std::string report =
        report_of(golden_case(planted.kernel), planted.fault, {1, 2, 300, 300}, /*seed=*/1);
    CHECK_THAT(report, contains_text(planted.cause));
  }
}

}  // namespace

TEST_CASE("a wait, fence or commit of matrix instructions that is missing is named") {
  check_caught({
      {"no wait for QK",
       q_registers,
       {consumer, "    wgmma_wait<1>();\n    pin(s);", "    pin(s);"},
       "uses accumulators of the wgmma"},
      {"a wait for QK that leaves too many groups",
       q_registers,
       {consumer, "    wgmma_wait<1>();\n    pin(s);", "    wgmma_wait<2>();\n    pin(s);"},
       "which was not waited for"},
      {"no wait for an item's first QK",
       q_registers,
       {consumer, "first_softmax() {\n    wgmma_wait<0>();", "first_softmax() {"},
       "which was not waited for"},
      {"no wait for PV",
       q_registers,
       {consumer, "    wgmma_wait<0>();\n    pin(o);\n    pin(p);", "    pin(o);\n    pin(p);"},
       "which was not waited for"},
      {"no wait and no pin: the softmax reads the scores",
       q_registers,
       {consumer, "    wgmma_wait<1>();\n    pin(s);", ""},
       "computes with an accumulator while the wgmma"},
      {"no fence in front of QK",
       q_registers,
       {consumer, "k(kv.stage()));\n    wgmma_fence();", "k(kv.stage()));"},
       "registers were touched since the last wgmma_fence"},
      {"no fence in front of PV",
       q_registers,
       {consumer, "v(use.stage()));\n    wgmma_fence();", "v(use.stage()));"},
       "registers were touched since the last wgmma_fence"},
      {"PV is not committed",
       q_registers,
       {consumer, "VTile::row_step(step));\n    wgmma_commit();", "VTile::row_step(step));"},
       "uses accumulators of the wgmma"},
      {"QK is not committed",
       q_registers,
       {consumer, "    }\n    wgmma_commit();", "    }"},
       "which was never committed"},
      {"P is packed while PV reads it",
       q_registers,
       {consumer, "    wgmma_wait<0>();\n    pin(o);\n    pin(p);",
        "    pack_p();\n    wgmma_wait<0>();\n    pin(o);\n    pin(p);"},
       "registers of A were changed while it was in flight"},
      {"O is rescaled while PV adds to it",
       q_registers,
       {consumer, "    wgmma_wait<0>();\n    pin(o);\n    pin(p);",
        "    scale_rows(o, stats.rescale);\n    wgmma_wait<0>();\n    pin(o);\n    pin(p);"},
       "accumulators were used while it was in flight"},
  });
}

TEST_CASE("a stage that is read too early or given back too early is named") {
  check_caught({
      {"K is released before QK is complete",
       q_registers,
       {consumer, "    wgmma_wait<0>();\n    pin(s);\n    release(shared.k_ring(), kv);",
        "    release(shared.k_ring(), kv);\n    wgmma_wait<0>();\n    pin(s);"},
       "overwrites shared address"},
      {"V is released before PV is complete",
       q_registers,
       {consumer,
        "    wgmma_wait<0>();\n    pin(o);\n    pin(p);\n    release(shared.v_ring(), v_at);",
        "    release(shared.v_ring(), v_at);\n    wgmma_wait<0>();\n    pin(o);\n    pin(p);"},
       "reads: wgmma_wait, or a barrier behind it, is missing"},
      {"no wait for K",
       q_registers,
       {consumer, "    kv.advance();\n    shared.k_ring().wait(kv);\n    take_turn();",
        "    kv.advance();\n    take_turn();"},
       "writes: it has not waited for that phase of the mbarrier"},
      {"no wait for V",
       q_registers,
       {consumer, "    shared.v_ring().wait(v_at);\n    accumulate_pv(v_at);\n    pass_turn();",
        "    accumulate_pv(v_at);\n    pass_turn();"},
       "writes: it has not waited for that phase of the mbarrier"},
      {"the consumers' parity is swapped",
       q_registers,
       {ring, "at.stage(), at.parity()); }", "at.stage(), at.parity() ^ 1); }"},
       "it has not waited for that phase of the mbarrier"},
      {"the producer's parity is swapped",
       q_registers,
       {ring, "at.parity() ^ 1);", "at.parity());"},
       "deadlock"},
      {"the empty barrier is one arrival short",
       q_registers,
       {ring, "mbarrier_init(empty + 8 * i, consumer_warps)",
        "mbarrier_init(empty + 8 * i, consumer_warps - 1)"},
       "overwrites shared address"},
      {"the empty barrier waits for one arrival too many",
       q_registers,
       {ring, "mbarrier_init(empty + 8 * i, consumer_warps)",
        "mbarrier_init(empty + 8 * i, consumer_warps + 1)"},
       "1 of 9 arrivals and 0 bytes missing"},
      {"all lanes release a stage",
       q_registers,
       {consumer, "    if (at.leads_warp()) ring.release(use);", "    ring.release(use);"},
       "it has not waited for the phase before"},
      {"stages are never released",
       q_registers,
       {ring, "{ mbarrier_arrive(empty + 8 * at.stage()); }", "{}"},
       "8 of 8 arrivals and 0 bytes missing"},
      {"K always goes to the first stage",
       q_registers,
       {producer, "load<KTile>(shared.k(kv.stage())", "load<KTile>(shared.k(0)"},
       "overwrites shared address"},
      {"V goes to the stage behind its own",
       q_registers,
       {producer, "load<VTile>(shared.v(kv.stage())", "load<VTile>(shared.v(kv.stage() + 1)"},
       "which nothing has written"},
  });
}

TEST_CASE("a fault in how Q is handed over is named") {
  check_caught({
      {"Q is released while QK reads it",
       q_shared,
       {consumer, "        visit_rest();\n        leave_q();",
        "        leave_q();\n        visit_rest();"},
       "it has not waited for that phase of the mbarrier"},
      {"Q is released by one lane while others still read it",
       q_registers,
       {consumer, "    __syncwarp();\n    if (at.leads_warp()) mbarrier_arrive(shared.q_empty());",
        "    if (at.leads_warp()) mbarrier_arrive(shared.q_empty());"},
       "no barrier orders the read before this"},
      {"the producer does not wait for Q to be free",
       q_registers,
       {producer, "    mbarrier_wait(shared.q_empty(), q_parity ^ 1);\n", ""},
       "it has not waited for the phase before"},
      {"the consumers' parity of Q stays",
       q_registers,
       {consumer, "    q_parity ^= 1;\n    int4 slot", "    int4 slot"},
       "deadlock"},
      {"Q's rows of a warpgroup begin at those of another",
       o_over_q,
       {consumer, "shared.q() + at.first_row() * QTile::span",
        "shared.q() + 2 * at.first_row() * QTile::span"},
       "reads shared address"},
  });
}

TEST_CASE("wrong transactions and initialisation of mbarriers are named") {
  check_caught({
      {"too few bytes are expected",
       q_registers,
       {producer, "acquire(kv, KTile::bytes)", "acquire(kv, KTile::bytes / 2)"},
       "which expects fewer"},
      {"too many bytes are expected",
       q_registers,
       {producer, "acquire(kv, VTile::bytes)", "acquire(kv, VTile::bytes + 16)"},
       "0 of 1 arrivals and 16 bytes missing"},
      {"no bytes are expected",
       q_registers,
       {ring, "mbarrier_arrive_expect(full + 8 * at.stage(), bytes)",
        "mbarrier_arrive(full + 8 * at.stage())"},
       "which expects fewer"},
      {"V completes on K's barrier",
       q_registers,
       {producer, "    full = shared.v_ring().acquire(kv, VTile::bytes);",
        "    shared.v_ring().acquire(kv, VTile::bytes);"},
       "which expects fewer"},
      {"barriers are not made visible to TMA",
       q_registers,
       {flash, "    fence_mbarrier_init();\n", ""},
       "fence_mbarrier_init is missing"},
      {"nobody waits for the initialisation",
       q_registers,
       {flash, "  __syncthreads();\n", ""},
       "initialis"},
  });
}

TEST_CASE("named barriers, election and register counts that do not fit are named") {
  check_caught({
      {"a turn waits for too many threads",
       o_over_q,
       {consumer, "named_barrier_sync(turn_barrier(at.warpgroup), 256)",
        "named_barrier_sync(turn_barrier(at.warpgroup), 384)"},
       "arrives at named barrier 1 with 384 threads"},
      {"a turn is passed to oneself",
       o_over_q,
       {consumer, "? 0 : at.warpgroup + 1)", "? 0 : at.warpgroup)"},
       "waits in named barrier 2"},
      {"nobody has the first turn",
       o_over_q,
       {consumer,
        "    if (Spec::ping_pong && at.warpgroup == 0) named_barrier_arrive(turn_barrier(0), "
        "256);\n",
        ""},
       "waits in named barrier 1, where 128 of 256 threads have arrived"},
      {"half a warp takes its turn",
       o_over_q,
       {consumer,
        "    if constexpr (Spec::ping_pong) named_barrier_sync(turn_barrier(at.warpgroup), 256);",
        "    if (Spec::ping_pong && at.lane < 16) named_barrier_sync(turn_barrier(at.warpgroup), "
        "256);"},
       "all lanes must come to the same instruction"},
      {"every lane of the producer warp loads",
       q_registers,
       {flash, "if (warp == 0 && elect_one())", "if (warp == 0)"},
       "no barrier orders the write before this"},
      {"the producer keeps its registers",
       q_registers,
       {flash, "    shrink_registers<Spec::producer_registers>();\n", ""},
       "waits for 240 registers a thread, 0 are spare"},
      {"a register count that does not exist",
       q_registers,
       {flash, "grow_registers<Spec::consumer_registers>",
        "grow_registers<Spec::consumer_registers + 4>"},
       "asks for 244 registers"},
  });
}

TEST_CASE("a fault on O's way to global memory is named") {
  check_caught({
      {"the buffer is written while TMA reads it",
       q_registers,
       {epilogue, "      this->wait_for_stores();\n      named_barrier_sync",
        "      named_barrier_sync"},
       "tma_store_wait_read is missing in between"},
      {"only the leader knows that the buffer is free",
       q_registers,
       {epilogue, "      named_barrier_sync(output_barrier(this->at.warpgroup), 128);\n", ""},
       "which the TMA store of warp"},
      {"Q is released while TMA reads O in its place",
       o_over_q,
       {epilogue, "    this->wait_for_stores();\n  }\n\n  SA_DEVICE void finish() const {}",
        "  }\n\n  SA_DEVICE void finish() const {}"},
       "tma_store_wait_read is missing in between"},
      {"no proxy fence",
       q_registers,
       {output, "  fence_shared_to_async();\n", ""},
       "fence_shared_to_async is missing in between"},
      {"the leader does not wait for the other warps",
       q_registers,
       {output, "  named_barrier_sync(output_barrier(at.warpgroup), 128);\n", ""},
       "no barrier orders the write before this"},
      {"stores are not committed",
       q_registers,
       {output, "  tma_store_commit();\n", ""},
       "tma_store_wait_read is missing in between"},
      {"the block exits under a store",
       q_registers,
       {epilogue, "finish() const { this->wait_for_stores(); }", "finish() const {}"},
       "exits without tma_store_wait_read"},
      {"the buffer reaches past the block's memory",
       q_registers,
       {places, "{ return base + tiling.o_offset(); }",
        "{ return base + tiling.o_offset() + 16384; }"},
       "is outside of the block's"},
      {"the LSE of a row that does not exist is stored",
       q_registers,
       {output, "row < rows.count)\n", "row <= rows.count)\n"},
       "of lse, which is behind it"},
  });
}

TEST_CASE("descriptors that do not suit the tile are named") {
  check_caught({
      {"another swizzle",
       q_shared,
       {tile, "span == 128 ? 1 :", "span == 128 ? 2 :"},
       "the descriptor (swizzle 64, stride 1024, leading 16) does not suit the tile"},
      {"another stride",
       q_shared,
       {tile, "u64(8 * span >> 4)", "u64(4 * span >> 4)"},
       "the descriptor (swizzle 128, stride 512, leading 16) does not suit the tile"},
      {"another leading offset",
       q_shared,
       {tile, "descriptor(address, chunk_bytes >> 4)", "descriptor(address, span >> 4)"},
       "does not suit the tile"},
      {"a k-step that leaves the tile",
       q_registers,
       {tile, "in_row / span * chunk_bytes + in_row", "in_row / span * 2 * chunk_bytes + in_row"},
       "reads shared address"},
  });
}

TEST_CASE("a tile counter that is not left at zero is named") {
  check_caught({{"one draw too many",
                 q_registers,
                 {order, "params.items - 1)", "params.items)"},
                 "leaves the zero word at"}});
}

TEST_CASE("arithmetic that breaks no contract gives a wrong result") {
  check_caught({
      {"a key past the last one is seen",
       "flash_wgmma_bf16_d80",
       {consumer, "keep && column < keys", "keep && column <= keys"},
       "wrong result"},
      {"O is not rescaled",
       "flash_wgmma_bf16_d64_causal",
       {consumer, "if (moved) scale_rows(o, stats.rescale);", ""},
       "wrong result"},
      {"Q is taken from memory in another swizzle",
       q_registers,
       {tile, "(offset >> 3) & (span - 16)", "(offset >> 4) & (span - 16)"},
       "wrong result"},
      {"PV meets the keys of another k-step",
       q_registers,
       {tile, "(k_step * step * span) >> 4", "(k_step * step / 2 * span) >> 4"},
       "wrong result"},
      {"K is loaded one row off",
       q_registers,
       {producer, "row = n * tiling.tile_kv;", "row = n * tiling.tile_kv + 1;"},
       "wrong result"},
  });
}
