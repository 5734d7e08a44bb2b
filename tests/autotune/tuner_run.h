// Tunings of a small job on a made-up device.
#pragma once

#include <string>
#include <vector>

#include "autotune/tune_session.h"
#include "autotune/tuned_rows.h"
#include "support/hash.h"
#include "tests/support/catch.h"
#include "tests/support/scratch.h"
#include "tests/support/simulated_device.h"

namespace streamattn {

/// Times that have nothing to do with the model: each schedule's own, between 100 and 200.
inline double arbitrary_time(const ForwardCase&, const Schedule& schedule) {
  const Digest bytes = digest(schedule.describe());
  return 100 + 100.0 * (bytes[0] * 256 + bytes[1]) / 65536;
}

inline ForwardCase call_of(std::int64_t length) {
  ForwardCase call;
  call.problem.mask = causal();
  call.shape = {.batch = 4, .kv_heads = 16, .q_len = length, .kv_len = length};
  return call;
}

/// A job with a space that is small enough for hundreds of runs.
inline TuneJob small_job(const std::vector<std::int64_t>& lengths = {4096}) {
  std::vector<ForwardCase> calls;
  for (const std::int64_t length : lengths) calls.push_back(call_of(length));
  TuneJob job = job_of(calls);
  job.space = {{"tile_kv", {std::int64_t{80}, std::int64_t{96}, std::int64_t{128}}},
               {"stages", {std::int64_t{2}}},
               {"o_passes", {std::int64_t{1}}},
               {"section_heads", {std::int64_t{0}, std::int64_t{4}}},
               {"tile_order", {std::string("dynamic")}}};
  return job;
}

struct Tuned {
  TuneReport report;
  std::string rows;
};

class TunerRun {
 public:
  TuneSettings settings(Journal::Open how = Journal::Open::new_file) const {
    return {.journal = folder.path() / "journal.jsonl",
            .open = how,
            .should_stop = [] { return false; },
            .progress = [](const TuneProgress&) {}};
  }

  Tuned run(TuneDevice& device, const TuneJob& job, const TuneSettings& how) const {
    Tuned tuned{.report = run_tune_job(device, job, how, [](const TuneReport&) {})};
    tuned.rows = rows_toml(tuned_rows(tuned.report.results, device.target()), tuned.report.site,
                           device.target());
    return tuned;
  }

  ScratchFolder folder;
};

inline Tuned tune_simulated(const SimulatedWorld& world, const TuneJob& job = small_job()) {
  SimulatedDevice device(world);
  const TunerRun one;
  return one.run(device, job, one.settings());
}

inline const Decision& only_decision(const Tuned& tuned) {
  REQUIRE(tuned.report.results.size() == 1);
  REQUIRE(tuned.report.results.front().decision);
  return *tuned.report.results.front().decision;
}

}  // namespace streamattn
