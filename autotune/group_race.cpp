// Runs the stages of a group's race.
#include "autotune/group_race.h"

#include <llvm/ADT/STLExtras.h>

#include <algorithm>
#include <cmath>

#include "autotune/decision.h"
#include "autotune/gate.h"

namespace streamattn {
namespace {

constexpr std::size_t most_raced = 48;  // after the first look
constexpr std::size_t most_swept = 2;   // whose launch knobs are tried

}  // namespace

bool passes(TuneDevice& device, const ForwardCase& call, CandidateRecord& candidate) {
  const CheckOutcome outcome = device.check(call, candidate.schedule);
  candidate.outcome = outcome;
  if (!outcome.ok()) {
    candidate.outcome.reason += " (" + call.describe() + ")";
    candidate.failed_check = call;
  }
  if (outcome.error > candidate.error)
    candidate.error = outcome.error, candidate.allowed = outcome.allowed;
  return outcome.ok();
}

GroupRace::GroupRace(TuneDevice& device, const std::vector<KnobLimit>& space,
                     const TuneMethod& method, GroupResult& result, Known known, Advance advance)
    : device_(device),
      space_(space),
      method_(method),
      result_(result),
      known_(std::move(known)),
      advance_(std::move(advance)),
      seed_(method.seed) {}

CandidateRecord& GroupRace::record_of(const Runner& runner) {
  return *llvm::find_if(result_.candidates,
                        [&](const auto& c) { return c.schedule == runner.schedule; });
}

std::vector<Runner*> GroupRace::with_known(std::vector<Runner*> list) const {
  for (Runner* runner : field_) {
    const bool wanted = runner->schedule == known_.in_use || runner->schedule == known_.first_guess;
    if (wanted && !runner->out && !llvm::is_contained(list, runner)) list.push_back(runner);
  }
  return list;
}

void GroupRace::run_stage(const char* name, const std::vector<Runner*>& who,
                          const RaceStage& stage) {
  const auto rounds = static_cast<std::size_t>(stage.rounds);
  const std::size_t total = who.size() * result_.group.shapes.size() * rounds;
  std::size_t done = 0;
  streamattn::run_stage(device_, result_.group, who, stage, seed_++,
                        [&] { advance_(name, ++done, total, best_); });
  for (const Runner* runner : who) {
    CandidateRecord& record = record_of(*runner);
    if (runner->out) record.outcome = *runner->out;
    if (runner->logs.empty()) continue;
    record.microseconds = 1000 * std::exp(runner->latest(rounds));
    record.stage = name;
    best_ = std::min(best_.value_or(*record.microseconds), *record.microseconds);
  }
}

void GroupRace::run() {
  for (const CandidateRecord& candidate : result_.candidates)
    if (candidate.outcome.ok())
      field_.push_back(&runners_.emplace_back(Runner{candidate.schedule}));
  run_stage("timed", field_, {.rounds = 1, .milliseconds = 1});
  field_ = with_known(leaders(field_, 1, field_.size() / 3 + 1, method_.screen_margin, most_raced));
  run_stage("raced", field_, {method_.rounds, method_.round_milliseconds});
  sweep_launch_knobs();
  finals();
}

// Launch knobs share the binary of the schedule that they belong to: nothing is built.
void GroupRace::sweep_launch_knobs() {
  const TuneGroup& group = result_.group;
  const ForwardCase& call = group.call;
  const std::vector<ForwardCase> cases = gate_cases(call);
  std::vector<Runner*> swept;
  const auto rounds = static_cast<std::size_t>(method_.rounds);
  for (const Runner* best : leaders(field_, rounds, most_swept, 0, most_swept)) {
    for (const Schedule& choice :
         launch_choices(call.problem, best->schedule, call.shape, device_.target())) {
      const bool is_known = llvm::any_of(
          result_.candidates, [&](const auto& known) { return known.schedule == choice; });
      if (is_known || !allows(space_, choice)) continue;
      CandidateRecord record;
      record.schedule = choice;
      record.estimate = estimate(call.problem, choice, call.shape, device_.target());
      record.build = record_of(*best).build;
      record.stage = "built";
      const bool is_right =
          llvm::all_of(cases, [&](const ForwardCase& odd) { return passes(device_, odd, record); });
      result_.candidates.push_back(record);
      if (is_right) swept.push_back(&runners_.emplace_back(Runner{choice}));
    }
  }
  run_stage("raced", swept, {method_.rounds, method_.round_milliseconds});
  llvm::append_range(field_, swept);
}

// The fastest, and of those that may be as fast the simplest: a tie goes to one of these, whichever
// of many equal ones the rounds happened to favour.
std::vector<Runner*> GroupRace::pick_finalists() {
  constexpr double may_be_tied = 0.01;
  const ForwardCase& call = result_.group.call;
  const auto rounds = static_cast<std::size_t>(method_.rounds);
  std::vector<Runner*> picked =
      leaders(field_, rounds, method_.finalists / 2, 0, method_.finalists / 2);
  std::vector<Runner*> tied = leaders(field_, rounds, 1, may_be_tied, field_.size());
  std::ranges::sort(tied, [&](const Runner* a, const Runner* b) {
    return is_simpler(call.problem, call.shape, device_.target(), known_.in_use, a->schedule,
                      b->schedule);
  });
  for (Runner* runner : tied)
    if (picked.size() < method_.finalists && !llvm::is_contained(picked, runner))
      picked.push_back(runner);
  // The fastest stays in front.
  return leaders(picked, rounds, picked.size(), 0, picked.size());
}

void GroupRace::finals() {
  std::vector<Runner*> finalists = with_known(pick_finalists());
  if (finalists.empty()) {
    result_.why_undecided = "no candidate is right and can be timed";
    for (const CandidateRecord& candidate : result_.candidates) {
      if (candidate.outcome.ok()) continue;
      result_.why_undecided += "; the first that failed is " +
                               std::string(name(candidate.outcome.fate)) + ": " +
                               candidate.outcome.reason;
      break;
    }
    return;
  }
  // The fastest so far runs twice: what the two differ by is noise.
  Runner& again = runners_.emplace_back(*finalists.front());
  std::vector<Runner*> everybody = finalists;
  everybody.push_back(&again);
  run_stage("final", everybody, {method_.final_rounds, method_.final_milliseconds});
  const auto counted = static_cast<std::size_t>(std::max(method_.final_rounds - 1, 1));
  while (true) {
    finalists = leaders(finalists, counted, finalists.size(), 0, finalists.size());
    if (finalists.empty()) {
      result_.why_undecided = "every finalist failed while it was timed, or at its size";
      return;
    }
    Finals finals{.finalists = {},
                  .again = again.out ? std::nullopt : std::optional(again.of_latest(counted)),
                  .in_use = known_.in_use,
                  .first_guess = known_.first_guess};
    for (const Runner* runner : finalists) finals.finalists.push_back(runner->of_latest(counted));
    const Decision decision = decide(result_.group, device_.target(), finals);
    Runner& winner = **llvm::find_if(
        finalists, [&](const Runner* runner) { return runner->schedule == decision.winner; });
    if (is_right_at_size(winner)) {
      result_.decision = decision;
      result_.finals = std::move(finals);
      return;
    }
    winner.out = record_of(winner).outcome;
  }
}

// Who wins must be right at the sizes that are timed, too.
bool GroupRace::is_right_at_size(const Runner& runner) {
  return llvm::all_of(result_.group.shapes, [&](const Shape& shape) {
    return passes(device_, result_.group.at(shape), record_of(runner));
  });
}

}  // namespace streamattn
