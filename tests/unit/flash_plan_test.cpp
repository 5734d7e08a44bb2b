// What a launch of flash_wgmma kernels does, and what it refuses to address.
#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "tests/unit/flash_plan_fixture.h"

namespace streamattn {
namespace {

constexpr std::int64_t huge = std::int64_t{1} << 40;

using Fixture = FlashPlanFixture;

}  // namespace

TEST_CASE_METHOD(Fixture, "a plan launches one block for each item, up to the multiprocessors") {
  const auto blocks = [&] { return std::get<KernelLaunch>(planned().front()).blocks; };
  CHECK(blocks() == 8);
  call.q.seq = call.o.seq = call.lse.seq = 100000;
  CHECK(blocks() == 132);
  call.max_sms = 7;
  CHECK(blocks() == 7);
}

TEST_CASE_METHOD(Fixture, "a launch starts early behind whatever is in front of it") {
  CHECK(std::get<KernelLaunch>(planned().front()).overlaps_previous);
}

TEST_CASE_METHOD(Fixture, "items are drawn from a counter where blocks have more than one") {
  REQUIRE(schedule.get("tile_order") == KnobValue("dynamic"));
  const auto counter = [&] {
    FlashParams p;
    std::memcpy(&p, std::get<KernelLaunch>(planned().front()).parameters(), sizeof p);
    return p.order.item_counter;
  };
  call.max_sms = 8;
  CHECK(counter() == nullptr);
  CHECK(words == 0);
  call.max_sms = 7;
  CHECK(counter() == &word);
  CHECK(words == 1);
}

TEST_CASE_METHOD(Fixture, "packed heads count as one, in boxes of their rows by position") {
  const auto blocks = [&] { return std::get<KernelLaunch>(planned().front()).blocks; };
  schedule = parse_schedule("tile_q=128,tile_kv=64,math_warpgroups=2,packed_heads=2", schedule);
  call.q.seq = call.o.seq = call.lse.seq = 65;  // 130 rows of two heads
  CHECK(blocks() == 2 * 2 * 2);
  REQUIRE(boxes.size() == 4);
  for (const BoxedTensor& q_or_o : {boxes.front(), boxes.back()}) {
    CHECK(q_or_o.dims[1] == 4);
    CHECK(q_or_o.dims[2] == 65);
    CHECK(q_or_o.rows == 2);
  }
  CHECK(boxes.front().planes == 64);
  CHECK(boxes.back().planes == 32);  // the rows of a warpgroup
  CHECK(boxes[1].planes == 1);
}

TEST_CASE("tiles begin where their swizzle patterns do") {
  const auto pattern = [](int dim) { return 8 * chunk_columns(dim) * FlashTiling::element_bytes; };
  for (int head_dim = 16; head_dim <= 256; head_dim += 16) {
    for (const int value_head_dim : {16, 48, 64, 96, 128, 256}) {
      const Problem problem{
          .head_dim = head_dim, .value_head_dim = value_head_dim, .group_size = 4};
      for (const Schedule& schedule :
           schedules(Operation::forward, problem, {1, 4, 300, 300}, hopper())) {
        if (schedule.family() != FlashSchedule::family) continue;
        INFO(problem.describe() << ": " << schedule.describe());
        const FlashTiling tiling = flash_tiling(problem, settings_of<FlashSchedule>(schedule));
        CHECK(tiling.k_offset() % pattern(head_dim) == 0);
        CHECK(tiling.k_bytes() % pattern(head_dim) == 0);
        CHECK(tiling.v_offset() % pattern(value_head_dim) == 0);
        CHECK(tiling.v_bytes() % pattern(value_head_dim) == 0);
        CHECK(tiling.o_offset() % pattern(value_head_dim) == 0);
      }
    }
  }
}

TEST_CASE("heads are packed where they fill tiles, and refused where they differ") {
  const auto refusal = [](const Problem& problem, const char* changes) {
    FlashSchedule schedule{.tile_q = 128, .tile_kv = 64, .o_buffer = true};
    schedule = settings_of<FlashSchedule>(parse_schedule(changes, to_schedule(schedule)));
    return flash_refusal(problem, schedule, hopper());
  };
  const Problem eight{.group_size = 8};
  CHECK(refusal(eight, "packed_heads=8").empty());
  CHECK(refusal(eight, "packed_heads=2").empty());
  CHECK(refusal(eight, "packed_heads=0") ==
        "packed_heads 0 does not divide the 64 rows of a warpgroup");
  CHECK(refusal({.group_size = 12}, "packed_heads=12") ==
        "packed_heads 12 does not divide the 64 rows of a warpgroup");
  CHECK(refusal({.group_size = 12}, "packed_heads=8") ==
        "packed_heads 8 does not divide the 12 query heads of a group");
  CHECK(refusal({.group_size = 8, .score = alibi()}, "packed_heads=8") ==
        "packed_heads above 1: the score differs between query heads");
  CHECK(refusal({.group_size = 8, .mask = Expr::parse("k > q - reach[head]")}, "packed_heads=8") ==
        "packed_heads above 1: the mask differs between query heads");
  CHECK(refusal({.group_size = 8, .mask = document()}, "packed_heads=8,key_lists=true") ==
        "packed_heads above 1: key lists are of the queries of one head");

  const auto guess = [](const Problem& problem, std::int64_t q_len, std::int64_t kv_len = 32768) {
    const Shape shape{.batch = 1, .kv_heads = 8, .q_len = q_len, .kv_len = kv_len};
    return settings_of<FlashSchedule>(*flash_first_guess(problem, shape, hopper()));
  };
  CHECK(guess(eight, 16).packed_heads == 8);
  CHECK(guess(eight, 16).tile_q == 128);
  CHECK(guess(eight, 16).split_keys);
  CHECK(guess(eight, 8).tile_q == 64);
  CHECK(guess(eight, 4096).packed_heads == 1);
  const Problem growing{.group_size = 8, .mask = causal()};
  CHECK(guess(growing, 4096).packed_heads == 1);
  CHECK(guess(growing, 4096, 4096).packed_heads == 8);
  CHECK(guess({.group_size = 8, .score = alibi()}, 16).packed_heads == 1);
  CHECK(guess({.group_size = 8, .mask = causal() && sliding_window(128)}, 4096).packed_heads == 8);
}

TEST_CASE("tiles are halved where short rows leave multiprocessors idle") {
  const auto tile_q = [](std::int64_t heads, std::int64_t seq) {
    const Shape shape{.batch = 2, .kv_heads = heads, .q_len = seq, .kv_len = seq};
    return settings_of<FlashSchedule>(*flash_first_guess({}, shape, hopper())).tile_q;
  };
  CHECK(tile_q(16, 206) == 64);
  CHECK(tile_q(32, 206) == 128);
  CHECK(tile_q(8, 900) == 128);
}

TEST_CASE(
    "scores that are capped, and no others, have a stale maximum wherever they are computed") {
  const Shape long_rows = {2, 16, 8192, 8192};
  const auto softmax = [&](const Expr& score) {
    const Problem problem{.head_dim = 64, .mask = causal(), .score = score};
    return std::get<std::string>(
        choose(Operation::forward, problem, long_rows, hopper()).schedule.get("softmax"));
  };
  CHECK(softmax(Problem().score) == "exact");
  CHECK(softmax(softcap(30)) == "stale");
  CHECK(softmax(Expr::parse("tanh(score / cap) * cap", ExprRole::score)) == "stale");
  CHECK(softmax(Expr::parse("30 * tanh(score / 20)", ExprRole::score)) == "exact");
}

TEST_CASE("no mask leaves a head dim without a schedule, whatever the score, dropout and output") {
  const Expr masks[] = {{}, causal(), causal() && document(), Expr::parse("map[q // 64, k // 64]")};
  const Expr scores[] = {Problem().score, softcap(5), additive_bias("bias", DType::bf16),
                         additive_bias("bias", DType::f32)};
  for (const int head_dim : {16, 64, 136, 200, 256})
    for (const int value_head_dim : {16, 64, 128, 176, 184, 208, 248, 256})
      for (const Expr& mask : masks)
        for (const Expr& score : scores)
          for (const DType out : {DType::bf16, DType::f32})
            for (const bool dropout : {false, true})
              for (const std::int64_t length : {1, 4096}) {
                const Problem problem{.out_dtype = out,
                                      .head_dim = head_dim,
                                      .value_head_dim = value_head_dim,
                                      .mask = mask,
                                      .score = score,
                                      .dropout = dropout};
                const Shape shape{.batch = 1, .kv_heads = 8, .q_len = length, .kv_len = length};
                if (!flash_first_guess(problem, shape, hopper()))
                  FAIL_CHECK(problem.describe() << ", " << length << " tokens");
              }
}

TEST_CASE("keys are split where the model is sure that it pays") {
  const auto splits = [](std::int64_t heads, std::int64_t seq) {
    const Shape shape{.batch = 1, .kv_heads = heads, .q_len = seq, .kv_len = seq};
    return settings_of<FlashSchedule>(*flash_first_guess({}, shape, hopper())).split_keys;
  };
  CHECK(splits(1, 8192));
  CHECK_FALSE(splits(8, 1024));
  CHECK_FALSE(splits(16, 8192));
  // Tiles are of the rows of all heads of a group, which are 64 here and not 256.
  const Shape few_of_many{.batch = 4, .kv_heads = 8, .q_len = 32, .kv_len = 8192};
  const Problem grouped{.group_size = 8};
  CHECK(settings_of<FlashSchedule>(*flash_first_guess(grouped, few_of_many, hopper())).split_keys);
}

TEST_CASE_METHOD(Fixture, "of no keys nothing is read, however far apart they would be") {
  call.k.seq = call.v.seq = 0;
  call.k.batch_stride = call.k.head_stride = 1 << 30;
  planned();
  REQUIRE(boxes.size() >= 3);
  for (const BoxedTensor& box : {boxes[1], boxes[2]}) {
    CHECK(box.data == call.q.data);
    CHECK(std::ranges::equal(box.dims, std::array{8, 1, 1, 1}));
    CHECK(std::ranges::equal(box.byte_strides, std::array{16, 16, 16}));
  }
}

TEST_CASE_METHOD(Fixture, "nothing to write is an empty plan, and takes nothing of the device") {
  for (std::int64_t* size : {&call.q.seq, &call.q.heads, &call.q.batch}) {
    const std::int64_t before = std::exchange(*size, 0);
    CHECK(planned().empty());
    *size = before;
  }
  CHECK(maps == 0);
  CHECK(words == 0);
}

TEST_CASE_METHOD(Fixture, "what the kernels cannot count is refused") {
  SECTION("lengths") {
    call.k.seq = call.v.seq = huge;
    CHECK(complaint() == "k: seq is 1099511627776, the GPU needs less than 536870912");
  }
  SECTION("heads") {
    for (Tensor* tensor : {&call.q, &call.k, &call.v, &call.o, &call.lse}) tensor->batch = 1 << 28;
    CHECK(complaint() ==
          "q: batch is 268435456 with 4 heads, the GPU needs a product below 536870912");
  }
  SECTION("positions") {
    call.q_position = huge;
    CHECK(complaint() ==
          "q: the first of 10 rows is at position 1099511627776, the GPU needs positions within "
          "+-536870911");
    call.q_position = 0;
    call.k_position = -huge;
    CHECK(complaint() ==
          "k: the first of 30 rows is at position -1099511627776, the GPU needs positions within "
          "+-536870911");
  }
}

TEST_CASE_METHOD(Fixture, "what TMA cannot move is refused") {
  SECTION("data") {
    call.k.data = reinterpret_cast<void*>(0x10002);
    CHECK(complaint() == "k: data is at 0x10002, the GPU needs a multiple of 16");
  }
  SECTION("strides that are no multiples") {
    call.q.seq_stride = 260;
    CHECK(complaint() == "q: seq_stride is 520 bytes, the GPU needs a multiple of 16");
  }
  SECTION("negative strides") {
    call.o.head_stride = -8;
    CHECK(complaint() == "o: head_stride is -8 elements, the GPU needs 0 to 549755813887");
  }
  SECTION("long strides") {
    call.v.batch_stride = huge;
    CHECK(complaint() ==
          "v: batch_stride is 1099511627776 elements, the GPU needs 0 to 549755813887");
  }
  SECTION("but lse may have any, and so may single rows and tensors without elements") {
    call.lse.data = reinterpret_cast<void*>(0x50004);
    call.lse.seq_stride = -5;
    for (Tensor* tensor : {&call.q, &call.k, &call.v, &call.o, &call.lse})
      tensor->batch = 1, tensor->batch_stride = -3;
    CHECK(complaint().empty());
    call.k.seq = call.v.seq = 0;
    call.k.data = call.v.data = nullptr;
    CHECK(complaint().empty());
  }
}

namespace {

/// A call whose mask data decide, with lists of key tiles.
struct ListsFixture : Fixture {
  std::vector<int> ids = std::vector<int>(2000);

  ListsFixture() { take(Expr::parse("k <= q && id[q] == id[k]")); }

  void take(const Expr& mask, const char* knobs =
                                  "tile_q=128,tile_kv=64,math_warpgroups=2,"
                                  "stages=2,q_in_registers=true,split_keys=false,"
                                  "key_lists=true") {
    problem.mask = mask;
    schedule = parse_schedule(knobs, choose(Operation::forward, problem, {}, hopper()).schedule);
  }

  void set_lengths(std::int64_t q_len, std::int64_t kv_len) {
    call.q.seq = call.o.seq = call.lse.seq = q_len;
    call.k.seq = call.v.seq = kv_len;
  }

  const KernelLaunch& launch(const Plan& plan, std::size_t i) {
    return std::get<KernelLaunch>(plan[i]);
  }
};

}  // namespace

TEST_CASE_METHOD(ListsFixture, "lists of key tiles take two launches in front, which overlap") {
  set_lengths(300, 1000);  // 3 tiles of queries, 16 of keys
  const Plan steps = planned();
  REQUIRE(steps.size() == 3);
  for (std::size_t i = 0; i < 3; i++) {
    CHECK(launch(steps, i).kernel == i);
    CHECK(launch(steps, i).overlaps_previous == (i > 0));
  }
  CHECK(launch(steps, 0).blocks == 3);  // 6 bounds of rows and 16 of keys, 8 warps a block
  CHECK(launch(steps, 1).blocks == 3);  // a list a block
  CHECK(launch(steps, 2).blocks == 24);
  ListingParams listing = {};
  REQUIRE(launch(steps, 1).parameter_bytes == sizeof listing);
  std::memcpy(&listing, launch(steps, 1).parameters(), sizeof listing);
  CHECK(listing.lists.q_tiles == 3);
  CHECK(listing.lists.key_tiles == 16);
  CHECK(listing.lists.batches == 1);
  CHECK(listing.lists.heads == 1);
}

TEST_CASE_METHOD(ListsFixture, "lists take a word a tile and two words a bound, for each owner") {
  set_lengths(300, 1000);
  const auto bytes = [&](const char* mask) {
    take(Expr::parse(mask));
    WorkspaceSlices slices;
    planned(slices);
    REQUIRE(slices.slices().size() == 2);
    return std::pair(slices.slices()[1].bytes, slices.slices()[0].bytes);
  };
  const std::size_t list = std::size_t{3} * (1 + 16) * 4, bounds = std::size_t{6 + 16} * 8;
  CHECK(bytes("id[q] == id[k]") == std::pair(list, bounds));
  CHECK(bytes("k <= q && id[batch, q] == id[batch, k]") == std::pair(2 * list, 2 * bounds));
  CHECK(bytes("id[head, q] == id[head, k]") == std::pair(4 * list, 4 * bounds));
  CHECK(bytes("id[batch, kv_head, q] == id[batch, kv_head, k]") == std::pair(8 * list, 8 * bounds));
  CHECK(bytes("id[k] == 3") == std::pair(list, std::size_t{16} * 8));
}

TEST_CASE_METHOD(ListsFixture, "a mask of elements of both has no bounds, and waits for nothing") {
  take(Expr::parse("bit(word[q, k // 32], k % 32)"));
  const Plan steps = planned();
  REQUIRE(steps.size() == 2);
  CHECK(launch(steps, 0).kernel == 1);
  CHECK_FALSE(launch(steps, 0).overlaps_previous);
  CHECK(launch(steps, 1).kernel == 2);
  CHECK(launch(steps, 1).overlaps_previous);
}

TEST_CASE_METHOD(ListsFixture, "shares of listed tiles are merged by a fourth launch") {
  take(problem.mask,
       "tile_q=128,tile_kv=64,math_warpgroups=2,stages=2,q_in_registers=true,o_buffer=false,"
       "split_keys=true,splits=5,key_lists=true");
  WorkspaceSlices slices;
  const Plan steps = planned(slices);
  REQUIRE(steps.size() == 4);
  CHECK(launch(steps, 2).blocks == 40);
  CHECK(launch(steps, 3).kernel == 3);
  CHECK(slices.slices().size() == 4);
}

TEST_CASE_METHOD(ListsFixture, "calls without keys have lists without tiles") {
  set_lengths(300, 0);
  WorkspaceSlices slices;
  const Plan steps = planned(slices);
  REQUIRE(steps.size() == 3);
  CHECK(slices.slices()[1].bytes == std::size_t{3} * 4);
  call.q.seq = call.o.seq = call.lse.seq = 0;
  CHECK(planned().empty());
}

TEST_CASE_METHOD(ListsFixture, "more lists or bounds than the GPU can count are refused") {
  take(Expr::parse("id[batch, head, q] == id[batch, head, k]"));
  set_lengths(1 << 20, 1 << 20);
  for (Tensor* tensor : {&call.q, &call.k, &call.v, &call.o, &call.lse}) tensor->batch = 1 << 16;
  CHECK_THAT(complaint(), contains_text("are more than the GPU can count, 2^30 - 1"));
}

}  // namespace streamattn
