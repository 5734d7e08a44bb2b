// Interleaved rounds between schedules of one group: who may go on, and who is first.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "autotune/paired.h"
#include "autotune/tune_device.h"
#include "autotune/tune_job.h"

namespace streamattn {

/// A schedule in the race, and what was measured of it.
struct Runner {
  Schedule schedule;
  std::vector<std::vector<double>> milliseconds = {};  ///< by round, of each shape of the group
  std::vector<double> logs = {};    ///< by round: mean over the shapes of log(milliseconds)
  std::optional<Outcome> out = {};  ///< what took it out of the race

  /// Median over the latest `rounds` of what logs hold.
  double latest(std::size_t rounds) const;

  /// Adds a round: milliseconds of each shape.
  void add_round(std::vector<double> times);

  /// This runner with its latest `rounds` alone.
  Runner of_latest(std::size_t rounds) const;
};

/// One stage of the race.
struct RaceStage {
  int rounds = 1;
  double milliseconds = 2;  ///< of each runner, shape and round
};

/// How many runs that take `once` each make up `milliseconds`: at least three, so that a median
/// leaves out a straggler.
int runs_for(double milliseconds, double once);

/// Runs every one of `runners` that is not out once a round on every shape, in random order, a
/// shape after the other; a runner that fails is out. `advance` is called after each.
void run_stage(TuneDevice& device, const TuneGroup& group, const std::vector<Runner*>& runners,
               const RaceStage& stage, std::uint64_t seed, const std::function<void()>& advance);

/// Those of `runners` that are not out, the fastest of the latest `rounds` in front, cut to `keep`,
/// and beyond that to those within `margin` of the first, such as 0.1, at most `most`.
std::vector<Runner*> leaders(std::vector<Runner*> runners, std::size_t rounds, std::size_t keep,
                             double margin, std::size_t most);

}  // namespace streamattn
