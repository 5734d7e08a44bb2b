// Makes times up.
#include "tests/support/simulated_device.h"

#include <algorithm>
#include <cmath>

namespace streamattn {

SimulatedDevice::SimulatedDevice(SimulatedWorld world, std::string_view target)
    : world_(std::move(world)), target_(find_target(target)), random_(world_.seed) {}

TuneSite SimulatedDevice::site() {
  return {world_.device,
          {.driver = "1.0", .nvrtc = "13.0", .l2 = world_.l2, .launch = world_.launch}};
}

void SimulatedDevice::build(const Problem&, const std::vector<Schedule>& schedules,
                            const std::function<void(std::size_t, const BuildOutcome&)>& done) {
  for (std::size_t i = schedules.size(); i-- > 0;) {  // in any order
    builds++;
    BuildOutcome outcome{.registers = 168};
    outcome.fate = world_.fate("build", schedules[i]);
    if (!outcome.ok()) outcome.reason = "the test says so";
    done(i, outcome);
  }
}

CheckOutcome SimulatedDevice::check(const ForwardCase&, const Schedule& schedule) {
  checks++;
  CheckOutcome outcome{.error = 1e-3, .allowed = 2e-3};
  outcome.fate = world_.fate("check", schedule);
  if (!outcome.ok()) outcome.reason = "the test says so";
  return outcome;
}

TimeOutcome SimulatedDevice::time(const ForwardCase& call, const Schedule& schedule, int runs) {
  timings++, timings_of[schedule.describe()]++;
  TimeOutcome outcome;
  outcome.fate = world_.fate("time", schedule);
  if (!outcome.ok()) {
    outcome.reason = "the test says so";
    return outcome;
  }
  std::normal_distribution<double> normal;
  std::uniform_real_distribution<double> even;
  const double truth = world_.truth(call, schedule) / 1000;
  clock_ =
      std::clamp(clock_ + world_.drift / 100 * normal(random_), 1 - world_.drift, 1 + world_.drift);
  for (int run = 0; run < runs; run++) {
    const double straggles = even(random_) < world_.stragglers ? 1.5 : 1;
    outcome.milliseconds.push_back(truth * clock_ * straggles *
                                   std::exp(world_.noise * normal(random_)));
  }
  return outcome;
}

}  // namespace streamattn
