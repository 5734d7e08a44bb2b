// A whole job on a device: groups in order, a journal, an end when time is up.
#pragma once

#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "autotune/block_list.h"
#include "autotune/journal.h"
#include "autotune/tuner.h"

namespace streamattn {

/// How a job is run.
struct TuneSettings {
  TuneMethod method = {};
  std::filesystem::path journal;
  Journal::Open open = Journal::Open::new_file;
  bool is_replay = false;    ///< the journal may be of other sources: nothing is measured
  ScheduleTable start = {};  ///< schedules in use; those of calls near to a group's are tried
  std::vector<BlockedSchedule> blocked = {};
  std::function<bool()> should_stop;  ///< asked before every step; by one thread at a time
  std::function<void(const TuneProgress&)> progress;  ///< the same
};

/// What a job came to so far.
struct TuneReport {
  TuneSite site;
  const Target* target = nullptr;
  std::vector<GroupResult> results;  ///< of the groups that were finished
  std::size_t groups = 0;            ///< of the job
  bool is_complete = false;          ///< else it was stopped: the journal has what was measured
};

/// Runs `job` on devices of one class, a group on one of them; calls `after_group` with what there
/// is after every group. Throws Error (invalid_config) for a journal that is another job's, and
/// what devices throw.
TuneReport run_tune_job(std::span<TuneDevice* const> devices, const TuneJob& job,
                        const TuneSettings& settings,
                        const std::function<void(const TuneReport&)>& after_group);

/// The same on one device.
TuneReport run_tune_job(TuneDevice& device, const TuneJob& job, const TuneSettings& settings,
                        const std::function<void(const TuneReport&)>& after_group);

/// The geometric mean over the groups, by weight, of what the first guess loses, and the most:
/// 0.03 is 3 %. Nothing where no group was decided.
struct Regret {
  double mean = 0, worst = 0;
};
std::optional<Regret> regret_of_first_guess(const std::vector<GroupResult>& results);

}  // namespace streamattn
