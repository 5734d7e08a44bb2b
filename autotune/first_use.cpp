// Looks rows up, and tunes where there is none.
#include "autotune/first_use.h"

#include <llvm/Support/FormatVariadic.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "autotune/budgeted_device.h"
#include "autotune/gate.h"
#include "autotune/journaled_device.h"
#include "autotune/length_lists.h"
#include "autotune/local_device.h"
#include "autotune/tuner.h"
#include "compiler/expr/names.h"
#include "compiler/family_answers.h"
#include "measure/statistics.h"
#include "streamattn/error.h"
#include "support/log.h"

namespace streamattn {
namespace {

/// Why calls of a problem are not tuned while a program runs; empty if they are.
std::string decline(Operation operation, const Problem& problem, const Shape& shape) {
  if (operation != Operation::forward) return "the tuner measures the forward pass alone";
  if (problem.is_ragged()) return "lengths of sequences are not known before a launch";
  if (!ExprNames(problem).scalars.empty()) return "values of scalars are not known before a launch";
  if (shape.batch == 0 || shape.kv_heads == 0 || shape.q_len == 0 || shape.kv_len == 0)
    return "there is nothing to compute";
  return {};
}

/// Few rounds, each long enough for a median.
TuneMethod quick_method() {
  return {.rounds = 1,
          .round_milliseconds = 3,
          .finalists = 4,
          .final_rounds = 5,
          .final_milliseconds = 10};
}

/// How many candidates there is time for, by what the first guess takes. 0 where it fails.
std::int64_t affordable(BudgetedDevice& device, const TuneGroup& group, const Schedule& guess,
                        const TuneMethod& method, const FirstUse::Seconds& now) {
  BuildOutcome build;
  device.build(group.call.problem, {guess},
               [&](std::size_t, const BuildOutcome& outcome) { build = outcome; });
  const auto is_right = [&](const ForwardCase& call) { return device.check(call, guess).ok(); };
  const auto cases = gate_cases(group.call);
  if (!build.ok() || !std::ranges::all_of(cases, is_right)) return 0;
  device.time(group.call, guess, 1);
  // All of it again, without what only the first one pays.
  const double begin = now();
  std::ranges::for_each(cases, is_right);
  const double checked = now() - begin;
  double run = device.seconds_left();  // seconds that one takes, with all around it
  double milliseconds = 0;             // by itself
  for (int i = 0; i < 3; i++) {        // the least: something else may be running
    const double start = now();
    const TimeOutcome timed = device.time(group.call, guess, 3);
    if (!timed.ok()) return 0;
    run = std::min(run, (now() - start) / 3);
    milliseconds = median(timed.milliseconds);
  }
  const int runs = runs_for(method.final_milliseconds, milliseconds);
  // Launch knobs are swept in as many runs as the finals have.
  const double finals =
      2 * method.final_rounds * static_cast<double>(method.finalists + 2) * runs * run;
  const double once = build.milliseconds / 1000 + checked + 3 * run;
  const double left = 0.9 * device.seconds_left() - finals;
  return static_cast<std::int64_t>(std::max(0.0, left / std::max(once, 1e-4)));
}

double steady_seconds() {
  const std::chrono::duration<double> now = std::chrono::steady_clock::now().time_since_epoch();
  return now.count();
}

std::string device_key(const JitOptions& options) {
  return options.target.value_or("") + " " + std::to_string(options.device.value_or(-1));
}

}  // namespace

TuneGroup first_use_group(const Problem& problem, const Shape& shape) {
  TuneGroup group;
  group.call.problem = problem, group.call.shape = shape;
  group.shapes = {shape};
  group.q_len = query_bucket_of(shape.q_len), group.kv_len = key_bucket_of(shape.kv_len);
  return group;
}

FirstUse::FirstUse(const FirstUseOptions& options, MakeDevice make_device, Seconds now)
    : budget_seconds_(options.budget_seconds),
      table_(options.table ? *options.table : default_learned_rows()),
      make_device_(std::move(make_device)),
      now_(std::move(now)) {
  if (!(budget_seconds_ > 0))
    throw Error(ErrorCode::invalid_argument,
                llvm::formatv("budget_seconds is {0}, must be positive", budget_seconds_));
  memory_.get().learned.emplace(table_);
}

const TuneSite& FirstUse::site(Memory& memory, const JitOptions& options) const {
  const std::string key = device_key(options);
  if (const auto known = memory.sites.find(key); known != memory.sites.end()) return known->second;
  return memory.sites.emplace(key, make_device_(options)->site()).first->second;
}

std::optional<Choice> FirstUse::choose(const JitOptions& options, Operation operation,
                                       const Problem& problem, const Shape& shape) {
  if (const std::string reason = decline(operation, problem, shape); !reason.empty()) {
    log(LogLevel::info, LogTopic::tune, problem.describe() + ": not tuned: " + reason);
    return std::nullopt;
  }
  const Target& target = find_target(*options.target);
  Memory& memory = memory_.get();
  const std::lock_guard lock(memory.mutex);
  if (!memory.learned) memory.learned.emplace(table_);
  const std::string device = site(memory, options).device;
  const auto look_up = [&]() -> std::optional<Choice> {
    const auto row = memory.learned->rows().find(operation, problem, shape, target, device);
    if (!row || !is_served(operation, problem, row->schedule, target)) return std::nullopt;
    return Choice{row->schedule, "row " + row->origin + ", tuned on " + device};
  };
  if (auto known = look_up()) return known;
  const TuneGroup group = first_use_group(problem, shape);
  const Lengths tiles = tiles_like(problem, group.shapes, target);
  const std::string name = llvm::formatv("{0}; {1}, {2}, tiles {3}", device_key(options),
                                         problem.describe(), group.describe(), tiles.last);
  if (!memory.settled.insert(name).second) return std::nullopt;
  tune(memory, options, group);
  return look_up();
}

void FirstUse::tune(Memory& memory, const JitOptions& options, const TuneGroup& group) const {
  const auto device = make_device_(options);
  BudgetedDevice budgeted(*device, budget_seconds_, now_);
  TuneMethod method = quick_method();
  const ForwardCase& call = group.call;
  const Target& target = device->target();
  const Schedule guess =
      streamattn::choose(call.operation, call.problem, call.shape, target, ScheduleTable())
          .schedule;
  const auto leave = [&](const std::string& why) {
    log(LogLevel::warning, LogTopic::tune,
        llvm::formatv("{0}: not tuned in {1} s: {2}", group.describe(), budget_seconds_, why)
            .str());
  };
  try {
    method.candidates = affordable(budgeted, group, guess, method, now_);
    if (method.candidates < 2)
      return leave("there is no time for a second schedule, or the first one fails");
    Tuner tuner(
        budgeted, {}, method, [](const Problem&, const Schedule&) { return std::string(); },
        [](const TuneProgress&) {});
    const GroupResult result = tuner.tune(group, guess, {});
    if (!result.decision) return leave(result.why_undecided);
    for (const TunedRow& row : tuned_rows({result}, target))
      memory.learned->add(row, device->site(), target);
  } catch (const TuningStopped&) {
    leave("time was up before there was a winner");
  }
}

ScheduleTuner tune_on_first_use(const FirstUseOptions& options) {
  const auto local = [](const JitOptions& of) { return std::make_unique<LocalDevice>(of); };
  const auto tuner = std::make_shared<FirstUse>(options, local, steady_seconds);
  return [tuner](const JitOptions& of, Operation operation, const Problem& problem,
                 const Shape& shape) { return tuner->choose(of, operation, problem, shape); };
}

}  // namespace streamattn
