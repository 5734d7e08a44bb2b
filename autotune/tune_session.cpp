// Runs a job's groups.
#include "autotune/tune_session.h"

#include <algorithm>
#include <cmath>
#include <mutex>

#include <llvm/ADT/STLExtras.h>

#include "autotune/group_queue.h"
#include "autotune/journaled_device.h"
#include "autotune/outcome_json.h"
#include "compiler/knobs.h"
#include "streamattn/compiler.h"
#include "streamattn/error.h"
#include "support/hash.h"

namespace streamattn {
namespace {

constexpr std::size_t most_near = 4;  // rows of tables that are tried whatever the model says

/// What is measured and how: a journal holds answers to nothing else.
std::string identity(const TuneJob& job, const TuneMethod& method) {
  FieldHasher hasher("streamattn tune job 1");
  for (const TuneGroup& group : job.groups) {
    hasher.add(0, group.describe());
    for (const Shape& shape : group.shapes) hasher.add(0, group.at(shape).describe());
  }
  for (const KnobLimit& limit : job.space) hasher.add(1, limit.knob);
  for (const double number :
       {static_cast<double>(method.candidates), method.model_margin, method.screen_margin,
        static_cast<double>(method.rounds), method.round_milliseconds,
        static_cast<double>(method.finalists), static_cast<double>(method.final_rounds),
        method.final_milliseconds, static_cast<double>(method.seed)})
    hasher.add(2, std::to_string(number));
  return base32(hasher.digest());
}

/// What the compiler is given: measurements of other kernels are of no use.
std::string source_identity(const TuneJob& job, const Target& target) {
  FieldHasher hasher("streamattn tune sources 1");
  if (target.is_cpu()) return "";
  for (const TuneGroup& group : job.groups) {
    const ForwardCase& call = group.call;
    try {
      const Schedule guess =
          choose(call.operation, call.problem, call.shape, target, ScheduleTable()).schedule;
      for (const Source& source : emit(call.operation, call.problem, guess, target))
        hasher.add(0, source.flat);
    } catch (const Error&) {
      continue;  // nobody serves it: the tuner says so
    }
  }
  return base32(hasher.digest());
}

llvm::json::Object head(const TuneJob& job, const TuneSettings& settings, TuneDevice& device) {
  llvm::json::Object head = to_json(device.site());
  head["journal"] = "streamattn tune 1";
  head["job"] = identity(job, settings.method);
  head["target"] = llvm::StringRef(device.target().name);
  if (!settings.is_replay) head["source"] = source_identity(job, device.target());
  return head;
}

/// What the tables in use had when the journal was begun. Throws Error (unsupported_problem),
/// TuningStopped.
GroupStart start_of(const TuneGroup& group, TuneDevice& device, const TuneSettings& settings,
                    JournalAnswers& answers) {
  const std::string name = group.describe();
  if (const auto known = answers.start_of(name)) return *known;
  const ForwardCase& call = group.call;
  GroupStart start;
  start.in_use = schedule_fields(choose(call.operation, call.problem, call.shape, device.target(),
                                        settings.start, device.site().device)
                                     .schedule);
  if (settings.is_replay) throw TuningStopped();
  for (const Schedule& schedule :
       settings.start.nearest(call.operation, call.problem, call.shape, device.target(), most_near))
    start.near.push_back(schedule_fields(schedule));
  answers.note_start(name, start);
  return start;
}

/// Settings whose functions are called by one thread at a time.
TuneSettings serialised(const TuneSettings& settings, std::mutex& mutex) {
  TuneSettings one_by_one = settings;
  one_by_one.should_stop = [&] {
    const std::lock_guard lock(mutex);
    return settings.should_stop();
  };
  one_by_one.progress = [&](const TuneProgress& progress) {
    const std::lock_guard lock(mutex);
    settings.progress(progress);
  };
  return one_by_one;
}

}  // namespace

TuneReport run_tune_job(std::span<TuneDevice* const> devices, const TuneJob& job,
                        const TuneSettings& given,
                        const std::function<void(const TuneReport&)>& after_group) {
  TuneDevice& first = *devices.front();
  TuneReport report{
      .site = first.site(), .target = &first.target(), .results = {}, .groups = job.groups.size()};
  std::mutex mutex;
  const TuneSettings settings = serialised(given, mutex);
  Journal journal(settings.journal, settings.open, head(job, settings, first));
  JournalAnswers answers(journal);
  const auto is_blocked = [&](const Problem& problem, const Schedule& schedule) {
    return why_blocked(settings.blocked, report.site.device, problem, schedule);
  };
  const auto tune = [&](TuneDevice& device, std::size_t place,
                        const std::vector<Schedule>& near) -> GroupResult {
    const TuneGroup& group = job.groups[place];
    JournaledDevice journaled(device, answers, settings.should_stop);
    Tuner tuner(journaled, job.space, settings.method, is_blocked, settings.progress);
    tuner.set_place(place, job.groups.size());
    try {
      const GroupStart start = start_of(group, device, settings, answers);
      std::vector<Schedule> promising = near;
      for (const std::string& schedule : start.near) promising.push_back(parse_schedule(schedule));
      return tuner.tune(group, parse_schedule(start.in_use), promising);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::unsupported_problem) throw;
      return {.group = group, .why_undecided = error.what()};
    }
  };
  // What was finished before a stop counts; the journal has the rest.
  report.is_complete =
      GroupQueue(job.groups, report.results, tune, [&] { after_group(report); }).run(devices);
  return report;
}

TuneReport run_tune_job(TuneDevice& device, const TuneJob& job, const TuneSettings& settings,
                        const std::function<void(const TuneReport&)>& after_group) {
  TuneDevice* const one[] = {&device};
  return run_tune_job(one, job, settings, after_group);
}

std::optional<Regret> regret_of_first_guess(const std::vector<GroupResult>& results) {
  double sum = 0, weights = 0, worst = 1;
  for (const GroupResult& result : results) {
    if (!result.decision) continue;
    sum += result.group.weight * std::log(result.decision->gain);
    weights += result.group.weight;
    worst = std::max(worst, result.decision->gain);
  }
  if (weights == 0) return std::nullopt;
  return Regret{std::exp(sum / weights) - 1, worst - 1};
}

}  // namespace streamattn
