// Launches of decode_wgmma without a device: grids, memory of pieces, what it declines.
#include <algorithm>

#include "compiler/families/family.h"
#include "compiler/operations/forward/sequences.h"
#include "compiler/plan.h"
#include "streamattn/compiler.h"
#include "streamattn/error.h"
#include "streamattn/masks.h"
#include "tests/support/catch.h"
#include "tests/support/scratch.h"

namespace streamattn {
namespace {

const Target& hopper() { return find_target("sm_90a"); }

/// A decode call, of which only sizes matter.
struct Fixture {
  Problem problem{.group_size = 8, .mask = causal()};
  Shape shape{.batch = 1, .kv_heads = 8, .q_len = 1, .kv_len = 8192};
  unsigned word = 0;
  int words = 0;  // that were asked for
  bool has_words = true;
  std::vector<BoxedTensor> maps;

  ForwardCall call() const {
    const auto tensor = [](std::int64_t batch, std::int64_t seq, std::int64_t heads) {
      return Tensor::bshd(reinterpret_cast<void*>(4096), DType::bf16, batch, seq, heads, 128);
    };
    ForwardArgs args{.q = tensor(shape.batch, shape.q_len, shape.kv_heads * problem.group_size),
                     .k = tensor(shape.batch, shape.kv_len, shape.kv_heads),
                     .v = tensor(shape.batch, shape.kv_len, shape.kv_heads),
                     .o = tensor(shape.batch, shape.q_len, shape.kv_heads * problem.group_size)};
    if (problem.kv_layout == SequenceLayout::paged) {
      args.k = args.v = tensor(1000, 16, shape.kv_heads);
      args.sequences.pages = shape.kv_len / 16;
    }
    return resolve(problem, args);
  }

  Schedule schedule() const {
    return choose(Operation::forward, problem, shape, hopper(), ScheduleTable()).schedule;
  }

  Plan steps(const Schedule& chosen) {
    maps.clear();
    const auto encode = [&](const char*, const BoxedTensor& tensor) {
      maps.push_back(tensor);
      return TensorMap{};
    };
    const auto zero_words = [&](int count) {
      words = count;
      return has_words ? &word : nullptr;
    };
    WorkspaceSlices slices;
    return plan(problem, chosen, call(), {132, hopper().l2_bytes, encode, zero_words}, slices);
  }

  unsigned blocks(const Schedule& chosen) {
    return std::get<KernelLaunch>(steps(chosen).back()).blocks;
  }
};

}  // namespace

TEST_CASE_METHOD(Fixture, "a decode call is one launch, and its keys stream through 128 bytes") {
  const Plan plan = steps(schedule());
  REQUIRE(plan.size() == 1);
  REQUIRE(maps.size() == 2);
  for (const BoxedTensor& map : maps) {
    CHECK(map.l2_bytes == 128);
    CHECK(map.rows == 64);
  }
  CHECK(words == 4 * static_cast<int>(std::get<KernelLaunch>(plan[0]).blocks));
}

TEST_CASE_METHOD(
    Fixture,
    "a decode kernel starts early, and waits for the kernel before it, unless told not to") {
  const auto overlaps = [&](const char* knobs) {
    const Plan plan = steps(parse_schedule(knobs, schedule()));
    return std::get<KernelLaunch>(plan.back()).overlaps_previous;
  };
  CHECK(overlaps(""));
  CHECK_FALSE(overlaps("early_start=false"));
}

TEST_CASE_METHOD(Fixture, "counters are cleared in the workspace where the device has no words") {
  has_words = false;
  const Plan plan = steps(schedule());
  REQUIRE(plan.size() == 2);
  CHECK(std::get<Clear>(plan[0]).bytes ==
        16 * static_cast<std::size_t>(std::get<KernelLaunch>(plan[1]).blocks));
}

TEST_CASE_METHOD(Fixture, "shares are neither too short nor an item in too many pieces") {
  const Schedule chosen = parse_schedule("cluster=1", schedule());
  shape.kv_len = 64;
  CHECK(blocks(chosen) == 8);  // a tile each
  shape.kv_len = 2048;
  CHECK(blocks(chosen) == 64);  // of 4 tiles
  shape.kv_len = 8192;
  CHECK(blocks(chosen) == 64);  // 8 pieces of each item
  shape.kv_len = 32768;
  CHECK(blocks(chosen) == 128);  // 16
  shape.batch = 8;
  CHECK(blocks(chosen) == 128);  // 2
  shape.batch = 64;
  CHECK(blocks(chosen) == 256);  // two whole items each
  shape.batch = 100;
  CHECK(blocks(chosen) == 200);  // four
  Schedule fewer = chosen;
  fewer.set("blocks", std::int64_t{20});
  CHECK(blocks(fewer) == 20);
  shape.q_len = 0;
  CHECK(steps(chosen).empty());
}

TEST_CASE_METHOD(Fixture, "few items of equal length are shared by clusters of blocks") {
  const auto cluster = [&] { return std::get<std::int64_t>(schedule().get("cluster")); };
  shape.kv_len = 2048;
  CHECK(cluster() == 8);
  shape.kv_len = 8192;
  CHECK(cluster() == 8);
  shape.kv_len = 131072;
  CHECK(cluster() == 1);  // a merge is little of it
  shape.kv_len = 64;
  CHECK(cluster() == 1);
  shape = {.batch = 32, .kv_heads = 8, .q_len = 1, .kv_len = 2048};
  CHECK(cluster() == 1);  // whole items
  problem.kv_layout = SequenceLayout::paged;
  CHECK(cluster() == 1);
  shape = {.batch = 1, .kv_heads = 8, .q_len = 1, .kv_len = 2048};
  CHECK(cluster() == 1);  // loads of pages want more blocks than clusters leave
  problem.kv_layout = SequenceLayout::packed;
  CHECK(cluster() == 8);  // one sequence, however long
}

TEST_CASE_METHOD(Fixture,
                 "blocks of clusters have three stages, or a multiprocessor to themselves") {
  const auto knob = [&](const char* name) { return std::get<std::int64_t>(schedule().get(name)); };
  shape.kv_len = 8192;
  CHECK(knob("stages") == 3);
  CHECK(knob("blocks_per_sm") == 2);
  shape.q_len = 2;  // P and what warps exchange of 16 rows leave room for two stages
  CHECK(knob("tile_q") == 16);
  CHECK(knob("cluster") == 8);
  CHECK(knob("stages") == 6);
  CHECK(knob("blocks_per_sm") == 1);
}

TEST_CASE_METHOD(Fixture, "grids are whole clusters, as many as are resident at once") {
  Schedule chosen = parse_schedule("cluster=8", schedule());
  shape.kv_len = 64;
  CHECK(blocks(chosen) == 64);  // a cluster an item, however short
  shape.kv_len = 8192;
  CHECK(blocks(chosen) == 64);
  shape.kv_heads = 2;
  CHECK(blocks(chosen) == 64);  // 4 pieces of each item
  shape.kv_heads = 64;
  CHECK(blocks(chosen) == 176);  // 30 clusters are resident: 22 have three items at most
  chosen.set("blocks", std::int64_t{20});
  CHECK(blocks(chosen) == 16);
  chosen.set("blocks", std::int64_t{3});
  CHECK(blocks(chosen) == 8);
  chosen.set("blocks", std::int64_t{1000});
  CHECK(blocks(chosen) == 240);
}

TEST_CASE_METHOD(Fixture, "a cluster takes the place of a block in the memory of pieces") {
  const auto bytes = [&](const char* knobs) {
    return workspace_bytes(problem, parse_schedule(knobs, schedule()), call(), 132,
                           hopper().l2_bytes);
  };
  constexpr std::size_t o = 128 * 8 * 4, sums = 4 * 3 * 8 * 4, counters = 64 * 4 * 4;
  CHECK(bytes("cluster=1,blocks=64") == 128 * (o + sums) + counters);
  CHECK(bytes("cluster=8,blocks=64") == 16 * o + 128 * sums + counters);
}

TEST_CASE_METHOD(Fixture, "shares of splits are as many of them each, and every split has a slot") {
  const auto split = [&](const char* knobs) { return parse_schedule(knobs, schedule()); };
  shape = {.batch = 3, .kv_heads = 8, .q_len = 1, .kv_len = 3000};
  CHECK(blocks(split("cluster=1,split_tokens=1024")) == 72);
  CHECK(words == 4 * 72);
  CHECK(blocks(split("cluster=1,split_tokens=256")) == 96);  // three each
  CHECK(words == 4 * 288);
  CHECK(blocks(split("cluster=1,split_tokens=256,blocks=40")) == 40);
  CHECK(blocks(split("cluster=4,split_tokens=1024")) == 96);  // 30 clusters are resident
  CHECK(words == 4 * 4 * 72);
  constexpr std::size_t o = 128 * 8 * 4, sums = 4 * 3 * 8 * 4, counters = 4 * 4;
  CHECK(workspace_bytes(problem, split("cluster=1,split_tokens=1024"), call(), 132,
                        hopper().l2_bytes) == 72 * (o + sums + counters));
}

TEST_CASE_METHOD(Fixture, "boxes of paged keys are rows of one page") {
  problem.kv_layout = SequenceLayout::paged;
  steps(schedule());
  REQUIRE(maps.size() == 2);
  CHECK(maps[0].rows == 16);
}

TEST_CASE("rows, stages and blocks of decode that do not fit are refused with what they need") {
  const Problem problem{.group_size = 8};
  const Shape shape{.batch = 1, .kv_heads = 132, .q_len = 1, .kv_len = 8192};
  const Schedule chosen =
      choose(Operation::forward, problem, shape, hopper(), ScheduleTable()).schedule;
  CHECK(chosen.describe() ==
        "decode_wgmma: tile_q 8, tile_kv 64, stages 3, blocks_per_sm 2, cluster 1, "
        "split_tokens 0, blocks 0, early_start false");
  const auto complaint = [&](const char* knobs) {
    return error_of(
        [&] { check(Operation::forward, problem, parse_schedule(knobs, chosen), hopper()); });
  };
  CHECK(complaint("tile_q=12") ==
        "invalid_schedule: decode_wgmma: tile_q 12 is not a multiple of 8 in 8..64");
  CHECK(complaint("tile_kv=128") == "invalid_schedule: decode_wgmma: tile_kv 128 is not 64");
  CHECK(complaint("stages=9") == "invalid_schedule: decode_wgmma: stages 9 is not in 2..8");
  CHECK(complaint("blocks_per_sm=3") ==
        "invalid_schedule: decode_wgmma: blocks_per_sm 3 is not 1 or 2");
  CHECK(complaint("stages=4") ==
        "invalid_schedule: decode_wgmma: stages 4 with 2 blocks_per_sm need 135296 bytes of shared "
        "memory, sm_90a has 115712");
  CHECK(complaint("cluster=3") ==
        "invalid_schedule: decode_wgmma: cluster 3 is not 1, 2, 4, 8 or 16");
  CHECK(complaint("split_tokens=100") ==
        "invalid_schedule: decode_wgmma: split_tokens 100 is not a multiple of 64");
  CHECK(complaint("stages=4,cluster=8") ==
        "invalid_schedule: decode_wgmma: stages 4 with 2 blocks_per_sm in clusters of 8 need "
        "140424 bytes of shared memory, sm_90a has 115712");
  CHECK(complaint("tile_q=64") ==
        "invalid_schedule: decode_wgmma: tile_q 64 with 2 blocks_per_sm needs about 262 registers "
        "a thread, there are 168");
}

TEST_CASE("decode declines what it has no kernel for, and says why") {
  const auto says = [](const Problem& problem, const char* why) {
    CHECK(find_family("decode_wgmma").declines(problem, hopper()) == why);
  };
  says({.dtype = DType::f32}, "dtype f32: wgmma takes f16 and bf16");
  says({.head_dim = 12}, "head_dim 12 is not a multiple of 8");
  says({.head_dim = 8}, "head_dim 8 is not in 16..256");
  says({.value_head_dim = 80}, "value_head_dim 80 is not one of 64, 128, 192, 256");
  says({.mask = Expr::parse("k > q - reach[head]")},
       "mask: heads that share keys see other ranges of them");
}

TEST_CASE("items of a KV head have about as many rows") {
  const auto rows = [](std::int64_t q_len) {
    const Problem problem{.group_size = 8, .kv_layout = SequenceLayout::paged};
    const Shape shape{.batch = 1, .kv_heads = 1, .q_len = q_len, .kv_len = 4096};
    const Schedule chosen =
        choose(Operation::forward, problem, shape, hopper(), ScheduleTable()).schedule;
    return std::get<std::int64_t>(chosen.get("tile_q"));
  };
  CHECK(rows(1) == 8);
  CHECK(rows(5) == 40);
  CHECK(rows(8) == 32);   // twice
  CHECK(rows(17) == 48);  // three times
}

TEST_CASE("few queries are decoded, many are not") {
  const auto family = [](const Problem& problem, std::int64_t q_len, std::int64_t batch = 1,
                         std::int64_t kv_len = 4096) {
    const Shape shape{.batch = batch, .kv_heads = 1, .q_len = q_len, .kv_len = kv_len};
    return std::string(
        choose(Operation::forward, problem, shape, hopper(), ScheduleTable()).schedule.family());
  };
  CHECK(family({.group_size = 8}, 1) == "decode_wgmma");
  CHECK(family({.group_size = 8}, 2) == "decode_wgmma");
  CHECK(family({.group_size = 8}, 4) == "flash_wgmma");
  CHECK(family({.group_size = 8}, 4, 66) == "decode_wgmma");  // many items
  CHECK(family({.group_size = 12}, 4) == "decode_wgmma");     // nobody packs 12 heads
  CHECK(family({.group_size = 8, .score = alibi()}, 4) == "decode_wgmma");
  CHECK(family({.group_size = 8, .mask = document()}, 4) == "decode_wgmma");
  CHECK(family({.group_size = 8}, 16, 66) == "flash_wgmma");
  CHECK(family({}, 17) == "flash_wgmma");
  CHECK(family({.group_size = 8, .kv_lens = true}, 16) == "decode_wgmma");
  CHECK(family({.group_size = 8, .kv_lens = true}, 17) == "flash_wgmma");
  const Problem paged{.group_size = 8, .kv_layout = SequenceLayout::paged};
  CHECK(family(paged, 8, 200) == "decode_wgmma");      // a tile has the rows
  CHECK(family(paged, 9, 22, 500) == "flash_wgmma");   // tiles for a sixth of the multiprocessors
  CHECK(family(paged, 9, 21, 500) == "decode_wgmma");  // too few, with too few keys to share out
  CHECK(family(paged, 9, 3) == "decode_wgmma");
  CHECK(family(paged, 9, 4) == "flash_wgmma");
  CHECK(family(paged, 9, 1, 16384) == "flash_wgmma");
  CHECK(family(paged, 512) == "flash_wgmma");
  CHECK(family({.value_head_dim = 40, .kv_layout = SequenceLayout::paged}, 1) == "flash_wgmma");
}

}  // namespace streamattn
