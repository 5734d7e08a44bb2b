// Planted faults that do no harm in most runs, or that end in a crash or never: an independent
// reader's, each with the letter and number of the list.
#include "tests/emulated/emulated_case.h"
#include "tests/support/catch.h"

using namespace streamattn;

namespace {

constexpr const char *flash = "forward/flash_wgmma.cuh", *consumer = "forward/flash_consumer.cuh",
                     *ring = "parts/stage_ring.cuh", *order = "parts/tile_order.cuh",
                     *walk = "parts/key_walk.cuh", *softmax = "parts/softmax.cuh",
                     *epilogue = "forward/flash_epilogue.cuh", *output = "parts/output.cuh";

constexpr const char *q_registers = "flash_wgmma_bf16_d128_causal_no_ping_pong",  // and an O buffer
    *exact = "flash_wgmma_bf16_d64_causal";                                       // maxima

}  // namespace

TEST_CASE("a barrier that is used too early, too late or as memory is named") {
  check_caught({
      {"R3: bytes are announced in front of the wait for the stage",
       q_registers,
       {ring, "    wait_empty(at);\n    mbarrier_arrive_expect(full_of(at.stage), bytes);\n",
        "    mbarrier_arrive_expect(full_of(at.stage), bytes);\n    wait_empty(at);\n"},
       "arrives once more than the 1 times of a phase on the mbarrier"},
      {"S8: a barrier lies in the buffer of O",
       q_registers,
       {"forward/flash_shared.cuh", "return slot() + 16; }", "return o() + 512; }"},
       "which holds an mbarrier"},
      {"F4: the fence is behind the barrier that should pass it on",
       q_registers,
       {flash, "      fence_mbarrier_init();\n    }\n    __syncthreads();\n",
        "    }\n    __syncthreads();\n    if (threadIdx.x == 0) fence_mbarrier_init();\n"},
       "fence_mbarrier_init is missing"},
  });
}

TEST_CASE("items that are computed twice, or drawn without an atomic, are named") {
  check_caught({
      {"D1: a draw counts from the second item on",
       q_registers,
       {order, "items - 1) + gridDim.x", "items - 1) + 1"},
       "once more, after"},
      {"D2: blocks take every item in the fixed order",
       q_registers,
       {order, "return index + gridDim.x;", "return index + 1;"},
       "once more, after",
       {1, 2, 300, 300},
       {},
       "tile_order=fixed"},
      {"D10: the counter wraps early",
       q_registers,
       {order, "items - 1)", "items - 3)"},
       "once more, after"},
      {"G2: the counter is loaded and stored",
       q_registers,
       {order, "return atomic_increment(params.item_counter, items - 1) + gridDim.x;",
        "u32 drawn = load_global(params.item_counter);\n"
        "    store_global(params.item_counter, (drawn + 1) % items);\n"
        "    return drawn + gridDim.x;"},
       "the zero word, which warp 0"},
  });
}

TEST_CASE("O that is read back before its store is complete is named") {
  check_caught(
      {{"G1: tma_store_wait_read orders no global memory",
        q_registers,
        {epilogue, "(item, pass * chunks, o, normalise);\n",
         "(item, pass * chunks, o, normalise);\n"
         "      OutputRows rows = this->rows((float*)this->params.output.o, {}, item);\n"
         "      const Strides& strides = this->params.output.o_strides;\n"
         "      int row = this->tile_row(item) + this->at.row(0);\n"
         "      if (this->at.leads_warpgroup() && row < rows.count) {\n"
         "        tma_store_wait_read();\n"
         "        load_global((u32*)((u16*)this->params.output.o + item.batch * strides.batch +\n"
         "                           item.head * strides.head + row * strides.seq));\n"
         "      }\n"},
        "of o, which the TMA store of warp"}});
}

TEST_CASE("registers that the compiler may move across a fence or wait are named") {
  check_caught({
      {"W11: scores are not pinned behind the wait",
       q_registers,
       {consumer, "    wgmma_wait<1>();\n    pin(s);\n", "    wgmma_wait<1>();\n"},
       "but its accumulators not pinned since"},
      {"V19: O is not pinned behind the wait",
       exact,
       {consumer, "    wgmma_wait<0>();\n    pin(o);\n    pin(p);\n",
        "    wgmma_wait<0>();\n    pin(p);\n"},
       "in front of a pin"},
      {"W12: P and O are not pinned in front of PV",
       q_registers,
       {consumer, "    pin(o);\n    pin(p);\n    wgmma_fence", "    wgmma_fence"},
       "issues a wgmma whose registers of"},
      {"C9: Q is not pinned in front of QK",
       q_registers,
       {consumer, "      pin(q);\n", ""},
       "issues a wgmma whose registers of A were not pinned before"},
      {"E6: a warpgroup grows to fewer registers than it has",
       q_registers,
       {flash, "grow_registers<Spec::consumer_registers>",
        "grow_registers<Spec::consumer_registers - 80>"},
       "grows to 152 registers from 168"},
  });
}

TEST_CASE("device code that crashes or does not come back is named") {
  check_caught({
      {"K9: the walk never comes to an end where no key is seen",
       q_registers,
       {walk, "score.seen(next_range++, block)", "score.seen(next_range, block)"},
       "comes to no other instruction for 0.2",
       {1, 1, 5, 0}},
      {"D7: one item too many",
       q_registers,
       {order, "index >= end()", "index > end()"},
       "divides by zero behind this instruction",
       {1, 1, 300, 300}},
      {"O is stored without a function of ptx/",
       "flash_wgmma_bf16_f32_d128",
       {output, "store_global((float2*)(out[r] + column), ", "*(float2*)(out[r] + column) = ("},
       "of o behind this instruction, and not by a function of ptx/"},
  });
}

TEST_CASE("rows whose scores are far below zero or that see no key need their own reference") {
  const Shape one_key_in_the_last_tile = {1, 2, 300, 257},
              few_keys_in_the_first_tile = {1, 16, 64, 65};
  check_caught({
      {"X15: a row that had no reference is rescaled",
       q_registers,
       {softmax, "unset[r] ? 1 : exp2_approx(-by[r])", "exp2_approx(-by[r])"},
       "wrong result",
       one_key_in_the_last_tile,
       20.F},
      {"X18: a row without keys gets a reference",
       "flash_wgmma_bf16_d128_causal_three_stages",
       {softmax, "moved_by == -infinity ? -infinity : base[r] + by[r]", "base[r] + by[r]"},
       "wrong result",
       few_keys_in_the_first_tile,
       20.F},
  });
}
