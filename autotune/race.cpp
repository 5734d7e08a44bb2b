// Runs stages of a race.
#include "autotune/race.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <utility>

#include "measure/statistics.h"

namespace streamattn {
namespace {

/// Milliseconds that a run of `runner` takes, from its latest round; nothing in the first.
std::optional<double> known_time(const Runner& runner, std::size_t shape) {
  if (runner.milliseconds.empty() || runner.milliseconds.back().size() <= shape) return {};
  return runner.milliseconds.back()[shape];
}

}  // namespace

int runs_for(double milliseconds, double once) {
  return static_cast<int>(std::clamp(milliseconds / std::max(once, 1e-6), 3.0, 200.0));
}

double Runner::latest(std::size_t rounds) const {
  const std::size_t count = std::min(rounds, logs.size());
  return median({logs.end() - static_cast<std::ptrdiff_t>(count), logs.end()});
}

void Runner::add_round(std::vector<double> times) {
  double sum = 0;
  for (const double time : times) sum += std::log(time);
  logs.push_back(sum / static_cast<double>(times.size()));
  milliseconds.push_back(std::move(times));
}

Runner Runner::of_latest(std::size_t rounds) const {
  const auto count = static_cast<std::ptrdiff_t>(std::min(rounds, logs.size()));
  return {.schedule = schedule,
          .milliseconds = {milliseconds.end() - count, milliseconds.end()},
          .logs = {logs.end() - count, logs.end()},
          .out = out};
}

void run_stage(TuneDevice& device, const TuneGroup& group, const std::vector<Runner*>& runners,
               const RaceStage& stage, std::uint64_t seed, const std::function<void()>& advance) {
  std::vector<Runner*> order = runners;
  std::mt19937_64 random(seed);
  for (int round = 0; round < stage.rounds; round++) {
    std::vector<std::vector<double>> times(runners.size());
    std::ranges::shuffle(order, random);
    for (std::size_t shape = 0; shape < group.shapes.size(); shape++) {
      for (Runner* runner : order) {
        if (runner->out) continue;
        const auto once = known_time(*runner, shape);
        const int runs = once ? runs_for(stage.milliseconds, *once) : 3;
        TimeOutcome outcome = device.time(group.at(group.shapes[shape]), runner->schedule, runs);
        if (!outcome.ok()) {
          runner->out = outcome;
        } else {
          const auto index = std::ranges::find(runners, runner) - runners.begin();
          times[static_cast<std::size_t>(index)].push_back(median(outcome.milliseconds));
        }
        advance();
      }
    }
    for (std::size_t i = 0; i < runners.size(); i++)
      if (!runners[i]->out) runners[i]->add_round(std::move(times[i]));
  }
}

std::vector<Runner*> leaders(std::vector<Runner*> runners, std::size_t rounds, std::size_t keep,
                             double margin, std::size_t most) {
  std::erase_if(runners, [](const Runner* runner) { return runner->out || runner->logs.empty(); });
  std::vector<std::pair<double, std::size_t>> order;  // equal ones stay as they are
  for (std::size_t i = 0; i < runners.size(); i++)
    order.emplace_back(runners[i]->latest(rounds), i);
  std::ranges::sort(order);
  std::vector<Runner*> sorted;
  for (const auto& [log, i] : order) sorted.push_back(runners[i]);
  runners = std::move(sorted);
  if (runners.empty()) return runners;
  const double limit = runners.front()->latest(rounds) + std::log1p(margin);
  std::size_t count = 0;
  while (count < runners.size() && count < most &&
         (count < keep || runners[count]->latest(rounds) <= limit))
    count++;
  runners.resize(count);
  return runners;
}

}  // namespace streamattn
