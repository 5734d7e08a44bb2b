// The data behind rows: from a tuning to finals, and from finals to the rows again.
#include "autotune/finals_file.h"

#include "autotune/replay.h"
#include "autotune/tuned_rows.h"
#include "compiler/knobs.h"
#include "streamattn/error.h"
#include "tests/support/catch.h"
#include "tests/support/scratch.h"
#include "tests/support/simulated_device.h"

namespace streamattn {
namespace {

/// Schedules that differ by less than a percent, so that noise decides what is tied.
double close_times(const ForwardCase&, const Schedule& schedule) {
  const auto tile_kv = std::get<std::int64_t>(schedule.get("tile_kv"));
  const auto tile_q = std::get<std::int64_t>(schedule.get("tile_q"));
  return 100 + static_cast<double>(tile_kv) / 80 + static_cast<double>(tile_q) / 200;
}

TuneJob job_for(const std::string& lengths) {
  return parse_tune_job("[[case]]\nmask = [\"true\", \"k <= q\"]\nhidden = 2048\ntokens = 16384\n" +
                            lengths +
                            "\n[space]\ntile_kv = [64, 80, 96, 128]\nstages = 2\no_passes = 1\n",
                        "job.toml", ".");
}

TuneJob bucket_job() { return job_for("seq = { from = 1025, to = 8192 }"); }

std::string rows_of(const TuneReport& report) {
  return rows_toml(tuned_rows(report.results, *report.target), report.site, *report.target);
}

/// What a tuning leaves.
class FinalsTest {
 public:
  explicit FinalsTest(const TuneJob& job = bucket_job(), SimulatedWorld world = {}) : job_(job) {
    if (!world.truth) world.truth = close_times;
    SimulatedDevice device(world);
    const TuneSettings settings{.journal = folder_.path() / "journal.jsonl",
                                .should_stop = [] { return false; },
                                .progress = [](const TuneProgress&) {}};
    report_ = run_tune_job(device, job, settings, [](const TuneReport&) {});
    text_ = finals_text(report_);
  }

  TuneReport replay(const std::string& text, const TuneJob& job) const {
    write_file(folder_.path() / "finals.jsonl", text);
    return replay_tune_job(folder_.path() / "finals.jsonl", job);
  }
  TuneReport replay(const std::string& text) const { return replay(text, job_); }

  std::string complaint(const std::string& text) const {
    return error_of([&] { replay(text); });
  }

  /// The finals with the first `from` replaced.
  std::string with(const std::string& from, const std::string& to) const {
    std::string changed = text_;
    const std::size_t place = changed.find(from);
    REQUIRE(place != std::string::npos);
    return changed.replace(place, from.size(), to);
  }

  const TuneReport& report() const { return report_; }
  const std::string& text() const { return text_; }

 private:
  ScratchFolder folder_;
  TuneJob job_;
  TuneReport report_;
  std::string text_;
};

TEST_CASE("the finals of a tuning alone give its rows again, and all that it knows of them") {
  const FinalsTest tuned;
  const TuneReport again = tuned.replay(tuned.text());
  CHECK(again.is_complete);
  CHECK(again.site == tuned.report().site);
  CHECK(rows_of(again) == rows_of(tuned.report()));
  CHECK_THAT(rows_of(again), contains_text("[[schedule]]"));
  CHECK(finals_text(again) == tuned.text());
  const auto before = regret_of_first_guess(tuned.report().results),
             after = regret_of_first_guess(again.results);
  CHECK(after->mean == before->mean);
  CHECK(after->worst == before->worst);
}

TEST_CASE("finals of 36 groups stay far below 300 KB") {
  const FinalsTest tuned;
  REQUIRE(tuned.report().results.size() == 6);
  for (const GroupResult& result : tuned.report().results) {
    CHECK(result.group.shapes.size() == 2);
    CHECK(result.finals->finalists.size() >= 8);
    CHECK(result.finals->finalists.front().logs.size() == 8);
  }
  CHECK(tuned.text().size() / 6 * 36 < 200'000);
}

TEST_CASE("rows and finals that are not of each other differ") {
  const FinalsTest tuned;
  std::string slower = tuned.text();
  // A second more for a winner.
  const std::string winner =
      "\"schedule\":\"" + schedule_fields(tuned.report().results.front().decision->winner) + "\"";
  const std::size_t schedule = slower.find(winner), times = slower.rfind("\"ns\":[[", schedule);
  REQUIRE(schedule != std::string::npos);
  slower.insert(times + 7, "1000000");
  CHECK(rows_of(tuned.replay(slower)) != rows_of(tuned.report()));
}

TEST_CASE("a group without a line is not finished, one that the job does not have is an error") {
  const FinalsTest tuned;
  const std::string shorter = tuned.text().substr(0, tuned.text().rfind("{\"again\""));
  const TuneReport part = tuned.replay(shorter);
  CHECK_FALSE(part.is_complete);
  CHECK(part.results.size() == 5);
  CHECK_THAT(error_of([&] { tuned.replay(tuned.text(), job_for("seq = 512")); }),
             contains_text("the line is of a group that the job does not have, or has twice"));
}

TEST_CASE("a group that stayed undecided says so again") {
  SimulatedWorld world;
  world.fate = [](const std::string& step, const Schedule&) {
    return step == "check" ? Fate::wrong : Fate::ok;
  };
  const FinalsTest tuned(job_for("seq = 4096"), world);
  const TuneReport again = tuned.replay(tuned.text());
  REQUIRE(again.results.size() == 2);
  CHECK(again.is_complete);
  CHECK_FALSE(again.results[0].decision);
  CHECK(again.results[0].why_undecided == tuned.report().results[0].why_undecided);
}

TEST_CASE("finals that nobody wrote are an error with its line") {
  const FinalsTest tuned(job_for("seq = 4096"));
  CHECK_THAT(tuned.complaint(tuned.with("\"finalists\":", "\"others\":")),
             contains_text("finals.jsonl:2: the line has no finalists"));
  CHECK_THAT(tuned.complaint(tuned.with("\"in_use\":", "\"used\":")),
             contains_text(":2: the line has no \"in_use\""));
  CHECK_THAT(tuned.complaint(tuned.with("family=flash_wgmma", "family=of_nobody")),
             contains_text(":2: the line has a schedule that is none: "));
  CHECK_THAT(tuned.complaint(tuned.with("family=flash_wgmma", "family=\x7f")),
             contains_text("\\x7f"));
  CHECK_THAT(tuned.complaint(tuned.with("\"ns\":[[", "\"ns\":[[1,")),
             contains_text(":2: the line has a round without 1 times"));
  CHECK_THAT(tuned.complaint(tuned.with("\"ns\":[[", "\"ns\":[[-")),
             contains_text(":2: the line has a time that is no number of nanoseconds"));
  CHECK_THAT(tuned.complaint(tuned.with("\"ns\":[[", "\"ns\":[[7],[")),
             contains_text(":2: the line has finalists with different numbers of rounds"));
  CHECK_THAT(tuned.complaint(tuned.with("\"ns\":", "\"us\":")),
             contains_text(":2: the line has a finalist without rounds"));
  CHECK_THAT(tuned.complaint(tuned.with("\"finalists\":[", "\"finalists\":[1,")),
             contains_text(":2: the line has a finalist that is no object"));
}

}  // namespace
}  // namespace streamattn
