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
    "false",
    "tile_q=128,tile_kv=64,stages=2,math_warpgroups=2,q_in_registers=false,o_buffer=false,split_"
    "keys=true,splits=3"};

constexpr const char* masks[] = {
    "k < 100",
    "k <= q && q - k < 130 && k < last",
    "k <= q && doc[batch, q] == doc[batch, k]",
    "k < length[batch]",
    "map:u8[head, q // 64, k // 32] != 0",
};

EmulatedKernel kernel_of(const Problem& problem, const char* knobs,
                         const std::vector<EmbeddedFile>& instead = {}) {
  const Target& target = find_target("sm_90a");
  const Schedule schedule = parse_schedule(
      knobs, choose(Operation::forward, problem, {1, 8, 4096, 4096}, target).schedule);
  return {
      problem, {schedule, "test"}, emit(Operation::forward, problem, schedule, target), instead};
}

void check(const Problem& problem, const char* knobs, const ForwardCase& given, int count) {
  INFO(problem.describe() << "; " << knobs << "; " << count << " values");
  ForwardTensors tensors(given);
  plant_not_finite(tensors, count, /*seed=*/7);
  kernel_of(problem, knobs).emulate(tensors.args(), {.seed = 2, .multiprocessors = 2});
  check_result(problem, tensors.args(), tensors);
}

}  // namespace

TEST_CASE("NaN and infinity in V reach the rows that see their keys and no others, by every mask") {
  for (std::size_t m = 0; m < std::size(masks); m++) {
    const Problem problem{.head_dim = 64, .group_size = 2, .mask = Expr::parse(masks[m])};
    std::vector<NamedNumber> scalars;
    if (m == 1) scalars = {{"last", 170}};
    for (const std::size_t s : {m % 4, (m + 1) % 4})
      for (const int count : {3, 40})
        check(problem, knobs_of_kind[s],
              {.problem = problem, .shape = {2, 1, 210, 290}, .q_offset = 60, .scalars = scalars},
              count);
  }
}

TEST_CASE("NaN and infinity in V reach only rows that see them in every type and head dim") {
  constexpr int head_dims[][2] = {{16, 16}, {72, 72}, {128, 64}, {192, 128}, {256, 256}};
  for (const DType dtype : {DType::f16, DType::bf16})
    for (const auto [head_dim, value_head_dim] : head_dims) {
      const Problem problem{.dtype = dtype,
                            .head_dim = head_dim,
                            .value_head_dim = value_head_dim,
                            .mask = Expr::parse("k <= q && k < 150")};
      check(problem, "", {.problem = problem, .shape = {1, 2, 200, 200}}, 20);
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
  constexpr const char *screen = "forward/flash_screen.cuh",
                       *consumer = "forward/flash_consumer.cuh",
                       *producer = "forward/flash_producer.cuh";
  const Planted faults[] = {
      {"stores are not shown to wgmma", {screen, "    fence_shared_to_async();\n", ""}, "fence"},
      {"a stage is handed on before every warp has seen it",
       {screen, "      named_barrier_sync(screen_barrier, 32 * screen_warps);\n", ""},
       "no barrier orders the write"},
      {"what is found is left there", {screen, "        clear(shared.v(stage));\n", ""}, ""},
      {"a third of a tile is not looked at",
       {screen, "i = 32 * warp + lane; i < vectors", "i = 32 * warp + lane; i < vectors - step"},
       ""},
      {"rows that see a key are not told",
       {screen, "mbarrier_arrive(shared.unclean(warp))", "mbarrier_test(shared.unclean(warp), 0)"},
       ""},
      {"rows are told before the last tile is screened",
       {consumer, "    shared.v_ring().wait(held);\n    bool unclean", "    bool unclean"},
       "",
       {1, 1, 60, 60}},
      {"tiles are taken for whole",
       {producer, "screens_v<Spec> && Walk::hides_keys(visit)", "false"},
       ""},
  };
  const Problem problem{.head_dim = 64, .mask = Expr::parse("k <= q && k < 150")};
  for (const Planted& planted : faults) {
    INFO(planted.what);
    const std::string text = faulty_text(planted.fault);
    const EmulatedKernel kernel =
        kernel_of(problem, knobs_of_kind[0], {{planted.fault.file, text}});
    bool noticed = false;
    for (std::uint64_t seed = 1; seed <= 100 && !noticed; seed++) {
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
