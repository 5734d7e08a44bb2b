// The groups of a job, on one device or on several side by side.
#pragma once

#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "autotune/group_result.h"
#include "autotune/tune_device.h"

namespace streamattn {

/// Hands groups to devices, each of which works on one at a time. What a group may know of others
/// does not depend on which of them was done first: of those that were handed out long enough
/// before it, for which it waits.
class GroupQueue {
 public:
  /// Tunes a group on a device; `near` are schedules that won for groups of the same head dims, the
  /// latest in front. Called on a thread of that device's, the first one's being the caller's. It
  /// may throw TuningStopped, which ends all of them.
  using Tune = std::function<GroupResult(TuneDevice& device, std::size_t group,
                                         const std::vector<Schedule>& near)>;

  /// Results come to `results`, in the order of the job, each followed by a call of `advance`,
  /// never by two threads at a time. Everything must outlive the queue.
  GroupQueue(const std::vector<TuneGroup>& groups, std::vector<GroupResult>& results, Tune tune,
             std::function<void()> advance);

  /// Works until all is done or somebody stops: whether all was done. Throws what `tune` threw
  /// first, after the others came to an end.
  bool run(std::span<TuneDevice* const> devices);

 private:
  void work(TuneDevice& device);
  std::optional<std::size_t> next();
  bool is_ready(std::size_t group) const;
  std::vector<Schedule> winners_near(std::size_t group);
  void fill_in(std::size_t group, GroupResult result);
  void end(std::exception_ptr error);

  const std::vector<TuneGroup>& groups_;
  std::vector<GroupResult>& results_;
  const Tune tune_;
  const std::function<void()> advance_;
  std::size_t lag_ = 1;  // groups that a group may not know of, and itself

  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t handed_out_ = 0;
  bool is_ended_ = false;
  std::exception_ptr error_;
  std::vector<bool> is_done_;  // by group
};

}  // namespace streamattn
