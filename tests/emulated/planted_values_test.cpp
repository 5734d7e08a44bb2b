// What is not finite in V: it reaches the rows that see its key, in its column, and no others.
#include "tests/support/planted_values.h"

#include "streamattn/error.h"
#include "tests/emulated/emulated_case.h"
#include "tests/support/catch.h"

using namespace streamattn;

namespace {

// Every way of O, with Q in registers and not, and shares of the keys.
constexpr const char* knobs_of_kind[] = {
    "tile_q=128,tile_kv=64,stages=2,math_warpgroups=2,q_in_registers=true,o_buffer=true",
    "tile_q=192,tile_kv=64,stages=3,math_warpgroups=3,q_in_registers=false,o_buffer=true",
    "tile_q=64,tile_kv=32,stages=4,math_warpgroups=1,ping_pong=false,q_in_registers=false,o_buffer="
    "false,tile_order=fixed",
    "tile_q=128,tile_kv=64,stages=2,math_warpgroups=2,q_in_registers=false,o_buffer=false,split_"
    "keys=true,splits=3"};

constexpr const char* masks[] = {
    "k <= q",
    "k <= q && k > q - 70",
    "k <= q && (k < 5 || k > q - window)",
    "k < 100",
    "k <= q && q - k < 130 && k < last",
    "k <= q && doc[batch, q] == doc[batch, k]",
    "k < length[batch]",
    "map:u8[head, q // 64, k // 32] != 0",
};

EmulatedKernel kernel_of(const Problem& problem, const Schedule& schedule,
                         const std::vector<EmbeddedFile>& instead = {}) {
  return {problem,
          {schedule, "test"},
          emit(Operation::forward, problem, schedule, find_target("sm_90a")),
          instead};
}

Schedule schedule_of(const Problem& problem, const char* knobs) {
  const Target& target = find_target("sm_90a");
  return parse_schedule(knobs,
                        choose(Operation::forward, problem, {1, 8, 4096, 4096}, target).schedule);
}

void check(const Schedule& schedule, const ForwardCase& given, int count) {
  INFO(given.describe() << "; " << schedule.describe() << "; " << count << " values");
  ForwardTensors tensors(given);
  plant_not_finite(tensors, count, /*seed=*/7);
  kernel_of(given.problem, schedule).emulate(tensors.args(), {.seed = 2, .multiprocessors = 2});
  check_result(given.problem, tensors.args(), tensors);
}

void check(const Problem& problem, const char* knobs, const ForwardCase& given, int count) {
  check(schedule_of(problem, knobs), given, count);
}

}  // namespace

TEST_CASE("NaN and infinity in V reach the rows that see their keys and no others, by every mask") {
  for (std::size_t m = 0; m < std::size(masks); m++) {
    const Problem problem{.head_dim = 64, .group_size = 2, .mask = Expr::parse(masks[m])};
    std::vector<NamedNumber> scalars;
    if (m == 2) scalars = {{"window", 41}};
    if (m == 4) scalars = {{"last", 170}};
    for (const std::size_t s : {m % 4, (m + 1) % 4})
      for (const int count : {3, 40})
        check(problem, knobs_of_kind[s],
              {.problem = problem, .shape = {2, 1, 210, 290}, .q_offset = 60, .scalars = scalars},
              count);
  }
}

TEST_CASE("NaN and infinity in V reach only rows that see them where rows of heads are packed") {
  const char* packed_knobs[] = {
      "tile_q=128,tile_kv=64,stages=2,math_warpgroups=2,q_in_registers=true,o_buffer=true,packed_"
      "heads=4",
      "tile_q=64,tile_kv=32,stages=3,math_warpgroups=1,ping_pong=false,q_in_registers=false,o_"
      "buffer=false,split_keys=true,splits=3,packed_heads=2"};
  for (const char* mask : {"k <= q", "k <= q && k > q - 50"}) {
    const Problem problem{.head_dim = 64, .group_size = 4, .mask = Expr::parse(mask)};
    for (const char* knobs : packed_knobs)
      check(problem, knobs, {.problem = problem, .shape = {1, 1, 90, 290}, .q_offset = 200}, 12);
  }
}

TEST_CASE("NaN and infinity in V reach only rows that see them where sequences differ") {
  constexpr SequenceLayout packed = SequenceLayout::packed, paged = SequenceLayout::paged;
  for (const char* mask : {"k <= q", "k <= q && k > q - 40", "k <= q && k < 70"})
    for (const std::int64_t page_size : {0, 16, 5}) {
      const Problem problem{.head_dim = 64,
                            .group_size = 2,
                            .mask = Expr::parse(mask),
                            .q_layout = packed,
                            .kv_layout = page_size == 0 ? packed : paged};
      ForwardCase given{.problem = problem,
                        .shape = {4, 1, 190, 200},
                        .lengths = {.q = {70, 190, 0, 33}, .kv = {90, 200, 17, 33}}};
      if (page_size > 0) given.lengths.page_size = page_size;
      for (const char* knobs : {knobs_of_kind[0], knobs_of_kind[1], knobs_of_kind[2]})
        check(problem, knobs, given, 20);
    }
}

TEST_CASE("NaN and infinity in V reach only rows that see them, many items of a block") {
  const Problem problem{.head_dim = 64, .mask = Expr::parse("k <= q")};
  for (const char* knobs : knobs_of_kind)
    for (const int count : {1, 2, 60})
      check(problem, knobs, {.problem = problem, .shape = {2, 5, 230, 230}}, count);
}

TEST_CASE("NaN and infinity in V reach only rows that see them, by decode_wgmma") {
  const Target& target = find_target("sm_90a");
  constexpr const char* decode_masks[] = {"k <= q", "k <= q && k > q - 50",
                                          "k <= q && (k < 5 || k > q - 90)",
                                          "k <= q && doc[batch, q] == doc[batch, k]", "k < 100"};
  for (const char* mask : decode_masks)
    for (const int value_head_dim : {64, 128}) {
      const Problem problem{.head_dim = 64,
                            .value_head_dim = value_head_dim,
                            .group_size = 4,
                            .mask = Expr::parse(mask)};
      const Shape shape{.batch = 2, .kv_heads = 2, .q_len = 3, .kv_len = 290};
      int found = 0;
      for (const Schedule& schedule : schedules(Operation::forward, problem, shape, target))
        if (schedule.family() == "decode_wgmma" && found++ % 20 == 0)
          check(schedule, {.problem = problem, .shape = shape, .q_offset = 287}, 60);
      CHECK(found > 0);
    }
}

TEST_CASE("NaN and infinity in V reach only rows that see them in every type and head dim") {
  constexpr int head_dims[][2] = {{16, 16}, {72, 72}, {128, 64}, {192, 128}, {256, 256}};
  for (const DType dtype : {DType::f16, DType::bf16})
    for (const auto [head_dim, value_head_dim] : head_dims) {
      for (const char* mask : {"k <= q", "k <= q && k < 150"}) {
        const Problem problem{.dtype = dtype,
                              .head_dim = head_dim,
                              .value_head_dim = value_head_dim,
                              .mask = Expr::parse(mask)};
        check(problem, "", {.problem = problem, .shape = {1, 2, 200, 200}}, 20);
      }
    }
}

TEST_CASE("NaN and infinity behind the last row of a sub-range reach no row") {
  const Problem problem{.head_dim = 64, .mask = Expr::parse("k <= q && k < 190")};
  for (const char* knobs : knobs_of_kind)
    check(problem, knobs,
          {.problem = problem,
           .shape = {1, 2, 260, 300},
           .q_rows = Rows{31, 219},
           .kv_rows = Rows{17, 211}},
          60);
}

TEST_CASE("faults of the screen are noticed") {
  struct Planted {
    const char* what;
    Fault fault;
    const char* cause;  // part of the report; "" where the result is wrong
    Shape shape = {1, 2, 200, 200};
  };
  constexpr const char *screen = "forward/flash_screen.cuh", *restore = "forward/flash_restore.cuh",
                       *epilogue = "forward/flash_epilogue.cuh",
                       *producer = "forward/flash_producer.cuh",
                       *consumer = "forward/flash_consumer.cuh";
  constexpr Shape many_items = {1, 9, 200, 200};
  const Planted faults[] = {
      {"stores are not shown to wgmma", {screen, "    fence_shared_to_async();\n", ""}, "fence"},
      {"a stage is handed on before every warp has seen it",
       {screen, "named_barrier_any(screen_barrier, 32 * screen_warps, look_at(note))",
        "look_at(note)"},
       "no barrier orders the"},
      {"what is found is left there",
       {screen, "    if (!is_watched) clear(shared.v(note.x));\n", ""},
       ""},
      {"a third of a tile is not looked at",
       {screen, "i = thread; i < vectors; i += step)\n      products",
        "i = thread; i < vectors - step; i += step)\n      products"},
       ""},
      {"a tile is looked at before it is there",
       {screen, "    if (is_watched) shared.v_ring().wait({u32(note.x), u32(note.z)});\n", ""},
       "TMA load"},
      {"a stage is loaded again while the screen looks at it",
       {producer, "      if (hides && v_tile != Screened::v && leads())\n        push",
        "      mbarrier_arrive(shared.v_ring().empty_of(kv.stage));\n      if (hides && v_tile != "
        "Screened::v && leads())\n        push"},
       "overwrites shared address"},
      {"tiles are taken for whole",
       {producer, "hides_v<Spec> && Walk::hides_keys(visit)", "false"},
       ""},
      {"nothing is told of what is found", {screen, "      if (found) tell(note);\n", ""}, ""},
      {"nothing is repeated",
       {screen, "    store_shared(shared.repeats(), repeats);\n", ""},
       "",
       many_items},
      {"the items to repeat are taken before all tiles are seen",
       {producer, "      mbarrier_wait(shared.all_watched(), 0);\n", ""},
       "no barrier orders the",
       {1, 1, 60, 60}},
      {"rows that see a key get nothing back",
       {consumer, "epilogue().restore(item);", "begin_second_stores();"},
       ""},
      {"rows get back what they do not see",
       {restore, "walk.score.keeps(first_query + row / tiling.packed_heads, key, 0)", "true"},
       ""},
      {"a store is not complete before the next one to its place",
       {epilogue, "    if (at.leads_warpgroup()) tma_store_wait();\n", ""},
       "tma_store_wait, and a barrier"},
      {"rows are read before all of them are stored",
       {epilogue, "    named_barrier_sync(output_barrier(at.warpgroup), 128);\n    begin_second",
        "    begin_second"},
       "tma_store_wait, and a barrier"},
      {"what threads add is not ordered before TMA",
       {epilogue, "    fence_global_to_async();\n", ""},
       "fence_global_to_async is missing",
       many_items},
  };
  const Problem problem{.head_dim = 64, .mask = Expr::parse("k <= q && k < 150")};
  for (const Planted& planted : faults) {
    INFO(planted.what);
    const std::string text = faulty_text(planted.fault);
    const EmulatedKernel kernel =
        kernel_of(problem, schedule_of(problem, knobs_of_kind[0]), {{planted.fault.file, text}});
    bool noticed = false;
    for (std::uint64_t seed = 1; seed <= 16 && !noticed; seed++) {
      ForwardTensors tensors({.problem = problem, .shape = planted.shape});
      plant_not_finite(tensors, 60, seed);
      try {
        kernel.emulate(tensors.args(), {.seed = seed, .multiprocessors = 2});
        noticed = !errors_of(problem, tensors.args(), all_rows(tensors.args())).ok();
      } catch (const Error& error) {
        CHECK_THAT(error.what(), contains_text(planted.cause));
        noticed = true;
      }
    }
    CHECK(noticed);
  }
}
