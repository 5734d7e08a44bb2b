// What a launch of backward_wgmma kernels does, what it takes, and what the family refuses.
#include <algorithm>
#include <cstring>
#include <string>
#include <tuple>
#include <vector>

#include "compiler/families/backward_wgmma/backward_wgmma.h"
#include "compiler/family_answers.h"
#include "streamattn/error.h"
#include "tests/support/catch.h"
#include "tests/support/scratch.h"
#include "tests/unit/backward_plan_fixture.h"

namespace streamattn {
namespace {

float gradient;  // an address

std::string declines(const Problem& problem) {
  for (const FamilyAnswer& answer :
       family_answers(Operation::backward, problem, BackwardPlanFixture::hopper()))
    if (answer.family == "backward_wgmma") return answer.declines;
  return "there is no such family";
}

}  // namespace

TEST_CASE_METHOD(
    BackwardPlanFixture,
    "a backward plan sums rows, has a block for each key tile, and clears what nobody sees") {
  const Plan steps = planned();
  REQUIRE(steps.size() == 4);
  for (std::size_t i = 0; i < 3; i++) CHECK(launch(steps, i).kernel == i);
  CHECK(launch(steps, 1).blocks == 2 * 2 * 4);  // batch, key-value heads, tiles of 128 keys
  CHECK(launch(steps, 2).blocks == 2 * 4 * 5);  // batch, heads, tiles of 64 queries
  CHECK_FALSE(launch(steps, 0).overlaps_previous);
  CHECK(launch(steps, 1).overlaps_previous);
  CHECK(launch(steps, 2).overlaps_previous);
}

TEST_CASE_METHOD(BackwardPlanFixture,
                 "nothing is cleared where every query sees a key or dQ is added to") {
  call.d_q.dtype = call.d_k.dtype = DType::f32;
  call.accumulate = true;
  CHECK(planned().size() == 2);
  call = fresh();
  problem.mask = Problem().mask;
  CHECK(planned().size() == 2);
}

TEST_CASE_METHOD(BackwardPlanFixture,
                 "the gradient of keys goes by TMA in 16 bits and from registers in 32") {
  const Plan steps = planned();
  BackwardParams p;
  std::memcpy(&p, launch(steps, 1).parameters(), sizeof(p));
  CHECK(p.d_k_direct.data == nullptr);
  CHECK(p.d_v_direct.data == call.d_v.data);
}

TEST_CASE_METHOD(BackwardPlanFixture,
                 "without keys the queries get zeros, without queries the keys get zeros") {
  call.forward.k.seq = call.forward.v.seq = call.d_k.seq = call.d_v.seq = 0;
  Plan steps = planned();
  REQUIRE(steps.size() == 2);
  CHECK(launch(steps, 1).kernel == 2);
  call = fresh();
  call.forward.q.seq = call.forward.o.seq = call.forward.lse.seq = call.d_o.seq = call.d_q.seq = 0;
  steps = planned();
  REQUIRE(steps.size() == 1);
  CHECK(launch(steps, 0).kernel == 1);
  call = fresh();
  for (Tensor* tensor : {&call.forward.q, &call.forward.k, &call.forward.v, &call.forward.o,
                         &call.forward.lse, &call.d_o, &call.d_q, &call.d_k, &call.d_v})
    tensor->batch = 0;
  CHECK(planned().empty());
}

TEST_CASE_METHOD(BackwardPlanFixture,
                 "the workspace of a backward launch is linear in the queries") {
  const auto at_length = [&](std::int64_t seq) {
    for (Tensor* tensor :
         {&call.forward.q, &call.forward.o, &call.forward.lse, &call.d_o, &call.d_q})
      tensor->seq = seq;
    return static_cast<double>(bytes());
  };
  const double once = at_length(6400), twice = at_length(12800);
  CHECK(twice / once == Approx(2).epsilon(1e-3));
  // Four bytes a column of dQ, and two statistics a row; 1/64 of a counter.
  CHECK(once == Approx(2.0 * 4 * 6400 * (4 * 64 + 8 + 4.0 / 64)).epsilon(1e-3));
  for (Tensor* tensor : {&call.forward.k, &call.forward.v, &call.d_k, &call.d_v})
    tensor->seq = 100000;
  CHECK(at_length(6400) == once);
}

TEST_CASE_METHOD(BackwardPlanFixture,
                 "sections hold two rounds of blocks that fit the L2, the last descends") {
  const auto sections = [&] {
    BackwardParams p;
    const Plan steps = planned();
    std::memcpy(&p, launch(steps, 1).parameters(), sizeof(p));
    return std::pair(p.order.section_heads, p.order.climbing_sections);
  };
  const auto all_long = [&] {
    for (Tensor* tensor : {&call.forward.k, &call.forward.v, &call.d_k, &call.d_v})
      tensor->seq = 16384;
  };
  CHECK(sections() == std::pair(2, 1));  // at least two, of 4 heads
  for (Tensor* tensor : {&call.forward.q, &call.forward.o, &call.forward.lse, &call.d_o, &call.d_q})
    tensor->seq = 16384;
  CHECK(sections() == std::pair(2, 1));  // 16 MB a head
  problem.mask = Problem().mask;
  CHECK(sections() == std::pair(2, 0));
  call = fresh();
  CHECK(sections() == std::pair(4, 0));
  all_long();
  CHECK(sections() == std::pair(2, 0));  // 128 tiles of keys each: two rounds of blocks
  problem.mask = causal();
  schedule.set("section_heads", std::int64_t{3});
  CHECK(sections() == std::pair(3, 1));
  schedule.set("section_heads", std::int64_t{1});
  CHECK(sections() == std::pair(1, 3));
  call.forward.max_sms = 7;  // changes no bits
  CHECK(sections() == std::pair(1, 3));
}

TEST_CASE_METHOD(BackwardPlanFixture,
                 "sections of large groups do not climb, and have enough heads in a mask") {
  problem.group_size = 8;
  const BackwardSections sections = backward_sections(
      problem, {.tile_q = 128}, {4, 8, 16384, 16384}, 132, BackwardPlanFixture::hopper().l2_bytes);
  CHECK(sections.heads == 8);
  CHECK(sections.climbing == 0);
}

TEST_CASE("key tiles that full rounds of blocks leave over are cut by queries") {
  const auto cut = [](std::int64_t key_tiles, std::int64_t query_tiles, bool is_masked = false) {
    const BackwardCut found = backward_cut(key_tiles, query_tiles, 1, 132, is_masked);
    return std::tuple(found.cut, found.parts, found.part_tiles);
  };
  const std::tuple none(0, 1, 0);
  CHECK(cut(2048, 256) == std::tuple(68, 7, 37));  // 16K tokens, head_dim 128
  CHECK(cut(2048, 64) == std::tuple(68, 5, 13));   // 4K
  CHECK(cut(2048, 16) == none);                    // 1K: parts would cost what they save
  CHECK(cut(4096, 128) == std::tuple(4, 32, 4));   // 16K, head_dim 64
  CHECK(cut(132 * 15, 256) == none);               // nothing is left over
  CHECK(cut(131, 256) == none);                    // nor is much room
  CHECK(cut(32, 64) == std::tuple(32, 4, 16));     // one head
  // Under a mask what a whole round leaves over has little to do.
  CHECK(cut(2048, 256, true) == none);
  CHECK(cut(32, 64, true) == std::tuple(32, 4, 16));
  // No part is empty, and none is missing.
  for (int query_tiles = 1; query_tiles < 200; query_tiles++) {
    const BackwardCut found = backward_cut(7, query_tiles, 2, 132, false);
    if (found.cut == 0) continue;
    CHECK(found.cut == 7);
    CHECK(found.parts * found.part_tiles >= query_tiles);
    CHECK((found.parts - 1) * found.part_tiles < query_tiles);
  }
}

TEST_CASE_METHOD(BackwardPlanFixture,
                 "items that are parts go to the workspace, and are summed in 16 bits") {
  for (Tensor* tensor : {&call.forward.q, &call.forward.o, &call.forward.lse, &call.d_o, &call.d_q})
    tensor->seq = 16384;
  const std::size_t whole = bytes();
  CHECK(planned().size() == 4);  // dV is float32
  call.d_v = call.d_k;
  const Plan steps = planned();
  REQUIRE(steps.size() == 5);
  BackwardParams main;
  SumPartsParams sums;
  std::memcpy(&main, launch(steps, 1).parameters(), sizeof(main));
  std::memcpy(&sums, launch(steps, 2).parameters(), sizeof(sums));
  CHECK(launch(steps, 2).kernel == 3);
  CHECK(launch(steps, 2).overlaps_previous);
  CHECK(main.order.whole == 0);
  CHECK(main.order.cut == 2 * 2 * 4);
  CHECK(main.order.parts == 8);
  CHECK(main.order.items == 16 * 8);
  CHECK(launch(steps, 1).blocks == 16 * 8);
  CHECK(sums.order.parts == 8);
  CHECK(sums.d_k_strides.seq == call.d_k.seq_stride);
  // Two gradients of 16-bit elements; slices begin at multiples of 256.
  CHECK((bytes() - whole) / 256 == 2ULL * 16 * 8 * 128 * 64 * 2 / 256);
  call.forward.max_sms = 7;  // changes no bits
  CHECK((bytes() - whole) / 256 == 2ULL * 16 * 8 * 128 * 64 * 2 / 256);
}

TEST_CASE_METHOD(BackwardPlanFixture,
                 "where data decide the mask two kernels find the tiles that are seen") {
  problem.mask = Expr::parse("k <= q && doc[batch, q] == doc[batch, k]");
  const Plan steps = planned();
  REQUIRE(steps.size() == 6);
  // Bounds, tiles, and what there is in any case: all of it waits for these.
  for (const auto& [step, kernel] : {std::pair(0, 4), std::pair(1, 5), std::pair(2, 0)})
    CHECK(launch(steps, step).kernel == static_cast<std::size_t>(kernel));
  CHECK_FALSE(launch(steps, 0).overlaps_previous);
  CHECK(launch(steps, 1).overlaps_previous);
  CHECK_FALSE(launch(steps, 2).overlaps_previous);
  BackwardParams main;
  std::memcpy(&main, launch(steps, 3).parameters(), sizeof(main));
  CHECK(main.seen.batches == 2);
  CHECK(main.seen.heads == 1);
  CHECK(main.seen.q_tiles == 5);
  CHECK(main.seen.key_tiles == 4);
  problem.mask = Expr::parse("bit(word[head, q, k // 32], k % 32)");
  CHECK(planned().size() == 5);  // nothing has bounds
}

TEST_CASE_METHOD(BackwardPlanFixture,
                 "what TMA cannot move and what no kernel computes is refused by name") {
  const auto complaint = [&] { return error_of([&] { planned(); }); };
  call.d_o.seq_stride = 257;
  CHECK_THAT(complaint(), contains_text("d_o: seq_stride is 514 bytes, the GPU needs a multiple"));
}

TEST_CASE_METHOD(BackwardPlanFixture,
                 "gradients of named tensors are added up in copies, and these summed") {
  problem.score = Expr::parse("score * t[head] + bias[head, q, k]", ExprRole::score);
  problem.sink = Expr::parse("t[head]", ExprRole::score);
  const auto name = [&](int tensor, const std::vector<int>& sizes) {
    std::ranges::copy(sizes, call.forward.named.tensors[tensor].sizes);
    call.gradients[tensor] = {&gradient, {1 << 20, 1 << 10, 2, 1}, static_cast<int>(sizes.size())};
  };
  // Nothing is launched for those that nobody asks for.
  CHECK(planned().size() == 4);
  name(0, {4, 600, 500});  // bias
  name(1, {4});            // t
  const Plan steps = planned();
  REQUIRE(steps.size() == 4 + 3 + 4);
  // Sources behind the fourth: the sum of copies, bias, t in the score, t in the sink.
  ElementParams of_bias, of_t;
  SinkParams of_sink;
  SumCopiesParams sum;
  std::memcpy(&of_bias, launch(steps, 5).parameters(), sizeof(of_bias));
  std::memcpy(&sum, launch(steps, 6).parameters(), sizeof(sum));
  std::memcpy(&of_t, launch(steps, 8).parameters(), sizeof(of_t));
  std::memcpy(&of_sink, launch(steps, 9).parameters(), sizeof(of_sink));
  CHECK(std::get<Clear>(steps[4]).bytes == 2U * 4 * 600 * 500 * 4);
  CHECK(launch(steps, 5).kernel == 5);
  CHECK(launch(steps, 5).blocks == 4 * 5 * 2);  // heads, query tiles, shares: of 2 batches
  CHECK(of_bias.sums.copy.strides[1] == 500);
  CHECK(launch(steps, 6).kernel == 4);
  CHECK(sum.count == 2);
  CHECK(sum.elements == 4 * 600 * 500);
  CHECK(sum.to.strides[1] == 1 << 10);
  CHECK(launch(steps, 8).kernel == 6);
  CHECK(launch(steps, 8).blocks == 4 * 10);  // heads, shares: of 2 batches and 5 query tiles
  CHECK(launch(steps, 9).kernel == 7);
  CHECK(of_sink.sums.copy.data == of_t.sums.copy.data);
  // One that is large enough has one copy; one without elements has no gradient.
  name(0, {4, 6000, 5000});
  name(1, {0});
  const Plan large = planned();
  REQUIRE(large.size() == 4 + 3);
  CHECK(launch(large, 5).blocks == 4 * 5);
}

TEST_CASE("the backward family says what it does not serve") {
  CHECK(declines({.head_dim = 128}).empty());
  constexpr SequenceLayout packed = SequenceLayout::packed;
  CHECK(declines({.q_layout = packed, .kv_layout = packed, .q_lens = true}).empty());
  for (const Problem& problem : {Problem{.kv_lens = true}, Problem{.q_layout = packed}})
    CHECK(declines(problem) ==
          "sequences differ: both q_layout and kv_layout must be packed, or lengths in the mask, "
          "as in padding()");
  CHECK(declines({.q_layout = packed, .kv_layout = packed, .dropout = true}) ==
        "dropout of packed sequences");
  CHECK(declines({.dtype = DType::f32}) == "dtype f32: wgmma takes f16 and bf16");
  CHECK(declines({.head_dim = 264}) == "head_dim 264 is not in 16..256");
  CHECK(declines({.head_dim = 68}) == "head_dim 68 is not a multiple of 8");
  CHECK(declines({.value_head_dim = 8}) == "value_head_dim 8 is not in 16..256");
  CHECK(declines({.out_dtype = DType::f32}) ==
        "out_dtype f32: dO is an operand of wgmma, and must be bf16 as V is");
  CHECK(declines({.score = alibi()}).empty());
  Expr power = expr_names::score;
  for (int i = 0; i < 10; i++) power = power * power;
  CHECK_THAT(declines({.score = power}),
             contains_text("the score has no derivative of bounded size: "));
}

TEST_CASE("every pair of head dims has a backward schedule that fits") {
  for (int head_dim = 16; head_dim <= 256; head_dim += 8) {
    for (int value_head_dim = 16; value_head_dim <= 256; value_head_dim += 8) {
      const Problem problem{.head_dim = head_dim, .value_head_dim = value_head_dim};
      INFO(problem.describe());
      const BackwardTiling tiling = backward_tiling(problem);
      CHECK(tiling.bytes() <= BackwardPlanFixture::hopper().smem_bytes);
      CHECK(tiling.by_role() == (head_dim > 128 || value_head_dim > 128));
      CHECK(tiling.dq_elements() * tiling.dq_parts() == 64 * padded_columns(head_dim));
      const Schedule schedule =
          choose(Operation::backward, problem, {}, BackwardPlanFixture::hopper()).schedule;
      CHECK(error_of([&] {
              check(Operation::backward, problem, schedule, BackwardPlanFixture::hopper());
            }) == "nothing");
    }
  }
  const auto d_o_stages = [](int head_dim, int value_head_dim) {
    return backward_tiling({.head_dim = head_dim, .value_head_dim = value_head_dim}).d_o_stages();
  };
  CHECK(d_o_stages(192, 192) == 2);
  CHECK(d_o_stages(256, 128) == 2);
  CHECK(d_o_stages(256, 256) == 1);
}

TEST_CASE_METHOD(BackwardPlanFixture, "above 128 columns a block has 64 keys") {
  problem.head_dim = 192;
  problem.value_head_dim = 128;
  for (Tensor* tensor : {&call.forward.q, &call.forward.k, &call.d_q, &call.d_k})
    tensor->dim = tensor->head_stride = 192;
  const Plan steps = planned();
  BackwardParams main;
  RowSumParams sums;
  std::memcpy(&main, launch(steps, 1).parameters(), sizeof(main));
  std::memcpy(&sums, launch(steps, 0).parameters(), sizeof(sums));
  CHECK(launch(steps, 1).blocks == 2 * 2 * 8);
  CHECK(main.d_q_sums.parts == 3);
  CHECK(sums.counter_count == 2 * (2 * 4 * 5 * 3) + 1);
}

TEST_CASE("registers that the backward launch does not have are refused") {
  const auto complaint = [](const char* knobs) {
    const Problem problem{.head_dim = 128};
    const Schedule schedule = parse_schedule(
        knobs, choose(Operation::backward, problem, {}, BackwardPlanFixture::hopper()).schedule);
    return error_of(
        [&] { check(Operation::backward, problem, schedule, BackwardPlanFixture::hopper()); });
  };
  CHECK(complaint("loader_registers=24") == "nothing");
  CHECK_THAT(complaint("loader_registers=70"), contains_text("70 registers a thread are not a"));
  CHECK_THAT(complaint("loader_registers=40"),
             contains_text("loader_registers 40 + dq_registers 64 + 2 x math_registers 208 is 520, "
                           "a launch has 512"));
  CHECK_THAT(complaint("math_registers=200"),
             contains_text("head dims 128 and 128 need about 208 math_registers, there are 200"));
  CHECK_THAT(complaint("tile_q=96"), contains_text("tile_q 96 is neither 64 nor 128"));
  CHECK_THAT(complaint("tile_q=128"), contains_text("tile_q 128 is for head dims up to 64"));
  CHECK(error_of([] {
          const Problem large{.head_dim = 256};
          const Schedule schedule = parse_schedule(
              "loader_registers=24,dq_registers=72",
              choose(Operation::backward, large, {}, BackwardPlanFixture::hopper()).schedule);
          check(Operation::backward, large, schedule, BackwardPlanFixture::hopper());
        }) == "nothing");
  CHECK_THAT(complaint("loader_registers=136"), contains_text("a launch has 128 a thread"));
}

}  // namespace streamattn
