// Decides races.
#include "autotune/decision.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <tuple>

#include "measure/statistics.h"

namespace streamattn {
namespace {

// Less than this nobody can measure again; more than that is no tie however noisy the rounds were.
constexpr double smallest_difference = 0.005, largest_tie = 0.02;

/// Medians over the rounds, in microseconds.
std::vector<double> medians(const Runner& runner) {
  std::vector<double> result;
  for (std::size_t shape = 0; shape < runner.milliseconds.front().size(); shape++) {
    std::vector<double> times;
    for (const std::vector<double>& round : runner.milliseconds)
      times.push_back(1000 * round[shape]);
    result.push_back(median(times));
  }
  return result;
}

double spread_of(const Runner& runner) {
  std::vector<double> times;
  for (const double log : runner.logs) times.push_back(std::exp(log));
  return spread(times);
}

}  // namespace

bool is_simpler(const Problem& problem, const Shape& shape, const Target& target,
                const Schedule& in_use, const Schedule& a, const Schedule& b) {
  const auto rank = [&](const Schedule& schedule) {
    const Estimate takes = estimate(problem, schedule, shape, target);
    return std::tuple(schedule != in_use, takes.smem_bytes, takes.registers, schedule.describe());
  };
  return rank(a) < rank(b);
}

Decision decide(const TuneGroup& group, const Target& target, const Finals& finals) {
  const std::vector<Runner>& finalists = finals.finalists;
  assert(!finalists.empty());
  const Runner& fastest = finalists.front();
  Decision decision{.first_guess = finals.first_guess};
  if (finals.again) {
    const auto twin = std::ranges::find(finalists, finals.again->schedule, &Runner::schedule);
    if (twin != finalists.end())
      decision.noise = std::abs(std::log(paired_ratio(finals.again->logs, twin->logs).ratio));
  }
  const double tie = std::min(std::max(smallest_difference, decision.noise), largest_tie);
  const Runner* winner = &fastest;
  const Runner* guess = nullptr;
  for (const Runner& runner : finalists) {
    Finalist finalist{.schedule = runner.schedule,
                      .to_fastest = paired_ratio(runner.logs, fastest.logs),
                      .microseconds = medians(runner)};
    const PairedRatio& ratio = finalist.to_fastest;
    finalist.is_tied = ratio.ratio <= 1 + tie || (ratio.low <= 1 && ratio.ratio <= 1 + largest_tie);
    if (finalist.is_tied && is_simpler(group.call.problem, group.call.shape, target, finals.in_use,
                                       runner.schedule, winner->schedule))
      winner = &runner;
    if (runner.schedule == finals.first_guess) guess = &runner;
    decision.finalists.push_back(std::move(finalist));
  }
  decision.winner = winner->schedule;
  decision.microseconds = medians(*winner);
  decision.spread = spread_of(*winner);
  if (guess) decision.gain = paired_ratio(guess->logs, winner->logs).ratio;
  return decision;
}

}  // namespace streamattn
