// The rows that are shipped, derived again from the measurements that are kept of them.
#include <filesystem>

#include "autotune/replay.h"
#include "autotune/tuned_rows.h"
#include "tests/support/catch.h"
#include "tests/support/scratch.h"
#include "tests/support/skip.h"

namespace streamattn {
namespace {

namespace fs = std::filesystem;

// "h200_forward.journal.jsonl" was written by the job "h200_forward.toml".
TEST_CASE("shipped rows that a tuner wrote follow from the journals in docs/measurements") {
  const fs::path source = STREAMATTN_SOURCE_DIR;
  int journals = 0;
  for (const auto& file : fs::directory_iterator(source / "docs" / "measurements")) {
    const std::string name = file.path().filename(), ending = ".journal.jsonl";
    if (!name.ends_with(ending)) continue;
    journals++;
    INFO(name);
    const std::string stem = name.substr(0, name.size() - ending.size());
    const TuneJob job = load_tune_job(source / "bench" / "jobs" / (stem + ".toml"));
    const TuneReport report = replay_tune_job(file.path(), job);
    CHECK(report.is_complete);
    const std::string target(report.target->name);
    const std::string shipped = read_file(source / "configs" / (target + ".toml"));
    for (const TunedRow& row : tuned_rows(report.results, *report.target)) {
      const std::string text = rows_toml({row}, report.site, *report.target);
      const std::string entry = text.substr(text.find("[[schedule]]"));
      INFO(entry);
      CHECK(shipped.find(entry) != std::string::npos);
    }
  }
  if (journals == 0) SKIP_TEST("docs/measurements has no journals of `streamattn tune` yet");
}

}  // namespace
}  // namespace streamattn
