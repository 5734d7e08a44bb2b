// Hands builds to processes and waits for whichever is done.
#include "autotune/build_pool.h"

#include <poll.h>

#include <llvm/Support/FormatVariadic.h>
#include <llvm/Support/JSON.h>

#include <algorithm>
#include <optional>

#include "autotune/outcome_json.h"
#include "measure/statistics.h"

namespace streamattn {
namespace {

using Clock = WorkerProcess::Clock;

constexpr double patience = 8;  // medians

BuildOutcome failed(Fate fate, std::string reason) {
  BuildOutcome outcome;
  outcome.fate = fate, outcome.reason = std::move(reason);
  return outcome;
}

BuildOutcome parse_answer(const std::string& line) {
  auto json = llvm::json::parse(line);
  if (!json || !json->getAsObject()) {
    llvm::consumeError(json.takeError());
    return failed(Fate::crashed, "the worker answered something else than JSON");
  }
  const llvm::json::Object& object = *json->getAsObject();
  if (const auto error = object.getString("complaint")) return failed(Fate::refused, error->str());
  BuildOutcome outcome;
  read_json(object, outcome);
  return outcome;
}

}  // namespace

BuildPool::BuildPool(const std::vector<std::string>& command, int processes,
                     std::chrono::milliseconds limit)
    : command_(command),
      processes_(static_cast<std::size_t>(std::max(processes, 1))),
      limit_(limit) {}

Clock::duration BuildPool::limit() const {
  const std::chrono::duration<double> usual(seconds_.empty() ? 0 : patience * median(seconds_));
  return std::max<Clock::duration>(limit_, std::chrono::duration_cast<Clock::duration>(usual));
}

void BuildPool::start(Slot& slot, std::size_t request, const std::string& line) {
  if (!slot.process) slot.process = std::make_unique<WorkerProcess>(command_);
  slot.request = request, slot.begin = Clock::now(), slot.is_busy = true;
  slot.process->send(line);  // where that fails the process is gone, which look_at() sees
}

// The outcome of what a slot builds; nothing while it is at it.
std::optional<BuildOutcome> BuildPool::look_at(Slot& slot) {
  const bool lives = slot.process->read_some();
  const std::chrono::duration<double> took = Clock::now() - slot.begin;
  if (const auto line = slot.process->next_line()) {
    seconds_.push_back(took.count());
    return parse_answer(*line);
  }
  if (!lives) {
    const std::string ending = slot.process->ending();
    slot.process.reset();
    return failed(Fate::crashed, "the compiler's process is gone: " + ending);
  }
  if (took < limit()) return std::nullopt;
  slot.process.reset();
  return failed(Fate::timed_out, llvm::formatv("it was not compiled after {0:f1} s", took.count()));
}

void BuildPool::run(const std::vector<std::string>& requests, const Done& done) {
  std::vector<Slot> slots(std::min(processes_, requests.size()));
  std::size_t next = 0, finished = 0;
  while (finished < requests.size()) {
    std::vector<pollfd> waiting;
    for (Slot& slot : slots) {
      if (!slot.is_busy && next < requests.size()) {
        start(slot, next, requests[next]);
        next++;
      }
      if (slot.is_busy) waiting.push_back({slot.process->output(), POLLIN, 0});
    }
    ::poll(waiting.data(), waiting.size(), 100);
    for (Slot& slot : slots) {
      if (!slot.is_busy) continue;
      const auto outcome = look_at(slot);
      if (!outcome) continue;
      slot.is_busy = false;
      finished++;
      done(slot.request, *outcome);
    }
  }
}

}  // namespace streamattn
