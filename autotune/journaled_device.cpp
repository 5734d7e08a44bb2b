// Looks answers up in a journal, or asks and writes them down.
#include "autotune/journaled_device.h"

#include "autotune/outcome_json.h"

namespace streamattn {
namespace {

std::string key(const Problem& problem, const Schedule& schedule) {
  return problem.describe() + "; " + schedule.describe();
}

std::string key(const ForwardCase& call, const Schedule& schedule) {
  return call.describe() + "; " + schedule.describe();
}

template <class Result>
llvm::json::Object line(const char* step, const std::string& of, const Result& result) {
  llvm::json::Object json = to_json(result);
  json["step"] = step;
  json["of"] = of;
  return json;
}

template <class Result>
Result read_result(const llvm::json::Object& json) {
  Result result;
  read_json(json, result);
  return result;
}

}  // namespace

JournaledDevice::JournaledDevice(TuneDevice& device, Journal& journal,
                                 std::function<bool()> should_stop)
    : device_(device), journal_(journal), should_stop_(std::move(should_stop)) {
  for (const llvm::json::Object& object : journal.lines()) read(object);
}

void JournaledDevice::read(const llvm::json::Object& object) {
  const llvm::StringRef step = object.getString("step").value_or("");
  const std::string of = object.getString("of").value_or("").str();
  if (step == "build") built_[of] = read_result<BuildOutcome>(object);
  if (step == "check") checked_[of] = read_result<CheckOutcome>(object);
  if (step == "time") timed_[of].push_back(read_result<TimeOutcome>(object));
}

void JournaledDevice::ask() {
  if (should_stop_()) throw TuningStopped();
  asked_++;
}

void JournaledDevice::build(const Problem& problem, const std::vector<Schedule>& schedules,
                            const std::function<void(std::size_t, const BuildOutcome&)>& done) {
  std::vector<Schedule> missing;
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < schedules.size(); i++) {
    const auto known = built_.find(key(problem, schedules[i]));
    if (known != built_.end()) {
      done(i, known->second);
    } else {
      missing.push_back(schedules[i]);
      places.push_back(i);
    }
  }
  if (missing.empty()) return;
  ask();
  device_.build(problem, missing, [&](std::size_t i, const BuildOutcome& outcome) {
    const std::string of = key(problem, missing[i]);
    built_[of] = outcome;
    journal_.append(line("build", of, outcome));
    done(places[i], outcome);
    if (should_stop_()) throw TuningStopped();
  });
}

CheckOutcome JournaledDevice::check(const ForwardCase& call, const Schedule& schedule) {
  const std::string of = key(call, schedule);
  if (const auto known = checked_.find(of); known != checked_.end()) return known->second;
  ask();
  const CheckOutcome outcome = device_.check(call, schedule);
  journal_.append(line("check", of, outcome));
  return checked_[of] = outcome;
}

TimeOutcome JournaledDevice::time(const ForwardCase& call, const Schedule& schedule, int runs) {
  const std::string of = key(call, schedule);
  const std::size_t place = times_asked_[of]++;
  std::vector<TimeOutcome>& known = timed_[of];
  if (place < known.size()) return known[place];
  ask();
  known.push_back(device_.time(call, schedule, runs));
  journal_.append(line("time", of, known.back()));
  return known.back();
}

}  // namespace streamattn
