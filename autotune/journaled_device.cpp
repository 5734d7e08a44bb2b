// Looks answers up in a journal, or asks and writes them down.
#include "autotune/journaled_device.h"

#include "autotune/outcome_json.h"
#include "measure/statistics.h"
#include "support/hash.h"

namespace streamattn {
namespace {

std::string name_of(const Problem& problem, const Schedule& schedule) {
  return problem.describe() + "; " + schedule.describe();
}

std::string name_of(const ForwardCase& call, const Schedule& schedule) {
  return call.describe() + "; " + schedule.describe();
}

// Names are long and come often: lines have the beginning of a digest, and the name once.
std::string id_of(const std::string& name) { return base32(digest(name)).substr(0, 16); }

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
  const std::string id = object.getString("id").value_or("").str();
  named_.insert(id);
  if (step == "build") built_[id] = read_result<BuildOutcome>(object);
  if (step == "check") checked_[id] = read_result<CheckOutcome>(object);
  if (step == "time") timed_[id].push_back(read_result<TimeOutcome>(object));
}

void JournaledDevice::write(const char* step, const std::string& name, llvm::json::Object line) {
  const std::string id = id_of(name);
  line["step"] = step, line["id"] = id;
  if (named_.insert(id).second) line["of"] = name;
  journal_.append(line);
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
    const auto known = built_.find(id_of(name_of(problem, schedules[i])));
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
    const std::string name = name_of(problem, missing[i]);
    built_[id_of(name)] = outcome;
    write("build", name, to_json(outcome));
    done(places[i], outcome);
    if (should_stop_()) throw TuningStopped();
  });
}

CheckOutcome JournaledDevice::check(const ForwardCase& call, const Schedule& schedule) {
  const std::string name = name_of(call, schedule), id = id_of(name);
  if (const auto known = checked_.find(id); known != checked_.end()) return known->second;
  ask();
  const CheckOutcome outcome = device_.check(call, schedule);
  write("check", name, to_json(outcome));
  return checked_[id] = outcome;
}

TimeOutcome JournaledDevice::time(const ForwardCase& call, const Schedule& schedule, int runs) {
  const std::string name = name_of(call, schedule), id = id_of(name);
  const std::size_t place = times_asked_[id]++;
  std::vector<TimeOutcome>& known = timed_[id];
  if (place < known.size()) return known[place];
  ask();
  TimeOutcome outcome = device_.time(call, schedule, runs);
  if (outcome.ok()) outcome.milliseconds = {median(outcome.milliseconds)};
  known.push_back(outcome);
  write("time", name, to_json(outcome));
  return outcome;
}

}  // namespace streamattn
