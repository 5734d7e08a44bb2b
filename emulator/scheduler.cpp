// Switching between fibers.
#include "emulator/scheduler.h"

#include <utility>

#include "emulator/violation.h"

namespace streamattn::emulator {
namespace {

// Kernels keep a few KiB of registers on it, and a report is put together there.
constexpr std::size_t stack_bytes = 64 * 1024;

// Drops a fiber that stopped in the middle of an instruction: its stack cannot be unwound.
void abandon(boost::context::fiber& fiber) { std::construct_at(&fiber); }

}  // namespace

int Scheduler::add(int warps, const std::function<void()>& body) {
  const int first = static_cast<int>(warps_.size());
  for (int w = first; w < first + warps; w++) {
    warps_.push_back(std::make_unique<Warp>());
    present_.push_back(w);
    for (int l = 0; l < lanes; l++) start(w * lanes + l, body);
  }
  return first;
}

void Scheduler::remove(int first_warp, int warps) {
  std::erase_if(present_, [&](int w) { return w >= first_warp && w < first_warp + warps; });
  for (int w = first_warp; w < first_warp + warps; w++) warps_[w].reset();
}

void Scheduler::start(int t, const std::function<void()>& body) {
  auto entry = [this, t, &body](boost::context::fiber&& scheduler) {
    scheduler_ = std::move(scheduler);
    try {
      body();
    } catch (const std::exception&) {
      failure_ = std::current_exception();
    }
    thread(t).exited = true;
    progress();
    return std::move(scheduler_);
  };
  thread(t).fiber = boost::context::fiber(
      std::allocator_arg, boost::context::fixedsize_stack(stack_bytes), std::move(entry));
}

bool Scheduler::can_run() const {
  return std::any_of(present_.begin(), present_.end(),
                     [&](int warp) { return warps_[warp]->ready != 0; });
}

Interruption Scheduler::run_slice(const std::function<void(int warp)>& before) {
  time_++;
  std::vector<int> runnable;
  for (int warp : present_)
    if (warps_[warp]->ready != 0) runnable.push_back(warp);
  const int drawn = runnable[draw(static_cast<unsigned>(runnable.size()))];
  before(drawn);
  const Interruption interruption = run_warp(drawn);
  if (failure_) std::rethrow_exception(failure_);
  return interruption;
}

// Every ready lane runs until it suspends, beginning at any of them.
Interruption Scheduler::run_warp(int warp) {
  const std::uint32_t ready = std::exchange(warps_[warp]->ready, 0);
  const int first = static_cast<int>(draw(lanes));
  for (int i = 0; i < lanes && !failure_; i++) {
    const int lane = (first + i) % lanes;
    if ((ready >> lane & 1) == 0) continue;
    current_ = warp * lanes + lane;
    Thread& running = thread(current_);
    interrupts_.begin_slice([this] { suspend(); });
    running.fiber = std::move(running.fiber).resume();
    if (const Interruption interruption = interrupts_.end_slice()) {
      abandon(running.fiber);
      return interruption;
    }
  }
  return {};
}

void Scheduler::suspend() {
  const int thread = current_;
  scheduler_ = std::move(scheduler_).resume();
  current_ = thread;
}

void Scheduler::yield() {
  wake(current_);
  suspend();
}

void Scheduler::block(WaitReason reason) {
  thread(current_).reason = reason;
  suspend();
  thread(current_).reason = {};
}

void Scheduler::wake(int thread) { warps_[thread / lanes]->ready |= 1U << thread % lanes; }

void Scheduler::wake_warp(int warp) {
  for (int lane = 0; lane < lanes; lane++) wake(warp * lanes + lane);
}

void Scheduler::converge(const char* instruction, Site site, void* argument,
                         const std::function<void()>& together) {
  Warp& warp = *warps_[this->warp()];
  if (warp.arrived == 0) {
    warp.instruction = instruction, warp.site = site, warp.first_lane = lane();
  } else if (warp.instruction != instruction || warp.site.line != site.line ||
             warp.site.file != site.file) {
    violate(
        "is in {0} while lane {1} of the warp is in {2} at {3}: all lanes must come to the same "
        "instruction",
        instruction, warp.first_lane, warp.instruction, text(warp.site));
  }
  thread(current_).argument = argument;
  if (++warp.arrived < lanes) return block({WaitReason::lanes});
  warp.arrived = 0;
  together();
  wake_warp(this->warp());
  suspend();
}

}  // namespace streamattn::emulator
