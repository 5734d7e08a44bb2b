// Runs a job's groups.
#include "autotune/tune_session.h"

#include <algorithm>
#include <cmath>
#include <map>

#include <llvm/ADT/STLExtras.h>

#include "autotune/journaled_device.h"
#include "autotune/outcome_json.h"
#include "compiler/knobs.h"
#include "streamattn/compiler.h"
#include "streamattn/error.h"
#include "support/hash.h"

namespace streamattn {
namespace {

constexpr std::size_t most_near = 6;

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

/// Winners of groups of the same head dims, the latest in front.
std::vector<Schedule> winners_near(const std::vector<GroupResult>& results,
                                   const TuneGroup& group) {
  std::vector<Schedule> near;
  const Problem& problem = group.call.problem;
  for (const GroupResult& result : llvm::reverse(results)) {
    const Problem& other = result.group.call.problem;
    if (near.size() == most_near || !result.decision) continue;
    if (other.head_dim == problem.head_dim && other.v_head_dim() == problem.v_head_dim() &&
        !llvm::is_contained(near, result.decision->winner))
      near.push_back(result.decision->winner);
  }
  return near;
}

/// Which schedules were in use when a journal was begun: tables change, its measurements do not.
class InUse {
 public:
  InUse(Journal& journal, const TuneSettings& settings) : journal_(journal), settings_(settings) {
    for (const llvm::json::Object& line : journal.lines())
      if (line.getString("step") == llvm::StringRef("group"))
        known_[line.getString("of").value_or("").str()] =
            line.getString("in_use").value_or("").str();
  }

  /// Throws Error (unsupported_problem), TuningStopped.
  Schedule of(const TuneGroup& group, TuneDevice& device) {
    const std::string name = group.describe();
    if (const auto known = known_.find(name); known != known_.end())
      return parse_schedule(known->second);
    const ForwardCase& call = group.call;
    const Schedule schedule = choose(call.operation, call.problem, call.shape, device.target(),
                                     settings_.start, device.site().device)
                                  .schedule;
    if (settings_.is_replay) throw TuningStopped();
    journal_.append(
        llvm::json::Object{{"step", "group"}, {"of", name}, {"in_use", schedule_fields(schedule)}});
    return schedule;
  }

 private:
  Journal& journal_;
  const TuneSettings& settings_;
  std::map<std::string, std::string> known_;
};

}  // namespace

TuneReport run_tune_job(TuneDevice& device, const TuneJob& job, const TuneSettings& settings,
                        const std::function<void(const TuneReport&)>& after_group) {
  TuneReport report{.site = device.site(),
                    .target = &device.target(),
                    .results = {},
                    .groups = job.groups.size()};
  Journal journal(settings.journal, settings.open, head(job, settings, device));
  JournaledDevice answers(device, journal, settings.should_stop);
  const auto is_blocked = [&](const Problem& problem, const Schedule& schedule) {
    return why_blocked(settings.blocked, report.site.device, problem, schedule);
  };
  Tuner tuner(answers, job.space, settings.method, is_blocked, settings.progress);
  InUse in_use(journal, settings);
  try {
    for (const TuneGroup& group : job.groups) {
      tuner.set_place(report.results.size(), job.groups.size());
      try {
        report.results.push_back(
            tuner.tune(group, in_use.of(group, device), winners_near(report.results, group)));
      } catch (const Error& error) {
        if (error.code() != ErrorCode::unsupported_problem) throw;
        report.results.push_back({.group = group, .why_undecided = error.what()});
      }
      after_group(report);
    }
    report.is_complete = true;
  } catch (const TuningStopped&) {
    report.is_complete = false;  // what was finished counts; the journal has the rest
  }
  return report;
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
