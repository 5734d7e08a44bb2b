// The rows that are shipped, derived again from the finals that are kept of them.
#include <filesystem>

#include "autotune/replay.h"
#include "autotune/tuned_rows.h"
#include "streamattn/compiler.h"
#include "tests/support/catch.h"
#include "tests/support/scratch.h"
#include "tests/support/skip.h"
#include "tools/tune_summary.h"

namespace streamattn {
namespace {

namespace fs = std::filesystem;

const fs::path source = STREAMATTN_SOURCE_DIR;

// "sm_90a-random.jsonl" are the finals of the job "sm_90a-random.toml".
TuneReport derive(const std::string& name) {
  const TuneJob job = load_tune_job(source / "bench" / "jobs" / (name + ".toml"));
  return replay_tune_job(source / "docs" / "measurements" / (name + ".jsonl"), job);
}

bool are_kept(const std::string& name) {
  return fs::exists(source / "docs" / "measurements" / (name + ".jsonl"));
}

TEST_CASE("the shipped rows are those that the tuner wrote, by the finals in docs/measurements") {
  if (!are_kept("sm_90a")) SKIP_TEST("docs/measurements has no finals of the shipped rows");
  const TuneReport report = derive("sm_90a");
  CHECK(report.is_complete);
  CHECK(read_file(source / "configs" / "sm_90a.toml") ==
        rows_toml(tuned_rows(report.results, *report.target), report.site, *report.target));
}

TEST_CASE("the regret of the first guess that the docs publish is that of the finals") {
  if (!are_kept("sm_90a-random")) SKIP_TEST("docs/measurements has no finals of random shapes");
  const TuneReport report = derive("sm_90a-random");
  CHECK(report.is_complete);
  CHECK_THAT(read_file(source / "docs" / "tuning.md"), contains_text(regret_sentence(report)));
}

}  // namespace
}  // namespace streamattn
