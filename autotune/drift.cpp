// Builds, checks and times rows again.
#include "autotune/drift.h"

#include <algorithm>
#include <cmath>

#include "autotune/gate.h"
#include "autotune/race.h"
#include "autotune/tuned_rows.h"
#include "measure/statistics.h"
#include "streamattn/compiler.h"

namespace streamattn {
namespace {

constexpr double smallest_gain = 0.98;

/// Whether the schedule can be built and is right, on odd calls and on the group's.
Outcome build_and_check(TuneDevice& device, const TuneGroup& group, const Schedule& schedule) {
  Outcome outcome;
  device.build(group.call.problem, {schedule},
               [&](std::size_t, const BuildOutcome& built) { outcome = built; });
  std::vector<ForwardCase> calls = gate_cases(group.call);
  for (const Shape& shape : group.shapes) calls.push_back(group.at(shape));
  for (const ForwardCase& call : calls) {
    if (!outcome.ok()) break;
    outcome = device.check(call, schedule);
  }
  return outcome;
}

/// 0 where the record has no time of the shape that was taken as `now` takes them.
double recorded_time(const TuningRecord& record, const Shape& shape, const TimingConditions& now) {
  if (record.timed.l2 != now.l2 || record.timed.launch != now.launch) return 0;
  const auto found = std::ranges::find(record.shapes, shape_text(shape));
  if (found == record.shapes.end()) return 0;
  return record.microseconds[static_cast<std::size_t>(found - record.shapes.begin())];
}

/// Median over the rounds but the first, of the first shape.
double median_time(const Runner& runner) {
  std::vector<double> times;
  for (std::size_t i = runner.milliseconds.size() > 1; i < runner.milliseconds.size(); i++)
    times.push_back(1000 * runner.milliseconds[i].front());
  return median(times);
}

void time_beside(TuneDevice& device, const Schedule& first_guess, const TuneMethod& method,
                 Drift& drift) {
  Runner row{drift.schedule}, guess{first_guess};
  run_stage(device, drift.group, {&row, &guess}, {method.final_rounds, method.final_milliseconds},
            method.seed, [] {});
  if (row.out) {
    drift.outcome = *row.out;
    return;
  }
  drift.microseconds = median_time(row);
  if (!guess.out) drift.gain = paired_ratio(guess.logs, row.logs).ratio;
}

}  // namespace

bool Drift::has_drifted(double tolerance) const {
  if (!has_row()) return false;
  if (!outcome.ok() || gain < smallest_gain) return true;
  return recorded > 0 && std::abs(microseconds / recorded - 1) > tolerance;
}

std::vector<Drift> measure_drift(TuneDevice& device, const TuneJob& job, const ScheduleTable& rows,
                                 const TuneMethod& method,
                                 const std::function<void(std::size_t done)>& advance) {
  std::vector<Drift> all;
  const TuneSite site = device.site();
  for (const TuneGroup& group : job.groups) {
    advance(all.size());
    const ForwardCase& call = group.call;
    Drift& drift = all.emplace_back(Drift{.group = group});
    const auto row =
        rows.find(call.operation, call.problem, call.shape, device.target(), site.device);
    if (!row) continue;
    drift.origin = row->origin, drift.schedule = row->schedule;
    drift.recorded = recorded_time(row->record, group.shapes.front(), site.timed);
    drift.outcome = build_and_check(device, group, drift.schedule);
    if (!drift.outcome.ok()) continue;
    const Schedule guess =
        choose(call.operation, call.problem, call.shape, device.target(), ScheduleTable()).schedule;
    device.build(call.problem, {guess}, [](std::size_t, const BuildOutcome&) {});
    time_beside(device, guess, method, drift);
  }
  return all;
}

}  // namespace streamattn
