// What a race comes to: the winner, what is tied with it, and how far that can be trusted.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "autotune/race.h"
#include "compiler/estimate.h"

namespace streamattn {

/// What a decision is made by: the rounds of the finals that count.
struct Finals {
  std::vector<Runner> finalists;  ///< none of which is out, the fastest in front
  std::optional<Runner> again;    ///< one of them once more, unless it failed
  Schedule in_use, first_guess;   ///< among the finalists, unless they failed
};

/// A schedule that came to the last rounds.
struct Finalist {
  Schedule schedule;
  PairedRatio to_fastest = {};
  bool is_tied = false;                   ///< with the fastest
  std::vector<double> microseconds = {};  ///< medians, of each shape of the group
};

/// The result of a group.
struct Decision {
  Schedule winner;
  std::vector<double> microseconds;  ///< of the winner, of each shape of the group
  double spread = 0;                 ///< of the winner between rounds
  double noise = 0;                  ///< between two entries of one schedule
  double gain = 1;                   ///< time of the first guess over that of the winner
  Schedule first_guess;
  std::vector<Finalist> finalists = {};  ///< the fastest in front
};

/// Which of two tied schedules is taken: the simpler one. The one in use comes first, then less
/// shared memory, fewer registers, then the text.
bool is_simpler(const Problem& problem, const Shape& shape, const Target& target,
                const Schedule& in_use, const Schedule& a, const Schedule& b);

/// Decides by `finals` and nothing else that was measured: what a schedule that ran twice differs
/// by is noise.
Decision decide(const TuneGroup& group, const Target& target, const Finals& finals);

}  // namespace streamattn
