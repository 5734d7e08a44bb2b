// Masks of two key ranges, changes of scores and sinks on every kind of schedule.
#include <algorithm>
#include <string>
#include <vector>

#include "compiler/families/flash_wgmma/flash_wgmma.h"
#include "streamattn/error.h"
#include "tests/emulated/emulated_case.h"
#include "tests/support/catch.h"

using namespace streamattn;

namespace {

struct Reach {
  int sinks, window;

  Visible visible() const {
    return
        [*this](std::int64_t q, std::int64_t k) { return k <= q && (k < sinks || q - k < window); };
  }
};

EmulatedKernel windowed_kernel(const GoldenCase& golden, const Reach& reach,
                               std::vector<EmbeddedFile> instead = {}) {
  Problem problem = golden.problem;
  problem.mask = causal() && (sinks(reach.sinks) || sliding_window(reach.window - 1));
  auto settings = settings_of<FlashSchedule>(golden.schedule);
  settings.tile_kv = std::min(settings.tile_kv, 112);  // two ranges leave fewer registers
  const Schedule schedule = to_schedule(settings);
  return {problem,
          {schedule, "golden"},
          emit(Operation::forward, problem, schedule, find_target("sm_90a")),
          instead};
}

// Every kind of schedule.
constexpr const char* kernels[] = {
    "flash_wgmma_bf16_d64_causal", "flash_wgmma_bf16_d128_causal_no_ping_pong",
    "flash_wgmma_bf16_d128_causal_o_over_q", "flash_wgmma_bf16_d128_causal_one_warpgroup",
    "flash_wgmma_bf16_d128_causal_three_stages"};

/// Sinks that end within the first tile, at its end, behind it; windows from one key to all.
constexpr Reach reaches[] = {{5, 70}, {64, 130}, {200, 1}, {0, 33}, {3, 1000}};

struct Call {
  Shape shape;
  std::int64_t q_offset, k_offset;
  std::optional<Rows> q_rows, kv_rows;
  int multiprocessors;

  ForwardArgs args(const ForwardTensors& tensors) const {
    ForwardArgs args = tensors.args();
    args.q_offset = q_offset;
    args.k_offset = k_offset;
    args.q_rows = q_rows;
    args.kv_rows = kv_rows;
    return args;
  }
};

/// Several items in one block; queries far behind the sinks and in front of all keys; sub-ranges
/// whose first key is no position that a tile begins at.
const Call calls[] = {{{1, 2, 300, 600}, 258, 0, {}, {}, 1},
                      {{1, 1, 200, 500}, -60, 0, {}, {}, 2},
                      {{1, 1, 150, 900}, 750, 0, {}, {}, 2},
                      {{2, 1, 260, 610}, 301, 0, Rows{30, 199}, Rows{17, 600}, 1},
                      {{1, 1, 130, 300}, 171, 2, {}, Rows{1, 290}, 2}};

struct Planted {
  const char* what;
  Fault fault;
};

/// Whether `fault` changes what some call of some schedule gives, or is reported.
bool is_noticed(const Fault& fault) {
  const std::string text = faulty_text(fault);
  const Reach reach{5, 70};
  for (const char* name : {kernels[1], kernels[3]}) {
    const GoldenCase golden = golden_case(name);
    const EmulatedKernel kernel = windowed_kernel(golden, reach, {{fault.file, text}});
    for (const Call& call : calls) {
      const ForwardTensors tensors({.problem = golden.problem, .shape = call.shape});
      const ForwardArgs args = call.args(tensors);
      try {
        kernel.emulate(args, {.multiprocessors = call.multiprocessors});
      } catch (const Error& error) {
        if (error.code() != ErrorCode::launch_failed) throw;
        return true;
      }
      const Errors errors = errors_of(golden.problem, args, all_rows(args), reach.visible());
      if (!errors.ok()) return true;
    }
  }
  return false;
}

}  // namespace

TEST_CASE("a mask of two key ranges agrees with float64 on every kind of schedule") {
  for (std::size_t i = 0; i < std::size(kernels); i++) {
    const char* name = kernels[i];
    const GoldenCase golden = golden_case(name);
    for (const Reach& reach : {reaches[i], reaches[(i + 1) % std::size(reaches)]}) {
      const EmulatedKernel kernel = windowed_kernel(golden, reach);
      for (const Call& call : calls) {
        const ForwardCase given{.problem = golden.problem, .shape = call.shape};
        INFO(name << ", sinks " << reach.sinks << ", window " << reach.window << ": "
                  << given.describe());
        const ForwardTensors tensors(given);
        const ForwardArgs args = call.args(tensors);
        kernel.emulate(args, {.seed = 3, .multiprocessors = call.multiprocessors});
        check_result(golden.problem, args, tensors, reach.visible());
      }
    }
  }
}

TEST_CASE("a mask of two key ranges agrees with float64 at every offset modulo a key tile") {
  const GoldenCase golden = golden_case("flash_wgmma_bf16_d128_causal_three_stages");
  const Reach reach{5, 70};
  const EmulatedKernel kernel = windowed_kernel(golden, reach);
  for (int offset = 0; offset < 64; offset++) {
    INFO("offset " << offset);
    const ForwardTensors tensors({.problem = golden.problem, .shape = {1, 1, 130, 300}});
    ForwardArgs args = tensors.args();
    args.q_offset = 130 + offset;
    kernel.emulate(args, {});
    check_result(golden.problem, args, tensors, reach.visible());
  }
}

TEST_CASE("shares of a walk over two key ranges merge to what float64 gives") {
  GoldenCase golden = split_golden_cases().front();
  for (const Reach& reach : {Reach{5, 70}, Reach{200, 1}}) {
    const EmulatedKernel kernel = windowed_kernel(golden, reach);
    for (int splits : {2, 3, 5}) {
      INFO("sinks " << reach.sinks << ", window " << reach.window << ", splits " << splits);
      const ForwardTensors tensors({.problem = golden.problem, .shape = {1, 1, 300, 700}});
      kernel.with("splits=" + std::to_string(splits)).emulate(tensors.args(), {.seed = 2});
      check_result(golden.problem, tensors.args(), tensors, reach.visible());
    }
  }
}

TEST_CASE("faults in a walk over two key ranges are noticed") {
  constexpr const char *walk = "parts/key_walk.cuh", *consumer = "forward/flash_consumer.cuh",
                       *places = "forward/flash_shared.cuh";
  const Planted faults[] = {
      {"tiles below a range's lower end are left out",
       {walk, "seen.begin / tile_kv,", "(seen.begin + tile_kv - 1) / tile_kv,"}},
      {"a range visits tiles that the one before has visited",
       {walk, "min(tiles_up_to(seen.end), lowest)", "tiles_up_to(seen.end)"}},
      {"the second range is left out", {walk, "Score::range_count > 1", "false"}},
      {"tiles at the lower end of a range are not masked", {walk, "tile < full.begin || ", ""}},
      {"tiles at the upper end of a range are not masked", {walk, " || tile >= full.end", ""}},
      {"a tile that is full in part is taken for full",
       {walk, "full = {tiles_up_to(whole.begin)", "full = {whole.begin / tile_kv"}},
      {"a range passes over what its own rows see",
       {walk, "min(tiles_up_to(seen_end) - 1, tile)", "min(tiles_up_to(seen_end) - 2, tile)"}},
      {"a range begins one key too late",
       {places, "sequence.queries(tile, tile +", "sequence.queries(tile + 64, tile +"}},
      {"rows of the mask are those eight below",
       {consumer, "score.keeps(first_row + at.row(r)", "score.keeps(first_row + at.row(0)"}},
      {"columns of the mask begin at the tile",
       {consumer, "walk.tile * tiling.tile_kv + at.column()", "walk.tile * tiling.tile_kv"}},
  };
  for (const Planted& planted : faults) {
    INFO(planted.what);
    CHECK(is_noticed(planted.fault));
  }
}

TEST_CASE("scores change before the mask, a sink joins the denominator") {
  for (const char* name : kernels) {
    GoldenCase golden = golden_case(name);
    golden.problem.score = Expr::parse("score * 1.5 - 0.01 * abs(q - k)", ExprRole::score);
    golden.problem.sink = Expr::parse("1.0 + 0.5 * head", ExprRole::score);
    const EmulatedKernel kernel(golden.problem, {golden.schedule, "golden"}, golden.program());
    INFO(name);
    const ForwardTensors tensors({.problem = golden.problem, .shape = {1, 2, 300, 413}});
    kernel.emulate(tensors.args(), {});
    check_result(golden.problem, tensors.args(), tensors);
  }
}
