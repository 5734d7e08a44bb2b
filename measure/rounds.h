// Interleaved timing: how several kernels are compared fairly on a card that is never at rest.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace streamattn {

/// How long and how often. A power-limited card remembers tens of milliseconds of load, so every
/// candidate runs once a round in random order, long enough to bring the card into its own state.
struct RoundOptions {
  int rounds = 9;                  ///< the first is dropped
  double round_milliseconds = 35;  ///< of each candidate and round
  std::uint64_t seed = 1;          ///< of the order
};

/// Times `runs` calls of one candidate: milliseconds of each.
using Stopwatch = std::function<std::vector<double>(int runs)>;

/// The figures of one candidate.
struct Timing {
  double milliseconds = 0;     ///< median over rounds of the median in a round
  double spread = 0;           ///< between rounds, see spread()
  std::vector<double> rounds;  ///< medians in every round, the dropped first one included
};

/// Times all candidates together. `overhead_milliseconds` is what a run costs beside the call: it
/// counts towards the length of a round, not towards the result. Calls `advance` after every
/// candidate of every round.
std::vector<Timing> time_interleaved(const std::vector<Stopwatch>& candidates,
                                     const RoundOptions& options, double overhead_milliseconds,
                                     const std::function<void()>& advance);

}  // namespace streamattn
