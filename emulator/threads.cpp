// Instructions of a warp, and reports.
#include "emulator/threads.h"

#include <algorithm>

#include "emulator/violation.h"

namespace streamattn::emulator {
namespace {

constexpr int warps_of_warpgroup = 4;

}  // namespace

Threads::Threads(Scheduler& scheduler, BlockName name, int threads, std::uint32_t complete_below,
                 const std::function<void()>& body)
    : scheduler_(scheduler),
      name_(std::move(name)),
      actors_(name_.ordinal << 16),
      threads_(threads),
      first_warp_(scheduler.add(threads / lanes, body)),
      steps_(threads / lanes),
      warpgroup_steps_((threads / lanes + warps_of_warpgroup - 1) / warps_of_warpgroup) {
  for (Thread& thread : threads_) {
    thread.actor = new_actor();
    thread.clock.seen.learn(thread.actor, thread.event);
    thread.clock.learn_all_below(complete_below);
  }
}

bool Threads::have_exited() const {
  for (int t = 0; t < count(); t++)
    if (!has_exited(t)) return false;
  return true;
}

// ---- Instructions of a warp

void Threads::converge(const char* instruction, Site at, const std::function<void()>& together,
                       void* argument) {
  enter(at);
  scheduler_.converge(instruction, at, argument, together);
}

void Threads::converge_warpgroup(const char* instruction, Site at,
                                 const std::function<void()>& together, void* argument) {
  converge(
      instruction, at,
      [&] {
        auto& steps = warpgroup_steps_[warp() / warps_of_warpgroup];
        std::size_t& mine = steps_[warp()];
        if (mine == steps.size()) steps.push_back({instruction, at});
        const Step& step = steps[mine++];
        if (step.instruction != instruction || step.site.line != at.line ||
            step.site.file != at.file)
          violate("is in {0} where another warp of the warpgroup was in {1} at {2}", instruction,
                  step.instruction, text(step.site));
        together();
      },
      argument);
}

void Threads::sync_warp(Site at) {
  converge("__syncwarp", at, [&] {
    Clock all;
    for (int l = 0; l < lanes; l++) all.learn(of_lane(l).clock);
    for (int l = 0; l < lanes; l++) {
      of_lane(l).clock = all;
      tick(of_lane(l));
    }
  });
}

unsigned Threads::shuffle(unsigned value, unsigned from_lane, Site at) {
  struct Argument {
    unsigned value, from, result;
  } argument = {value, from_lane, 0};
  enter(at);
  if (from_lane >= lanes) violate("shuffles from lane {0}", from_lane);
  converge(
      "__shfl_sync", at,
      [&] {
        for (int l = 0; l < lanes; l++) {
          auto& mine = scheduler_.argument<Argument>(l);
          mine.result = scheduler_.argument<Argument>(static_cast<int>(mine.from)).value;
        }
      },
      &argument);
  return argument.result;
}

bool Threads::any(bool value, Site at) {
  struct Argument {
    bool value, result;
  } argument = {value, false};
  converge(
      "__any_sync", at,
      [&] {
        bool found = false;
        for (int l = 0; l < lanes; l++) found |= scheduler_.argument<Argument>(l).value;
        for (int l = 0; l < lanes; l++) scheduler_.argument<Argument>(l).result = found;
      },
      &argument);
  return argument.result;
}

unsigned Threads::match(unsigned value, Site at) {
  struct Argument {
    unsigned value, result;
  } argument = {value, 0};
  converge(
      "__match_any_sync", at,
      [&] {
        for (int l = 0; l < lanes; l++)
          for (int other = 0; other < lanes; other++)
            if (scheduler_.argument<Argument>(other).value ==
                scheduler_.argument<Argument>(l).value)
              scheduler_.argument<Argument>(l).result |= 1U << other;
      },
      &argument);
  return argument.result;
}

bool Threads::elect(Site at) {
  bool elected = false;
  converge(
      "elect.sync", at,
      [&] { scheduler_.argument<bool>(static_cast<int>(scheduler_.draw(lanes))) = true; },
      &elected);
  return elected;
}

// ---- Reports

Error Threads::error(int thread, Site site, const std::string& what) const {
  return {ErrorCode::launch_failed,
          llvm::formatv("{0}, block {1}, warp {2}, lane {3}, {4}: {5}", name_.kernel, name_.index,
                        thread / lanes, thread % lanes, text(site), what)};
}

void Threads::blame(int thread, Site site, const std::function<void()>& action) const {
  try {
    action();
  } catch (const Violation& violation) {
    throw error(thread, site, violation.what());
  }
}

// A part for every run of lanes that are at the same.
std::string Threads::describe_warp(int warp,
                                   const std::function<std::string(int thread)>& where) const {
  std::string all;
  for (int first = 0; first < lanes;) {
    const std::string what = where(warp * lanes + first);
    int end = first + 1;
    while (end < lanes && where(warp * lanes + end) == what) end++;
    if (end - first < lanes)
      all += end - first == 1 ? llvm::formatv("lane {0} ", first).str()
                              : llvm::formatv("lanes {0}-{1} ", first, end - 1).str();
    all += end < lanes ? what + "; " : what;
    first = end;
  }
  return all;
}

std::string Threads::describe(const std::function<std::string(int thread)>& where) const {
  std::string what;
  for (int first = 0; first < warps();) {
    const std::string here = describe_warp(first, where);
    int end = first + 1;
    while (end < warps() && describe_warp(end, where) == here) end++;
    what += end - first == 1 ? llvm::formatv("\n  warp {0}: {1}", first, here).str()
                             : llvm::formatv("\n  warps {0}-{1}: {2}", first, end - 1, here).str();
    first = end;
  }
  return what;
}

void Threads::trace_instant(const char* what, Site at) const {
  if (name_.trace) name_.trace->instant(name_.ordinal, warp(), what, scheduler_.time(), at);
}

void Threads::trace_arrival(const char* what, Site at) const {
  if (name_.trace) name_.trace->instant(name_.ordinal, Trace::tma_row, what, scheduler_.time(), at);
}

void Threads::trace_wait(const char* what, std::int64_t begin, Site at) const {
  if (name_.trace && lane() == 0)
    name_.trace->span(name_.ordinal, warp(), what, begin, scheduler_.time(), at);
}

}  // namespace streamattn::emulator
