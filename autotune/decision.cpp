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

std::span<const double> latest_logs(const Runner& runner, std::size_t rounds) {
  const std::size_t count = std::min(rounds, runner.logs.size());
  return std::span(runner.logs).last(count);
}

/// Medians over the latest rounds, in microseconds.
std::vector<double> medians(const Runner& runner, std::size_t rounds) {
  const std::size_t count = std::min(rounds, runner.milliseconds.size());
  std::vector<double> result;
  for (std::size_t shape = 0; shape < runner.milliseconds.back().size(); shape++) {
    std::vector<double> times;
    for (std::size_t i = runner.milliseconds.size() - count; i < runner.milliseconds.size(); i++)
      times.push_back(1000 * runner.milliseconds[i][shape]);
    result.push_back(median(times));
  }
  return result;
}

double spread_of(const Runner& runner, std::size_t rounds) {
  std::vector<double> times;
  for (const double log : latest_logs(runner, rounds)) times.push_back(std::exp(log));
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

Decision decide(const TuneGroup& group, const Target& target, const std::vector<Runner*>& finalists,
                const Runner& again, std::size_t rounds, const Schedule& in_use,
                const Schedule& first_guess) {
  assert(!finalists.empty());
  const Runner& fastest = *finalists.front();
  Decision decision{.first_guess = first_guess};
  const auto twin = std::ranges::find(finalists, again.schedule,
                                      [](const Runner* runner) { return runner->schedule; });
  if (!again.out && twin != finalists.end())
    decision.noise = std::abs(
        std::log(paired_ratio(latest_logs(again, rounds), latest_logs(**twin, rounds)).ratio));
  const double tie = std::min(std::max(smallest_difference, decision.noise), largest_tie);
  const Runner* winner = &fastest;
  const Runner* guess = nullptr;
  for (const Runner* runner : finalists) {
    Finalist finalist{
        .schedule = runner->schedule,
        .to_fastest = paired_ratio(latest_logs(*runner, rounds), latest_logs(fastest, rounds)),
        .microseconds = medians(*runner, rounds)};
    const PairedRatio& ratio = finalist.to_fastest;
    finalist.is_tied = ratio.ratio <= 1 + tie || (ratio.low <= 1 && ratio.ratio <= 1 + largest_tie);
    if (finalist.is_tied && is_simpler(group.call.problem, group.call.shape, target, in_use,
                                       runner->schedule, winner->schedule))
      winner = runner;
    if (runner->schedule == first_guess) guess = runner;
    decision.finalists.push_back(std::move(finalist));
  }
  decision.winner = winner->schedule;
  decision.microseconds = medians(*winner, rounds);
  decision.spread = spread_of(*winner, rounds);
  if (guess)
    decision.gain = paired_ratio(latest_logs(*guess, rounds), latest_logs(*winner, rounds)).ratio;
  return decision;
}

}  // namespace streamattn
