// Models of families: what they must say whatever their constants are.
#include "compiler/estimate.h"

#include "streamattn/compiler.h"
#include "tests/support/catch.h"

namespace streamattn {
namespace {

const Target& hopper = find_target("sm_90a");
const Target& cpu = find_target("cpu");

TEST_CASE("keys that queries walk over are those that the mask shows") {
  CHECK(walked_keys(causal(), 0, 128, 4096) == 128);
  CHECK(walked_keys(causal(), 4000, 4096, 4096) == 4096);
  CHECK(walked_keys(Expr::parse("k <= q && k > q - 100"), 1000, 1128, 4096) == 227);
  CHECK(walked_keys(Expr(), 0, 128, 4096) == 4096);
  // What data decide may be everything.
  CHECK(walked_keys(Expr::parse("k > q - w"), 0, 128, 4096) == 4096);
}

TEST_CASE("every legal schedule has a time, and more keys take longer") {
  for (const Target* target : {&hopper, &cpu}) {
    for (const char* mask : {"true", "k <= q"}) {
      const Problem problem{.mask = Expr::parse(mask)};
      const Shape shape{2, 8, 2048, 2048}, longer{2, 8, 4096, 4096};
      for (const Schedule& schedule : schedules(Operation::forward, problem, shape, *target)) {
        const Estimate takes = estimate(problem, schedule, shape, *target);
        INFO(schedule.describe());
        CHECK(takes.microseconds > 0);
        CHECK(takes.waves > 0);
        CHECK(takes.traffic_bytes > 0);
        CHECK(takes.smem_bytes <= target->smem_bytes);
        CHECK(estimate(problem, schedule, longer, *target).microseconds > takes.microseconds);
      }
    }
  }
}

TEST_CASE("the model knows when splitting keys pays, and what an idle card costs") {
  const Problem problem;
  const Schedule whole =
      parse_schedule("family=flash_wgmma,tile_q=128,tile_kv=128,math_warpgroups=2");
  const Schedule split = parse_schedule("split_keys=true", whole);
  const auto time = [&](const Schedule& schedule, const Shape& shape) {
    return estimate(problem, schedule, shape, hopper).microseconds;
  };
  const Shape few{1, 8, 128, 32768}, many{16, 16, 2048, 2048};
  CHECK(time(split, few) < time(whole, few) / 3);
  CHECK(time(whole, many) < time(split, many));
  // One item more than the card holds at a time is a wave more.
  CHECK(time(whole, {133, 1, 128, 4096}) > 1.5 * time(whole, {132, 1, 128, 4096}));
  CHECK(time(whole, {1, 1, 128, 4096}) == Approx(time(whole, {132, 1, 128, 4096})));
}

TEST_CASE("few queries have a time, and their rows are what it grows with") {
  const Problem problem{.group_size = 8, .mask = causal()};
  const Shape shape{4, 8, 1, 4096}, longer{4, 8, 1, 16384};
  for (const Schedule& schedule : schedules(Operation::forward, problem, shape, hopper)) {
    INFO(schedule.describe());
    const Estimate takes = estimate(problem, schedule, shape, hopper);
    CHECK(takes.microseconds > 0);
    CHECK(takes.waves > 0);
    CHECK(takes.registers > 0);
    CHECK(takes.smem_bytes <= hopper.smem_bytes);
    CHECK(takes.traffic_bytes > 4.0 * 8 * 4096 * 2 * 256);
    CHECK(estimate(problem, schedule, longer, hopper).microseconds > takes.microseconds);
  }
  // From docs/decode.md: 64 and 8 heads, 32,768 keys.
  const auto of_rows = [&](const char* knobs, std::int64_t q_len) {
    const Schedule decode = parse_schedule(knobs);
    return estimate(problem, decode, {1, 8, q_len, 32768}, hopper).microseconds;
  };
  CHECK(of_rows("family=decode_wgmma,tile_q=8,stages=3", 1) == Approx(37).epsilon(0.15));
  CHECK(of_rows("family=decode_wgmma,tile_q=32,stages=2", 4) == Approx(54).epsilon(0.15));
  CHECK(of_rows("family=decode_wgmma,tile_q=64,stages=4,blocks_per_sm=1", 8) ==
        Approx(86).epsilon(0.15));
}

TEST_CASE("the models of two families agree on which of them many queries of pages are for") {
  const Problem problem{.group_size = 4, .mask = causal(), .kv_layout = SequenceLayout::paged};
  const Shape prefill{8, 8, 512, 8192};
  const Schedule chosen = choose(Operation::forward, problem, prefill, hopper).schedule;
  CHECK(chosen.family() == "flash_wgmma");
  const Schedule decode = parse_schedule("family=decode_wgmma,tile_q=64,stages=4,blocks_per_sm=1");
  CHECK(estimate(problem, decode, prefill, hopper).microseconds >
        3 * estimate(problem, chosen, prefill, hopper).microseconds);
  const Shape token{8, 8, 1, 8192};
  CHECK(estimate(problem, parse_schedule("tile_q=8", decode), token, hopper).microseconds <
        estimate(problem, chosen, token, hopper).microseconds);
}

TEST_CASE("what was measured to be fast is near the top of the list") {
  // From docs/flash_wgmma.md: the rows shipped for 16384 tokens at 2048 hidden columns.
  for (const char* mask : {"true", "k <= q"}) {
    const Problem problem{.mask = Expr::parse(mask)};
    const Shape shape{4, 16, 4096, 4096};
    const Schedule shipped = choose(Operation::forward, problem, shape, hopper).schedule;
    const double time = estimate(problem, shipped, shape, hopper).microseconds;
    std::size_t faster = 0, all = 0;
    for (const Schedule& schedule : schedules(Operation::forward, problem, shape, hopper)) {
      all++;
      faster += estimate(problem, schedule, shape, hopper).microseconds < time;
    }
    INFO(faster << " of " << all);
    CHECK(4 * faster < all);
  }
}

TEST_CASE("launch choices have the binary of their schedule, and are legal") {
  const Problem problem{.mask = causal()};
  const Shape shape{1, 4, 64, 8192};
  auto some = schedules(Operation::forward, problem, shape, hopper);
  some.resize(20);
  for (const Schedule& schedule : some) {
    const auto choices = launch_choices(problem, schedule, shape, hopper);
    REQUIRE(choices.front() == schedule);
    CHECK(choices.size() > 1);
    const std::string text = emit(Operation::forward, problem, schedule, hopper).front().flat;
    for (const Schedule& choice : choices) check(Operation::forward, problem, choice, hopper);
    CHECK(emit(Operation::forward, problem, choices.back(), hopper).front().flat == text);
  }
  const Schedule tiles("cpu_tiled");
  CHECK(launch_choices(problem, tiles, shape, cpu) == std::vector<Schedule>{tiles});
}

}  // namespace
}  // namespace streamattn
