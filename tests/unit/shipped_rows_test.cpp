// Rows that the library ships, and how they give way where pins do not.
#include "compiler/schedule_rows.h"
#include "streamattn/compiler.h"
#include "streamattn/masks.h"
#include "tests/support/catch.h"
#include "tests/support/scratch.h"

using namespace streamattn;

namespace {

const Target& hopper = find_target("sm_90a");

}  // namespace

TEST_CASE("the shipped tables can be read and say where their rows are") {
  const ScheduleTable& shipped = ScheduleTable::shipped();
  CHECK(&ScheduleTable::shipped() == &shipped);
  if (const auto match = shipped.find(Operation::forward, {},
                                      {.batch = 1, .kv_heads = 16, .q_len = 4096}, hopper)) {
    CHECK_THAT(match->origin, Catch::Matchers::StartsWith("configs/"));
  }
}

TEST_CASE("shipped rows leave few queries to the family for them") {
  for (const int head_dim : {64, 128})
    for (const Expr& mask : {Expr(), causal()}) {
      const Problem dense{.head_dim = head_dim, .group_size = 4, .mask = mask};
      Problem paged = dense, packed = dense;
      paged.kv_layout = SequenceLayout::paged;
      packed.q_layout = packed.kv_layout = SequenceLayout::packed;
      const Shape decode{.batch = 512, .kv_heads = 8, .q_len = 1, .kv_len = 4096};
      Shape prefill = decode;
      prefill.q_len = 4096;
      const auto family = [](const Problem& problem, const Shape& shape) {
        return choose(Operation::forward, problem, shape, hopper).schedule.family();
      };
      CHECK(family(dense, prefill) == "flash_wgmma");
      CHECK(family(dense, decode) == "decode_wgmma");
      CHECK(family(paged, decode) == "decode_wgmma");
      CHECK(family(paged, prefill) == "flash_wgmma");
      CHECK(family(packed, decode) == "decode_wgmma");
      CHECK(family(packed, prefill) == "flash_wgmma");
    }
}

TEST_CASE("a shipped row is passed over where its family declines or refuses, a pin is an error") {
  const char* text =
      "[[schedule]]\ntarget = \"sm_90a\"\n"
      "use = { family = \"flash_wgmma\", tile_q = 128, tile_kv = 176, math_warpgroups = 2 }\n";
  ScheduleRow row = read_schedule_rows(text, "row.toml").front();
  const Shape shape{.batch = 4, .kv_heads = 8, .q_len = 512, .kv_len = 512};
  const Problem served{.head_dim = 128}, too_wide{.head_dim = 256};
  Problem declined = served;
  declined.value_head_dim = 4;
  for (const Problem& problem : {served, declined, too_wide})
    CHECK(row.fits(Operation::forward, problem, shape, hopper));
  row.is_shipped = true;
  CHECK(row.fits(Operation::forward, served, shape, hopper));
  CHECK_FALSE(row.fits(Operation::forward, declined, shape, hopper));
  CHECK_FALSE(row.fits(Operation::forward, too_wide, shape, hopper));

  const ScheduleTable pins = ScheduleTable::parse(text, "pins.toml");
  const auto pinned = [&](const Problem& problem) {
    return error_of([&] { choose(Operation::forward, problem, shape, hopper, pins); });
  };
  CHECK(pinned(declined) ==
        "unsupported_problem: row pins.toml:1: flash_wgmma: value_head_dim 4 is not a multiple of "
        "8");
  CHECK_THAT(pinned(too_wide), Catch::Matchers::StartsWith(
                                   "invalid_schedule: row pins.toml:1: flash_wgmma: tile_kv 176"));
}

TEST_CASE("a problem that a shipped row's family declines gets every family's reason") {
  const Problem problem{.dtype = DType::f32, .head_dim = 64, .mask = causal()};
  const Shape shape{.batch = 4, .kv_heads = 32, .q_len = 4096, .kv_len = 4096};
  const std::string message = error_of([&] { choose(Operation::forward, problem, shape, hopper); });
  CHECK_THAT(message, Catch::Matchers::StartsWith("unsupported_problem: no family serves forward"));
  CHECK_THAT(message, contains_text("flash_wgmma: dtype f32: wgmma takes f16 and bf16"));
  CHECK_THAT(message, contains_text("cpu_tiled: sm_90a is a GPU"));
}
