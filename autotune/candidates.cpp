// Lists and ranks candidates.
#include "autotune/candidates.h"

#include <llvm/ADT/STLExtras.h>

#include <algorithm>
#include <utility>

#include "streamattn/compiler.h"
#include "streamattn/error.h"

namespace streamattn {
namespace {

/// What won on another problem may be illegal for this one.
bool is_legal(const ForwardCase& call, const Schedule& schedule, const Target& target) {
  try {
    check(call.operation, call.problem, schedule, target);
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

std::vector<CandidateRecord> list_candidates(const TuneGroup& group,
                                             const std::vector<Schedule>& first,
                                             const std::vector<KnobLimit>& space,
                                             const TuneMethod& method, const Target& target,
                                             const WhyBlocked& why_blocked) {
  const ForwardCase& call = group.call;
  std::vector<CandidateRecord> all, others;
  const auto add = [&](const Schedule& schedule, std::vector<CandidateRecord>& to) {
    if (llvm::any_of(all, [&](const auto& known) { return known.schedule == schedule; })) return;
    CandidateRecord& candidate = to.emplace_back();
    candidate.schedule = schedule;
    candidate.estimate = estimate(call.problem, schedule, call.shape, target);
    if (const std::string reason = why_blocked(call.problem, schedule); !reason.empty())
      candidate.outcome = {Fate::refused, "on the block list: " + reason};
  };
  for (const Schedule& schedule : first)
    if (is_legal(call, schedule, target)) add(schedule, all);
  for (const Schedule& schedule : schedules(call.operation, call.problem, call.shape, target))
    if (allows(space, schedule)) add(schedule, others);
  // Equal ones stay in the families' order.
  std::vector<std::pair<double, std::size_t>> order;
  for (std::size_t i = 0; i < others.size(); i++)
    order.emplace_back(others[i].estimate.microseconds, i);
  std::ranges::sort(order);
  for (const auto& [microseconds, i] : order)
    if (microseconds <= method.model_margin * order.front().first) all.push_back(others[i]);
  const auto most = std::max(static_cast<std::size_t>(method.candidates), first.size());
  if (method.candidates > 0 && all.size() > most) all.resize(most);
  return all;
}

}  // namespace streamattn
