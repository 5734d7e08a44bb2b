// Switching between fibers.
#include "emulator/scheduler.h"

#include <utility>

#include "emulator/violation.h"

namespace streamattn::emulator {
namespace {

// Kernels keep a few KiB of registers on it, and a report is put together there.
constexpr std::size_t stack_bytes = 64 * 1024;

}  // namespace

Scheduler::Scheduler(int threads, std::uint64_t seed)
    : random_(seed), threads_(threads), warps_(threads / lanes), running_(threads) {}

void Scheduler::start(int thread, const std::function<void()>& body) {
  auto entry = [this, thread, &body](boost::context::fiber&& scheduler) {
    scheduler_ = std::move(scheduler);
    try {
      body();
    } catch (const Violation&) {
      failure_ = std::current_exception();
    }
    threads_[thread].exited = true;
    running_--;
    return std::move(scheduler_);
  };
  threads_[thread].fiber = boost::context::fiber(
      std::allocator_arg, boost::context::fixedsize_stack(stack_bytes), std::move(entry));
}

void Scheduler::run(const std::function<void()>& body, const std::function<bool()>& has_background,
                    const std::function<void()>& background,
                    const std::function<void()>& deadlock) {
  for (int thread = 0; thread < static_cast<int>(threads_.size()); thread++) start(thread, body);
  std::vector<int> runnable;
  while (running_ > 0) {
    time_++;
    runnable.clear();
    for (int warp = 0; warp < warps(); warp++)
      if (warps_[warp].ready != 0) runnable.push_back(warp);
    const auto choices = static_cast<unsigned>(runnable.size());
    const bool more = has_background();
    if (choices + more == 0) deadlock();
    const unsigned drawn = draw(choices + more);
    if (drawn == choices)
      background();
    else
      run_warp(runnable[drawn]);
    if (failure_) std::rethrow_exception(failure_);
  }
}

// Every ready lane runs until it suspends, beginning at any of them.
void Scheduler::run_warp(int warp) {
  const std::uint32_t ready = std::exchange(warps_[warp].ready, 0);
  const int first = static_cast<int>(draw(lanes));
  for (int i = 0; i < lanes && !failure_; i++) {
    const int lane = (first + i) % lanes;
    if ((ready >> lane & 1) == 0) continue;
    current_ = warp * lanes + lane;
    threads_[current_].fiber = std::move(threads_[current_].fiber).resume();
  }
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

void Scheduler::block(Site site, WaitReason reason) {
  threads_[current_].site = site;
  threads_[current_].reason = reason;
  suspend();
  threads_[current_].reason = {};
}

void Scheduler::wake(int thread) { warps_[thread / lanes].ready |= 1U << thread % lanes; }

void Scheduler::wake_warp(int warp) {
  for (int lane = 0; lane < lanes; lane++) wake(warp * lanes + lane);
}

void Scheduler::converge(const char* instruction, Site site, void* argument,
                         const std::function<void()>& together) {
  Warp& warp = warps_[this->warp()];
  if (warp.arrived == 0) {
    warp.instruction = instruction, warp.site = site, warp.first_lane = lane();
  } else if (warp.instruction != instruction || warp.site.line != site.line ||
             warp.site.file != site.file) {
    violate(
        "is in {0} while lane {1} of the warp is in {2} at {3}: all lanes must come to the same "
        "instruction",
        instruction, warp.first_lane, warp.instruction, text(warp.site));
  }
  threads_[current_].argument = argument;
  if (++warp.arrived < lanes) return block(site, {WaitReason::lanes});
  warp.arrived = 0;
  together();
  wake_warp(this->warp());
  suspend();
}

}  // namespace streamattn::emulator
