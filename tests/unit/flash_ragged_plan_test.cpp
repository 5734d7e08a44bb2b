// What a launch of flash_wgmma kernels does where sequences differ.
#include <cstring>

#include "tests/unit/flash_plan_fixture.h"

namespace streamattn {

namespace {

/// A call of three packed sequences, four heads and two KV heads.
struct PackedFixture : FlashPlanFixture {
  std::int32_t offsets = 0;  // nobody reads it

  PackedFixture() {
    problem.q_layout = problem.kv_layout = SequenceLayout::packed;
    schedule =
        parse_schedule("tile_q=128,tile_kv=64,math_warpgroups=2,packed_heads=1",
                       choose(Operation::forward, problem, {3, 1, 4096, 4096}, hopper()).schedule);
    for (Tensor* tensor : {&call.q, &call.k, &call.v, &call.o, &call.lse}) tensor->batch = 1;
    call.sequences = Sequences{.batch = 3,
                               .cu_seqlens_q = &offsets,
                               .cu_seqlens_kv = &offsets,
                               .max_q_len = 500,
                               .max_kv_len = 400};
    call.q.seq = call.o.seq = call.lse.seq = 1000;
    call.k.seq = call.v.seq = 900;
    call.aligns_ends = true;
  }

  template <class Parameters>
  Parameters parameters(const Plan& plan, std::size_t i) {
    const auto& launch = std::get<KernelLaunch>(plan[i]);
    Parameters values = {};
    REQUIRE(launch.parameter_bytes == sizeof values);
    std::memcpy(&values, launch.parameters(), sizeof values);
    return values;
  }
};

}  // namespace

TEST_CASE_METHOD(PackedFixture,
                 "query tiles of sequences that differ are listed by a launch in front") {
  WorkspaceSlices slices;
  const Plan steps = planned(slices);
  REQUIRE(steps.size() == 2);
  const auto& listing = std::get<KernelLaunch>(steps[0]);
  const auto& main = std::get<KernelLaunch>(steps[1]);
  CHECK(listing.kernel == 0);
  CHECK(listing.blocks == 1);
  CHECK_FALSE(listing.overlaps_previous);
  CHECK(main.kernel == 1);
  CHECK(main.overlaps_previous);
  // 1000 rows are 7 whole tiles, and each sequence may end with a part of one.
  constexpr unsigned tiles = 7 + 3, heads = 4;
  CHECK(main.blocks == tiles * heads);
  REQUIRE(slices.slices().size() == 1);
  CHECK(slices.slices()[0].bytes == (4 + 8 * tiles) * 4);
  const auto batch = parameters<QueryListingParams>(steps, 0).batch;
  CHECK(batch.batch == 3);
  CHECK(batch.q_len == 500);
  CHECK(batch.kv_len == 400);
  CHECK(batch.aligns_ends == 1);
  CHECK(batch.q_begins == &offsets);
  CHECK(words == 0);
}

TEST_CASE_METHOD(PackedFixture, "no more query tiles are listed than longest sequences have") {
  call.sequences->max_q_len = 100;
  CHECK(std::get<KernelLaunch>(planned()[1]).blocks == 3 * 4);
  problem.q_layout = SequenceLayout::dense;
  problem.q_lens = true;
  for (Tensor* tensor : {&call.q, &call.o, &call.lse}) tensor->batch = 3;
  call.sequences->max_q_len = 130;
  CHECK(std::get<KernelLaunch>(planned()[1]).blocks == 3 * 2 * 4);
}

TEST_CASE_METHOD(PackedFixture, "sections of sequences that differ are whole groups of heads") {
  const auto section = [&] { return parameters<FlashParams>(planned(), 1).order.section_heads; };
  CHECK(section() == 4);  // few items: all heads
  for (Tensor* tensor : {&call.q, &call.o, &call.lse}) tensor->seq = 1 << 20, tensor->heads = 16;
  for (Tensor* tensor : {&call.k, &call.v}) tensor->seq = 1 << 20, tensor->heads = 8;
  call.sequences->max_q_len = call.sequences->max_kv_len = 1 << 20;
  CHECK(section() == 2);  // one KV head has work enough, and its keys fill the L2
  schedule = parse_schedule("section_heads=5", schedule);
  CHECK(section() == 5);
  schedule = parse_schedule("section_heads=50", schedule);
  CHECK(section() == 16);
}

TEST_CASE_METHOD(PackedFixture, "shares of keys have places in the list and slots of results") {
  const auto split = [&](const char* knobs) {
    schedule = parse_schedule(knobs, parse_schedule("split_keys=true,o_buffer=false", schedule));
    WorkspaceSlices slices;
    const Plan steps = planned(slices);
    REQUIRE(steps.size() == 3);
    REQUIRE(slices.slices().size() == 3);
    const auto listing = parameters<QueryListingParams>(steps, 0);
    const auto main = parameters<FlashParams>(steps, 1);
    const auto merge = parameters<ListedCombineParams>(steps, 2);
    constexpr int heads = 4;
    const int places = listing.shares.places;
    CHECK(listing.shares.heads == heads);
    CHECK(listing.shares.blocks == 132);
    CHECK(main.order.items == heads * places);
    CHECK(main.output.o == nullptr);
    CHECK(merge.queries.words == listing.queries.words);
    CHECK(merge.output.o == call.o.data);
    CHECK(merge.output.o_strides.batch == 0);  // packed rows have no batch
    CHECK(merge.output.lse_strides.batch == 0);
    CHECK(merge.heads == heads);
    CHECK(merge.tile_q == 128);
    CHECK(merge.columns == 64);
    CHECK(slices.slices()[0].bytes == std::size_t{128} * heads * places * 64 * 4);
    CHECK(slices.slices()[1].bytes == std::size_t{128} * heads * places * 4);
    CHECK(slices.slices()[2].bytes == (4 + 8 * static_cast<std::size_t>(places)) * 4);
    CHECK(std::get<KernelLaunch>(steps[2]).kernel == 2);
    CHECK(std::get<KernelLaunch>(steps[2]).overlaps_previous);
    return std::pair(places, listing.shares.splits);
  };
  constexpr int tiles = 7 + 3, two_waves = 2 * 132 / 4;
  CHECK(split("splits=0") == std::pair(tiles + two_waves, 0));
  CHECK(split("splits=5") == std::pair(5 * tiles, 5));
  call.sequences->max_kv_len = 1 << 20;  // the workspace does not grow with the keys
  CHECK(split("splits=0") == std::pair(tiles + two_waves, 0));
}

TEST_CASE_METHOD(PackedFixture,
                 "batch strides of dense queries stay for the merge of their shares") {
  std::int32_t lens = 0;  // nobody reads them
  problem.q_layout = problem.kv_layout = SequenceLayout::dense;
  problem.kv_lens = true;
  call.sequences = Sequences{.batch = 3, .kv_lens = &lens, .max_q_len = 500, .max_kv_len = 400};
  for (Tensor* tensor : {&call.q, &call.k, &call.v, &call.o, &call.lse}) tensor->batch = 3;
  schedule = parse_schedule("split_keys=true,o_buffer=false", schedule);
  const auto merge = parameters<ListedCombineParams>(planned(), 2);
  CHECK(merge.output.o_strides.batch == call.o.batch_stride);
  CHECK(merge.output.lse_strides.batch == call.lse.batch_stride);
}

TEST_CASE_METHOD(PackedFixture, "more rows of shares than the GPU can count are refused") {
  schedule = parse_schedule("split_keys=true,o_buffer=false,splits=256", schedule);
  for (Tensor* tensor : {&call.q, &call.o, &call.lse}) tensor->seq = 1 << 22;
  call.sequences->max_q_len = 1 << 22;
  CHECK_THAT(complaint(), contains_text("rows of O"));
}

TEST_CASE_METHOD(PackedFixture, "boxes of pages are rows of one page and of one tile, or none") {
  std::int32_t table = 0, lens = 0;  // nobody reads them
  problem.kv_layout = SequenceLayout::paged;
  call.sequences->cu_seqlens_kv = nullptr;
  call.sequences->block_table = &table, call.sequences->block_table_stride = 9;
  call.sequences->kv_lens = &lens;
  for (Tensor* tensor : {&call.k, &call.v}) tensor->batch = 40;
  const auto box_rows = [&](std::int64_t page_size, const char* knobs) {
    schedule = parse_schedule(knobs, schedule);
    call.k.seq = call.v.seq = page_size;
    const auto p = parameters<FlashParams>(planned(), 1);
    CHECK(p.paged.pages.page_size == page_size);
    CHECK(p.paged.pages.block_table == &table);
    CHECK(p.paged.pages.block_table_stride == 9);
    CHECK(p.paged.kv_heads == 2);
    CHECK(p.paged.k.data == call.k.data);
    REQUIRE(boxes.size() == 4);
    CHECK(boxes[1].rows == boxes[2].rows);
    if (p.paged.box_rows > 0) CHECK(boxes[1].rows == p.paged.box_rows);
    return p.paged.box_rows;
  };
  CHECK(box_rows(16, "tile_kv=64") == 16);
  CHECK(box_rows(64, "") == 64);
  CHECK(box_rows(256, "") == 64);
  CHECK(box_rows(24, "") == 8);
  CHECK(box_rows(12, "") == 0);
  CHECK(box_rows(1, "") == 0);
  CHECK(box_rows(64, "tile_kv=80") == 16);
  CHECK(box_rows(20, "") == 0);  // swizzle patterns have 8 rows
  CHECK(box_rows(40, "") == 40);
}

TEST_CASE("keys of few queries of sequences that differ are split by the first guess") {
  const auto guess = [](SequenceLayout kv_layout, std::int64_t batch, std::int64_t q_len,
                        std::int64_t kv_len) {
    const Problem problem{.group_size = 4,
                          .mask = causal(),
                          .q_layout = SequenceLayout::packed,
                          .kv_layout = kv_layout};
    const Shape shape{.batch = batch, .kv_heads = 8, .q_len = q_len, .kv_len = kv_len};
    return settings_of<FlashSchedule>(*flash_first_guess(problem, shape, hopper()));
  };
  for (const SequenceLayout layout : {SequenceLayout::packed, SequenceLayout::paged}) {
    CHECK(guess(layout, 1, 64, 32768).split_keys);
    CHECK(guess(layout, 1, 64, 32768).packed_heads == 4);
    CHECK(guess(layout, 1, 256, 131072).split_keys);
    CHECK(guess(layout, 2, 128, 32768).split_keys);
    CHECK_FALSE(guess(layout, 1, 64, 512).split_keys);
    CHECK_FALSE(guess(layout, 4, 512, 65536).split_keys);
    CHECK_FALSE(guess(layout, 1, 4096, 65536).split_keys);
  }
  // Tiles of keys have few boxes of pages.
  CHECK(guess(SequenceLayout::paged, 1, 256, 131072).tile_kv % 64 == 0);
}

TEST_CASE("the model has as many shares of sequences that differ as the device would make") {
  const FlashSchedule schedule{.tile_q = 128, .tile_kv = 128, .split_keys = true};
  const Problem problem{.kv_lens = true};
  const auto splits = [&](std::int64_t items, std::int64_t keys) {
    return flash_splits(problem, schedule, {.batch = 1, .kv_len = keys}, items, 132);
  };
  CHECK(splits(32, 65536) == 4);
  CHECK(splits(132, 65536) == 1);
  CHECK(splits(70, 65536) == 3);  // two waves of thirds, not one of halves
  CHECK(splits(1, 65536) == 132);
  CHECK(splits(1, 1024) == 4);  // of 256 keys
  CHECK(splits(1, 0) == 1);
}

TEST_CASE("what needs lengths on the host is refused where sequences differ") {
  const auto refusal = [](const Problem& problem, const char* changes) {
    FlashSchedule schedule{.tile_q = 128, .tile_kv = 64};
    schedule = settings_of<FlashSchedule>(parse_schedule(changes, to_schedule(schedule)));
    return flash_refusal(problem, schedule, hopper());
  };
  const Problem lens{.mask = document(), .kv_lens = true};
  CHECK(refusal(lens, "o_buffer=true").empty());
  CHECK(refusal(lens, "key_lists=true,o_buffer=true") ==
        "key_lists: key tiles of sequences that differ are not listed");
}

}  // namespace streamattn
