// Works through groups with a thread for every device.
#include "autotune/group_queue.h"

#include <llvm/ADT/STLExtras.h>

#include <algorithm>
#include <system_error>
#include <thread>

#include "autotune/journaled_device.h"
#include "support/log.h"

namespace streamattn {
namespace {

/// Whether two groups ask a device for the same timing: which is whose would depend on their order.
bool share_a_call(const TuneGroup& a, const TuneGroup& b) {
  return llvm::any_of(a.shapes, [&](const Shape& shape) {
    return llvm::is_contained(b.shapes, shape) && a.at(shape).describe() == b.at(shape).describe();
  });
}

constexpr std::size_t most_near = 6;

}  // namespace

GroupQueue::GroupQueue(const std::vector<TuneGroup>& groups, std::vector<GroupResult>& results,
                       Tune tune, std::function<void()> advance)
    : groups_(groups),
      results_(results),
      tune_(std::move(tune)),
      advance_(std::move(advance)),
      is_done_(groups.size()) {}

bool GroupQueue::run(std::span<TuneDevice* const> devices) {
  // Twice as many as there are devices: a group that takes long holds nobody up for some time.
  lag_ = devices.size() == 1 ? 1 : 2 * devices.size();
  std::vector<std::thread> others;
  try {
    for (TuneDevice* device : devices.subspan(1))
      others.emplace_back([this, device] { work(*device); });
  } catch (const std::system_error& error) {
    log(LogLevel::warning, LogTopic::tune,
        "fewer devices are used: the system refuses a thread: " + std::string(error.what()));
  }
  work(*devices.front());
  for (std::thread& other : others) other.join();
  if (error_) std::rethrow_exception(error_);
  return results_.size() == groups_.size();
}

// Whether all is there that the group is to know of, and nobody else is at its calls.
bool GroupQueue::is_ready(std::size_t group) const {
  for (std::size_t other = 0; other < group; other++) {
    const bool matters = other + lag_ <= group || share_a_call(groups_[other], groups_[group]);
    if (matters && !is_done_[other]) return false;
  }
  return true;
}

// The next group, when it is ready; nothing at the end.
std::optional<std::size_t> GroupQueue::next() {
  std::unique_lock lock(mutex_);
  if (is_ended_ || handed_out_ == groups_.size()) return std::nullopt;
  const std::size_t group = handed_out_++;
  changed_.wait(lock, [&] { return is_ended_ || is_ready(group); });
  return is_ended_ ? std::nullopt : std::optional(group);
}

std::vector<Schedule> GroupQueue::winners_near(std::size_t group) {
  const std::lock_guard lock(mutex_);
  std::vector<Schedule> near;
  const Problem& problem = groups_[group].call.problem;
  for (const GroupResult& result : llvm::reverse(results_)) {
    const Problem& other = result.group.call.problem;
    if (near.size() == most_near || !result.decision || result.place + lag_ > group) continue;
    if (other.head_dim == problem.head_dim && other.v_head_dim() == problem.v_head_dim() &&
        !llvm::is_contained(near, result.decision->winner))
      near.push_back(result.decision->winner);
  }
  return near;
}

void GroupQueue::fill_in(std::size_t group, GroupResult result) {
  const std::lock_guard lock(mutex_);
  result.place = group;
  results_.insert(std::ranges::upper_bound(results_, group, {}, &GroupResult::place),
                  std::move(result));
  is_done_[group] = true;
  changed_.notify_all();
  advance_();
}

void GroupQueue::end(std::exception_ptr error) {
  const std::lock_guard lock(mutex_);
  is_ended_ = true;
  if (!error_) error_ = std::move(error);
  changed_.notify_all();
}

void GroupQueue::work(TuneDevice& device) {
  try {
    while (const auto group = next()) fill_in(*group, tune_(device, *group, winners_near(*group)));
  } catch (const TuningStopped&) {
    end(nullptr);
  } catch (...) {
    end(std::current_exception());
  }
}

}  // namespace streamattn
