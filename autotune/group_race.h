// The race for a group: everybody once, the better ones in rounds, launch knobs of the best,
// finals.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <vector>

#include "autotune/group_result.h"
#include "autotune/race.h"

namespace streamattn {

/// Races the candidates of a group that passed all checks, and decides.
class GroupRace {
 public:
  /// Schedules that stay in the race to the end however slow they are: what others are compared
  /// with.
  struct Known {
    Schedule in_use, first_guess;
  };

  /// Called after every timing.
  using Advance = std::function<void(const char* stage, std::size_t done, std::size_t total,
                                     std::optional<double> best_microseconds)>;

  /// Everything must outlive the race.
  GroupRace(TuneDevice& device, const std::vector<KnobLimit>& space, const TuneMethod& method,
            GroupResult& result, Known known, Advance advance);

  /// Fills in the decision of the result, or why there is none.
  void run();

 private:
  CandidateRecord& record_of(const Runner& runner);
  std::vector<Runner*> with_known(std::vector<Runner*> list) const;
  void run_stage(const char* name, const std::vector<Runner*>& who, const RaceStage& stage);
  void sweep_launch_knobs();
  std::vector<Runner*> pick_finalists();
  void finals();
  bool is_right_at_size(const Runner& runner);

  TuneDevice& device_;
  const std::vector<KnobLimit>& space_;
  const TuneMethod& method_;
  GroupResult& result_;
  const Known known_;
  const Advance advance_;

  std::deque<Runner> runners_;  // whose addresses stay
  std::vector<Runner*> field_;  // those still in the race
  std::uint64_t seed_;
  std::optional<double> best_;
};

}  // namespace streamattn
