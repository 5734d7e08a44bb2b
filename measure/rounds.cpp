// Interleaved timing.
#include "measure/rounds.h"

#include <algorithm>
#include <numeric>
#include <random>

#include "measure/statistics.h"

namespace streamattn {
namespace {

/// How many runs fill a round. At least five, so that a median means something; at most two
/// hundred, so that short kernels do not wait for the event queue.
int runs_per_round(const Stopwatch& candidate, const RoundOptions& options, double overhead) {
  const double once = median(candidate(3)) + overhead;
  return static_cast<int>(std::clamp(options.round_milliseconds / once, 5.0, 200.0));
}

}  // namespace

std::vector<Timing> time_interleaved(const std::vector<Stopwatch>& candidates,
                                     const RoundOptions& options, double overhead_milliseconds,
                                     const std::function<void()>& advance) {
  std::vector<int> runs;
  for (const Stopwatch& candidate : candidates) {
    runs.push_back(runs_per_round(candidate, options, overhead_milliseconds));
  }
  std::vector<Timing> timings(candidates.size());
  std::vector<std::size_t> order(candidates.size());
  std::iota(order.begin(), order.end(), 0);
  std::mt19937_64 random(options.seed);
  for (int round = 0; round < options.rounds; ++round) {
    std::ranges::shuffle(order, random);
    for (const std::size_t i : order) {
      timings[i].rounds.push_back(median(candidates[i](runs[i])));
      advance();
    }
  }
  for (Timing& timing : timings) {
    const auto first = timing.rounds.begin() + (options.rounds > 1 ? 1 : 0);
    const std::vector<double> kept(first, timing.rounds.end());
    timing.milliseconds = median(kept);
    timing.spread = spread(kept);
  }
  return timings;
}

}  // namespace streamattn
