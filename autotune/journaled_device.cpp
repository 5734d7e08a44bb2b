// Looks answers up in a journal, or asks and writes them down.
#include "autotune/journaled_device.h"

#include <cmath>

#include "measure/statistics.h"

namespace streamattn {
namespace {

std::string name_of(const Problem& problem, const Schedule& schedule) {
  return problem.describe() + "; " + schedule.describe();
}

std::string name_of(const ForwardCase& call, const Schedule& schedule) {
  return call.describe() + "; " + schedule.describe();
}

/// Milliseconds without what no clock can tell, so that files may have whole numbers.
double in_nanoseconds(double milliseconds) { return std::round(milliseconds * 1e6) / 1e6; }

}  // namespace

JournaledDevice::JournaledDevice(TuneDevice& device, JournalAnswers& answers,
                                 std::function<bool()> should_stop)
    : device_(device), answers_(answers), should_stop_(std::move(should_stop)) {}

void JournaledDevice::require_going_on() const {
  if (should_stop_()) throw TuningStopped();
}

void JournaledDevice::build(const Problem& problem, const std::vector<Schedule>& schedules,
                            const std::function<void(std::size_t, const BuildOutcome&)>& done) {
  std::vector<Schedule> missing;
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < schedules.size(); i++) {
    if (const auto known = answers_.built(name_of(problem, schedules[i]))) {
      done(i, *known);
    } else {
      missing.push_back(schedules[i]);
      places.push_back(i);
    }
  }
  if (missing.empty()) return;
  require_going_on();
  device_.build(problem, missing, [&](std::size_t i, const BuildOutcome& outcome) {
    answers_.keep(name_of(problem, missing[i]), outcome);
    done(places[i], outcome);
    require_going_on();
  });
}

CheckOutcome JournaledDevice::check(const ForwardCase& call, const Schedule& schedule) {
  const std::string name = name_of(call, schedule);
  if (const auto known = answers_.checked(name)) return *known;
  require_going_on();
  const CheckOutcome outcome = device_.check(call, schedule);
  answers_.keep(name, outcome);
  return outcome;
}

TimeOutcome JournaledDevice::time(const ForwardCase& call, const Schedule& schedule, int runs) {
  const std::string name = name_of(call, schedule);
  if (const auto known = answers_.timed(name)) return *known;
  require_going_on();
  TimeOutcome outcome = device_.time(call, schedule, runs);
  if (outcome.ok()) outcome.milliseconds = {in_nanoseconds(median(outcome.milliseconds))};
  answers_.keep(name, outcome);
  return outcome;
}

}  // namespace streamattn
