// The tuner on a GPU: candidates pass the gate, times are plausible, and the row is no loss.
#include <algorithm>

#include "autotune/local_device.h"
#include "autotune/tune_session.h"
#include "runtime/gpu/device.h"
#include "streamattn/tuning.h"
#include "tests/gpu/gpu_case.h"
#include "tests/support/catch.h"
#include "tests/support/scratch.h"
#include "tests/support/skip.h"

namespace streamattn {
namespace {

TEST_CASE("tuning in process on a GPU gives a row that is no slower than the first guess") {
  if (const auto reason = no_gpu_reason(); !reason.empty()) SKIP_TEST(reason);
  const ScratchFolder folder;
  LocalDevice device({});
  ForwardCase call;
  call.problem.mask = causal();
  call.shape = {.batch = 2, .kv_heads = 16, .q_len = 2048, .kv_len = 2048};
  TuneJob job = job_of({call});
  job.space = {{"tile_kv", {std::int64_t{80}, std::int64_t{128}}}, {"stages", {std::int64_t{2}}}};
  const TuneSettings settings{.method = {.candidates = 12},
                              .journal = folder.path() / "journal.jsonl",
                              .should_stop = [] { return false; },
                              .progress = [](const TuneProgress&) {}};
  const TuneReport report = run_tune_job(device, job, settings, [](const TuneReport&) {});
  REQUIRE(report.is_complete);
  const GroupResult& result = report.results.front();
  INFO(result.why_undecided);
  for (const CandidateRecord& candidate : result.candidates) {
    INFO(candidate.schedule.describe() << ": " << candidate.outcome.reason);
    CHECK(candidate.outcome.fate != Fate::wrong);
    CHECK(candidate.outcome.fate != Fate::crashed);
  }
  REQUIRE(result.decision);
  CHECK(result.decision->gain >= 0.99);
  CHECK(result.decision->microseconds.front() > 10);
  CHECK(result.decision->microseconds.front() < 10'000);
  CHECK(report.site.timed.l2 == "cold");
  CHECK_FALSE(report.site.timed.nvrtc.empty());
}

TEST_CASE("a GPU is timed with a cold and a warm L2, from the host and from graphs") {
  if (const auto reason = no_gpu_reason(); !reason.empty()) SKIP_TEST(reason);
  ForwardCase call;
  call.shape = {.batch = 4, .kv_heads = 16, .q_len = 1024, .kv_len = 1024};
  const Schedule schedule =
      choose(Operation::forward, call.problem, call.shape, find_target("sm_90a")).schedule;
  const auto best = [](const TimeOutcome& outcome) {
    INFO(outcome.reason);
    REQUIRE(outcome.ok());
    return std::ranges::min(outcome.milliseconds);
  };
  double usual = 0;
  for (const CacheState l2 : {CacheState::cold, CacheState::warm})
    for (const LaunchMode launch : {LaunchMode::eager, LaunchMode::graph}) {
      INFO(name(l2) << ", " << name(launch));
      LocalDevice device({}, {.l2 = l2, .launch = launch});
      CHECK(device.site().timed.l2 == name(l2));
      CHECK(device.site().timed.launch == name(launch));
      CHECK(device.check(call, schedule).ok());
      const double first = best(device.time(call, schedule, 20));
      const double second = best(device.time(call, schedule, 20));  // the same graph again
      CHECK(second == Approx(first).epsilon(0.2));
      if (usual == 0) usual = second;
      CHECK(second < 1.1 * usual);
      CHECK(second > 0.3 * usual);
      CHECK(device.check(call, schedule).ok());
    }
}

TEST_CASE("a Jit tunes what it is asked for, but not while a stream is captured") {
  if (const auto reason = no_gpu_reason(); !reason.empty()) SKIP_TEST(reason);
  const ScratchFolder folder;
  const auto table = folder.path() / "tuned.toml";
  const Problem problem{.group_size = 2, .mask = causal()};
  const Shape shape{.batch = 1, .kv_heads = 4, .q_len = 700, .kv_len = 700};
  const ScheduleTuner tune = tune_on_first_use({.budget_seconds = 8, .table = table});
  int asked = 0;
  const Jit jit = Jit::create({.tuner = [&](const JitOptions& options, Operation operation,
                                            const Problem& of, const Shape& size) {
    asked++;
    return tune(options, operation, of, size);
  }});
  const ContextScope context(GpuDevice::get().context());
  CUstream stream = nullptr;
  CUgraph graph = nullptr;
  check(driver().cuStreamCreate(&stream, 0),
        "cuStreamCreate");  // one that the default one waits for
  check(driver().cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL), "begin capture");
  CHECK_THAT(jit.forward(problem, shape).describe(), contains_text("first guess"));
  CHECK(asked == 0);
  check(driver().cuStreamEndCapture(stream, &graph), "end capture");
  const Schedule schedule = jit.forward(problem, shape).schedule();
  CHECK(asked == 1);
  const auto row =
      ScheduleTable::load(table).find(Operation::forward, problem, shape, jit.target());
  REQUIRE(row);
  CHECK(row->schedule == schedule);
  driver().cuGraphDestroy(graph);
  driver().cuStreamDestroy(stream);
}

}  // namespace
}  // namespace streamattn
