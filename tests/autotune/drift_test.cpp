// Rows measured again, and the kernels of rows moved to another machine.
#include "autotune/drift.h"

#include <fstream>
#include <iterator>

#include "autotune/kernel_bundle.h"
#include "autotune/local_device.h"
#include "autotune/tuned_rows.h"
#include "compiler/toolchain/nvrtc.h"
#include "runtime/cache/kernel_key.h"
#include "streamattn/compiler.h"
#include "streamattn/error.h"
#include "tests/support/catch.h"
#include "tests/support/scratch.h"
#include "tests/support/simulated_device.h"
#include "tests/support/skip.h"

namespace streamattn {
namespace {

const Target& hopper = find_target("sm_90a");

const Schedule quick =
    parse_schedule("family=flash_wgmma,tile_q=128,tile_kv=96,math_warpgroups=2,softmax=stale");

TuneJob job_at(std::int64_t length) {
  ForwardCase call;
  call.problem.mask = causal();
  call.shape = {4, 16, length, length};
  return job_of({call});
}

/// The row that a tuner writes where `quick` took 100 us.
std::string rows_text(std::int64_t length) {
  GroupResult result{.group = job_at(length).groups.front()};
  result.decision = Decision{.winner = quick, .microseconds = {100}};
  SimulatedDevice device({});
  return rows_toml(tuned_rows({result}, hopper), device.site(), hopper);
}

Drift drift_of(const SimulatedWorld& world, std::int64_t length = 2048) {
  SimulatedDevice device(world);
  const auto rows = ScheduleTable::parse(rows_text(2048), "rows.toml");
  return measure_drift(device, job_at(length), rows, {}, [](std::size_t) {}).front();
}

auto takes(double of_row, double of_others) {
  return [=](const ForwardCase&, const Schedule& s) { return s == quick ? of_row : of_others; };
}

TEST_CASE("a row that is as fast as it was holds, one that is not has drifted") {
  const Drift same = drift_of({.truth = takes(100, 120)});
  CHECK(same.origin == "rows.toml:3");
  CHECK(same.recorded == 100);
  CHECK(same.microseconds == Approx(100).epsilon(0.05));
  CHECK(same.gain == Approx(1.2).epsilon(0.02));
  CHECK_FALSE(same.has_drifted(0.1));
  CHECK(drift_of({.truth = takes(120, 150)}).has_drifted(0.1));
  CHECK(drift_of({.truth = takes(80, 150)}).has_drifted(0.1));
  CHECK(drift_of({.truth = takes(100, 90)}).has_drifted(0.1));  // the first guess is better
}

TEST_CASE("a time that was taken in another way is not compared") {
  for (const bool is_graph : {false, true}) {
    SimulatedWorld world{.truth = takes(150, 170)};
    (is_graph ? world.launch : world.l2) = is_graph ? "graph" : "warm";
    const Drift drift = drift_of(world);
    CHECK(drift.recorded == 0);
    CHECK_FALSE(drift.has_drifted(0.1));
    world.truth = takes(150, 100);
    CHECK(drift_of(world).has_drifted(0.1));  // the first guess is better in this way, too
  }
}

TEST_CASE("a row that is wrong has drifted, and says why; calls without a row have not") {
  const Drift wrong = drift_of(
      {.truth = takes(100, 120), .fate = [](const std::string& step, const Schedule& schedule) {
         const bool fails = step == "check" && schedule == quick;
         return fails ? Fate::wrong : Fate::ok;
       }});
  CHECK(wrong.has_drifted(0.1));
  CHECK(wrong.outcome.reason == "the test says so");
  const Drift none = drift_of({.truth = takes(100, 120)}, 4096);
  CHECK_FALSE(none.has_row());
  CHECK_FALSE(none.has_drifted(0.1));
}

TEST_CASE("rows say what their kernels are made of, unless a field is open") {
  const ScratchFolder folder;
  write_file(folder.path() / "rows.toml", rows_text(2048));
  const auto programs = programs_of_rows(folder.path() / "rows.toml");
  REQUIRE(programs.size() == 1);
  CHECK(programs[0].problem == job_at(2048).groups.front().call.problem);
  CHECK(programs[0].schedule == quick);
  write_file(folder.path() / "open.toml",
             "[[schedule]]\ntarget = \"sm_90a\"\nwhen = { head_dim = 64 }\n"
             "use = { family = \"flash_wgmma\" }\n");
  CHECK_THAT(error_of([&] { programs_of_rows(folder.path() / "open.toml"); }),
             contains_text("open.toml:1: the row leaves dtype open"));
}

TEST_CASE("a machine that installs what another exported compiles nothing") {
  const ScratchFolder folder;
  const auto rows = folder.path() / "rows.toml", bundle = folder.path() / "bundle";
  write_file(rows, rows_text(2048));
  const ScopedVariable mode("STREAMATTN_CACHE_MODE", std::nullopt);
  const Problem problem = job_at(2048).groups.front().call.problem;
  try {
    compiler_identity();
  } catch (const Error&) {
    SKIP_TEST("no NVRTC");
  }
  {
    const ScopedVariable here("STREAMATTN_CACHE_DIR", (folder.path() / "here").string());
    const BundleCount count = export_bundle(rows, bundle);
    CHECK(count.kernels == 1);
    CHECK(count.fresh == 1);
    CHECK(export_bundle(rows, bundle).fresh == 0);
  }
  const ScopedVariable there("STREAMATTN_CACHE_DIR", (folder.path() / "there").string());
  const BundleCount installed = install_bundle(bundle, folder.path() / "installed.toml");
  CHECK(installed.kernels == 1);
  CHECK(installed.fresh == 1);
  CHECK(install_bundle(bundle, folder.path() / "installed.toml").fresh == 0);
  const BuildOutcome warm = build_program(problem, quick, hopper, {});
  CHECK(warm.ok());
  CHECK(warm.is_from_cache);
  CHECK(warm.registers > 0);
  // It was counted, not assumed: another schedule is compiled.
  const BuildOutcome cold = build_program(problem, parse_schedule("tile_kv=80", quick), hopper, {});
  CHECK(cold.ok());
  CHECK_FALSE(cold.is_from_cache);
}

TEST_CASE("installed rows take the place of older ones at once, and damaged ones none") {
  const ScratchFolder folder;
  const ScopedVariable cache("STREAMATTN_CACHE_DIR", (folder.path() / "cache").string());
  const auto bundle = folder.path() / "bundle", rows = folder.path() / "rows.toml";
  std::filesystem::create_directories(bundle / "kernels");
  write_file(bundle / "rows.toml", rows_text(2048));
  const std::string old = "# before\n" + rows_text(4096);
  write_file(rows, old);
  std::ifstream reader(rows);  // of another process, in the middle of the file
  REQUIRE(reader.get() == '#');
  install_bundle(bundle, rows);
  CHECK(read_file(rows) == rows_text(2048));
  CHECK("#" + std::string(std::istreambuf_iterator<char>(reader), {}) == old);

  write_file(bundle / "rows.toml", "schedule = 3");
  CHECK_THAT(error_of([&] { install_bundle(bundle, rows); }), contains_text("rows.toml:1:12: "));
  CHECK(read_file(rows) == rows_text(2048));
  write_file(bundle / "rows.toml", rows_text(2048));
  CHECK_THAT(error_of([&] { install_bundle(bundle, "/nonexistent/rows.toml"); }),
             contains_text("/nonexistent/rows.toml cannot be written: No such file"));
}

TEST_CASE("a damaged bundle is refused") {
  const ScratchFolder folder;
  const ScopedVariable cache("STREAMATTN_CACHE_DIR", (folder.path() / "cache").string());
  CHECK_THAT(error_of([&] {
               install_bundle(folder.path() / "nothing", folder.path() / "installed.toml");
             }),
             contains_text("cannot be read"));
  const auto bundle = folder.path() / "bundle";
  std::filesystem::create_directories(bundle / "kernels");
  write_file(bundle / "rows.toml", rows_text(2048));
  write_file(bundle / "kernels" / "odd", "x");
  CHECK_THAT(error_of([&] { install_bundle(bundle, folder.path() / "installed.toml"); }),
             contains_text("is not named after a kernel's key"));
  std::filesystem::remove(bundle / "kernels" / "odd");
  write_file(bundle / "kernels" / KernelKey{}.text(), "no kernel");
  CHECK_THAT(error_of([&] { install_bundle(bundle, folder.path() / "installed.toml"); }),
             contains_text("cannot be used: "));
}

}  // namespace
}  // namespace streamattn
