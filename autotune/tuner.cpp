// The steps of tuning a group.
#include "autotune/tuner.h"

#include <llvm/ADT/STLExtras.h>

#include <algorithm>

#include "autotune/gate.h"
#include "autotune/group_race.h"
#include "streamattn/compiler.h"
#include "streamattn/error.h"

namespace streamattn {
namespace {

/// How bad what the assembler said of a build is: such candidates are tried last.
int lint(const BuildOutcome& build) {
  return (build.is_serialised ? 2 : 0) + (build.spill_bytes > 0);
}

// What spills or is serialised stays in the race only where nothing else was built.
constexpr const char* lint_reasons[] = {"", "it spills registers",
                                        "its matrix instructions are serialised",
                                        "its matrix instructions are serialised and it spills"};

}  // namespace

Tuner::Tuner(TuneDevice& device, std::vector<KnobLimit> space, TuneMethod method,
             WhyBlocked is_blocked, std::function<void(const TuneProgress&)> progress)
    : device_(device),
      space_(std::move(space)),
      method_(method),
      is_blocked_(std::move(is_blocked)),
      progress_(std::move(progress)) {}

void Tuner::set_place(std::size_t group, std::size_t groups) {
  place_.group = group, place_.groups = groups;
  place_.best_microseconds.reset();
}

void Tuner::note(const char* stage, std::size_t done, std::size_t total) {
  place_.stage = stage, place_.done = done, place_.total = total;
  progress_(place_);
}

GroupResult Tuner::tune(const TuneGroup& group, const Schedule& in_use,
                        const std::vector<Schedule>& near) {
  GroupResult result{.group = group};
  const ForwardCase& call = group.call;
  const ScheduleTable nothing;
  const Schedule first_guess =
      choose(call.operation, call.problem, call.shape, device_.target(), nothing).schedule;
  std::vector<Schedule> first = {first_guess, in_use};
  llvm::append_range(first, near);
  result.candidates = list_candidates(group, first, space_, method_, device_.target(), is_blocked_);
  build(group, result.candidates);
  check(group, result.candidates);
  GroupRace(
      device_, space_, method_, result, {in_use, first_guess},
      [this](const char* stage, std::size_t done, std::size_t total, std::optional<double> best) {
        place_.best_microseconds = best;
        note(stage, done, total);
      })
      .run();
  return result;
}

void Tuner::build(const TuneGroup& group, std::vector<CandidateRecord>& candidates) {
  std::vector<Schedule> schedules;
  std::vector<CandidateRecord*> of;
  for (CandidateRecord& candidate : candidates) {
    if (!candidate.outcome.ok()) continue;
    schedules.push_back(candidate.schedule);
    of.push_back(&candidate);
  }
  std::size_t done = 0;
  note("build", 0, schedules.size());
  device_.build(group.call.problem, schedules, [&](std::size_t i, const BuildOutcome& outcome) {
    of[i]->build = outcome;
    of[i]->outcome = outcome;
    if (outcome.ok()) of[i]->stage = "built";
    note("build", ++done, schedules.size());
  });
  const bool some_are_clean =
      llvm::any_of(of, [](const auto* c) { return c->outcome.ok() && lint(c->build) == 0; });
  if (!some_are_clean) return;
  for (CandidateRecord* candidate : of)
    if (candidate->outcome.ok() && lint(candidate->build) > 0)
      candidate->outcome = {Fate::refused, lint_reasons[lint(candidate->build)]};
}

void Tuner::check(const TuneGroup& group, std::vector<CandidateRecord>& candidates) {
  const std::vector<ForwardCase> cases = gate_cases(group.call);
  std::size_t done = 0;
  for (CandidateRecord& candidate : candidates) {
    note("check", done++, candidates.size());
    if (!candidate.outcome.ok()) continue;
    if (llvm::all_of(cases,
                     [&](const ForwardCase& odd) { return passes(device_, odd, candidate); }))
      candidate.stage = "checked";
  }
}

}  // namespace streamattn
