// A device that is asked less as time goes by.
#pragma once

#include <functional>

#include "autotune/tune_device.h"

namespace streamattn {

/// Passes questions on to `device` until the time for them is over: then candidates are refused
/// instead of built or checked, so that those that were have time to race, and in the end timing
/// throws TuningStopped.
class BudgetedDevice final : public TuneDevice {
 public:
  /// `now` is a clock in seconds; the budget begins with the object. Both must outlive it.
  BudgetedDevice(TuneDevice& device, double budget_seconds, const std::function<double()>& now);

  const Target& target() const override { return device_.target(); }
  TuneSite site() override { return device_.site(); }
  void build(const Problem& problem, const std::vector<Schedule>& schedules,
             const std::function<void(std::size_t, const BuildOutcome&)>& done) override;
  CheckOutcome check(const ForwardCase& call, const Schedule& schedule) override;
  TimeOutcome time(const ForwardCase& call, const Schedule& schedule, int runs) override;

  double seconds_left() const { return end_ - now_(); }

 private:
  bool is_past(double share) const { return now_() >= end_ - (1 - share) * budget_; }

  TuneDevice& device_;
  const double budget_;
  const std::function<double()>& now_;
  const double end_;
  bool is_racing_ = false;  // the winner is checked again, at its size
};

}  // namespace streamattn
