// Watches the clock.
#include "autotune/budgeted_device.h"

#include <algorithm>

#include "autotune/journaled_device.h"

namespace streamattn {
namespace {

constexpr double build_share = 0.5, check_share = 0.7;  // of the budget
constexpr std::size_t built_together = 4;

constexpr const char* too_late = "the budget had no time for it";

}  // namespace

BudgetedDevice::BudgetedDevice(TuneDevice& device, double budget_seconds,
                               const std::function<double()>& now)
    : device_(device), budget_(budget_seconds), now_(now), end_(now() + budget_seconds) {}

void BudgetedDevice::build(const Problem& problem, const std::vector<Schedule>& schedules,
                           const std::function<void(std::size_t, const BuildOutcome&)>& done) {
  is_racing_ = false;
  for (std::size_t first = 0; first < schedules.size(); first += built_together) {
    const std::size_t count = std::min(built_together, schedules.size() - first);
    if (is_past(build_share)) {
      BuildOutcome refused;
      refused.fate = Fate::refused, refused.reason = too_late;
      for (std::size_t i = 0; i < count; i++) done(first + i, refused);
      continue;
    }
    const auto begin = schedules.begin() + static_cast<std::ptrdiff_t>(first);
    device_.build(problem, {begin, begin + static_cast<std::ptrdiff_t>(count)},
                  [&](std::size_t i, const BuildOutcome& outcome) { done(first + i, outcome); });
  }
}

// The winner is checked once more after the race: whoever was timed may be.
CheckOutcome BudgetedDevice::check(const ForwardCase& call, const Schedule& schedule) {
  if (!is_past(check_share) || is_racing_) return device_.check(call, schedule);
  CheckOutcome refused;
  refused.fate = Fate::refused, refused.reason = too_late;
  return refused;
}

TimeOutcome BudgetedDevice::time(const ForwardCase& call, const Schedule& schedule, int runs) {
  is_racing_ = true;
  if (is_past(1)) throw TuningStopped();
  return device_.time(call, schedule, runs);
}

}  // namespace streamattn
