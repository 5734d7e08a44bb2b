// The tuner on a GPU: candidates pass the gate, times are plausible, and the row is no loss.
#include "autotune/local_device.h"
#include "autotune/tune_session.h"
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

}  // namespace
}  // namespace streamattn
