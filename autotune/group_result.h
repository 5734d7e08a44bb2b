// What was tried for a group of calls, and what came of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "autotune/decision.h"
#include "autotune/tune_device.h"
#include "autotune/tune_job.h"
#include "compiler/estimate.h"

namespace streamattn {

/// How much is tried and measured.
struct TuneMethod {
  std::int64_t candidates = 400;  ///< most that are built for a group, by the model; 0: all
  double model_margin = 2.5;      ///< slower than the best by the model by this factor: not built
  double screen_margin = 0.1;     ///< slower than the best by this: out after one round
  int rounds = 3;                 ///< between those that come through
  double round_milliseconds = 12;
  std::size_t finalists = 8;
  int final_rounds = 9;  ///< the first is dropped
  double final_milliseconds = 35;
  std::uint64_t seed = 1;
};

/// A candidate and how far it came.
struct CandidateRecord {
  Schedule schedule;
  Estimate estimate = {};
  Outcome outcome = {};                          ///< what ended it, where that was no lack of speed
  std::optional<ForwardCase> failed_check = {};  ///< the call whose check ended it
  BuildOutcome build = {};
  double error = 0, allowed = 0;            ///< the largest of its checks
  std::optional<double> microseconds = {};  ///< geometric mean over the shapes, when last timed
  std::string stage = "listed";  ///< "listed", "built", "checked", "timed", "raced", "final"
};

/// What became of a group.
struct GroupResult {
  TuneGroup group;
  std::size_t place = 0;  ///< in the job
  std::vector<CandidateRecord> candidates = {};
  std::optional<Finals> finals = {};  ///< what the decision is made by
  std::optional<Decision> decision = {};
  std::string why_undecided = {};  ///< where there is no decision
};

/// Checks a candidate on `call` and keeps what came of it. Whether it passed.
bool passes(TuneDevice& device, const ForwardCase& call, CandidateRecord& candidate);

}  // namespace streamattn
