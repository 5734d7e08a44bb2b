// From a group of calls to the schedule that is best for it: list, rank, build, check, race,
// decide.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "autotune/candidates.h"
#include "autotune/group_result.h"
#include "autotune/tune_device.h"
#include "autotune/tune_job.h"

namespace streamattn {

/// What the tuner says while it works.
struct TuneProgress {
  std::size_t group = 0, groups = 0;
  std::string stage;                ///< "build", "check", "race", "finals"
  std::size_t done = 0, total = 0;  ///< steps of the stage
  std::optional<double> best_microseconds = {};
};

/// Tunes groups one at a time.
class Tuner {
 public:
  /// Candidates for which `is_blocked` has a reason are not tried.
  Tuner(TuneDevice& device, std::vector<KnobLimit> space, TuneMethod method, WhyBlocked is_blocked,
        std::function<void(const TuneProgress&)> progress);

  /// Tunes a group. `in_use` is raced to the end, and keeps its place where nothing is faster;
  /// `near` are schedules that won on calls like these: they are tried whatever the model says.
  GroupResult tune(const TuneGroup& group, const Schedule& in_use,
                   const std::vector<Schedule>& near);

  /// Where tune() is in a job of how many groups, for progress.
  void set_place(std::size_t group, std::size_t groups);

 private:
  void build(const TuneGroup& group, std::vector<CandidateRecord>& candidates);
  void check(const TuneGroup& group, std::vector<CandidateRecord>& candidates);
  void note(const char* stage, std::size_t done, std::size_t total);

  TuneDevice& device_;
  std::vector<KnobLimit> space_;
  TuneMethod method_;
  WhyBlocked is_blocked_;
  std::function<void(const TuneProgress&)> progress_;
  TuneProgress place_;
};

}  // namespace streamattn
