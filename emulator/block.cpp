// A block's threads from start to exit, warp-wide instructions, and reports.
#include "emulator/block.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "emulator/violation.h"
#include "streamattn/error.h"

namespace streamattn::emulator {
namespace {

constexpr int lanes = Scheduler::lanes, warps_of_warpgroup = 4;

// What ptxas gives a thread of a kernel with these launch bounds: the register file of an SM,
// shared equally in units of 8.
int launch_registers(int threads) { return std::min(65536 / threads / 8 * 8, 256); }

}  // namespace

Block::Block(const BlockLaunch& launch)
    : launch_(launch),
      scheduler_(launch.threads, launch.seed),
      memory_(launch.smem_bytes),
      threads_(launch.threads),
      warpgroup_steps_((launch.threads / lanes + warps_of_warpgroup - 1) / warps_of_warpgroup),
      actors_(static_cast<Actor>(launch.threads)) {
  for (int t = 0; t < launch.threads; t++) {
    threads_[t].actor = static_cast<Actor>(t);
    threads_[t].clock.seen.learn(threads_[t].actor, threads_[t].event);
  }
  for (int w = 0; w < scheduler_.warps(); w++)
    warps_.push_back({WgmmaQueue(memory_, actors_++, w), launch_registers(launch.threads)});
}

void Block::run(const std::function<void()>& kernel) {
  auto body = [&] {
    kernel();
    check_exit();
  };
  try {
    scheduler_.run(
        body, [this] { return !loads_.empty(); }, [this] { deliver(); },
        [this] { report_deadlock(); });
    check_loads();
  } catch (const Violation& violation) {
    report(violation.what());
  }
}

// What must not be under way when the block exits.
void Block::check_loads() {
  for (const auto& [address, barrier] : mbarriers_) {
    const std::optional<Access> load = barrier.unseen_load();
    if (!load) continue;
    at_thread_ = load->warp * lanes + load->lane, at_ = load->site;
    violate("the block exits and nobody has waited for this TMA load");
  }
}

// What must not be under way when a thread leaves the kernel.
void Block::check_exit() {
  const Thread& t = thread();
  at_thread_ = scheduler_.current();
  if (!t.stores.empty()) {
    at_ = t.stores.front().site;
    violate(t.stores.front().group == t.store_groups
                ? "exits without tma_store_commit for this TMA store"
                : "exits without tma_store_wait_read for this TMA store, which may still read "
                  "shared memory");
  }
  if (!warp().wgmmas.idle()) violate("exits while {0} is in flight", warp().wgmmas.oldest());
}

// ---- Who is running

Block::Thread& Block::enter(Site at) {
  at_thread_ = scheduler_.current();
  at_ = at;
  return thread();
}

Access Block::access(AccessKind kind, Actor actor, std::uint32_t event, Site at) const {
  return {kind, actor, event, at, scheduler_.warp(), scheduler_.lane()};
}

// What the thread does from now on is unknown to those who learn what it knew so far.
void Block::tick(Thread& thread) { thread.clock.seen.learn(thread.actor, ++thread.event); }

void Block::converge(const char* instruction, Site at, const std::function<void()>& together,
                     void* argument) {
  enter(at);
  scheduler_.converge(instruction, at, argument, together);
}

// Warps of a warpgroup need not be in step, but must come to the same instructions in order.
void Block::converge_warpgroup(const char* instruction, Site at,
                               const std::function<void()>& together, void* argument) {
  converge(
      instruction, at,
      [&] {
        auto& steps = warpgroup_steps_[scheduler_.warp() / warps_of_warpgroup];
        if (warp().steps == steps.size()) steps.push_back({instruction, at});
        const Step& step = steps[warp().steps++];
        if (step.instruction != instruction || step.site.line != at.line ||
            step.site.file != at.file)
          violate("is in {0} where another warp of the warpgroup was in {1} at {2}", instruction,
                  step.instruction, text(step.site));
        together();
      },
      argument);
}

// ---- Warp-wide instructions

void Block::sync_warp(Site at) {
  converge("__syncwarp", at, [&] {
    Clock all;
    for (int l = 0; l < lanes; l++) all.learn(lane(l).clock);
    for (int l = 0; l < lanes; l++) {
      lane(l).clock = all;
      tick(lane(l));
    }
  });
}

unsigned Block::shuffle(unsigned value, unsigned from_lane, Site at) {
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

bool Block::any(bool value, Site at) {
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

bool Block::elect(Site at) {
  bool elected = false;
  converge(
      "elect.sync", at,
      [&] { scheduler_.argument<bool>(static_cast<int>(scheduler_.draw(lanes))) = true; },
      &elected);
  return elected;
}

// ---- Global memory

void Block::load_global(const void* from, void* to, int bytes, Site at) {
  enter(at);
  std::memcpy(to, from, static_cast<std::size_t>(bytes));
}

void Block::store_global(void* to, const void* from, int bytes, Site at) {
  enter(at);
  std::memcpy(to, from, static_cast<std::size_t>(bytes));
}

unsigned Block::atomic_inc(unsigned* word, unsigned last, Site at) {
  enter(at);
  scheduler_.yield();
  const unsigned old = *word;
  *word = old >= last ? 0 : old + 1;
  return old;
}

unsigned Block::atomic_add(unsigned* word, unsigned addend, Site at) {
  enter(at);
  scheduler_.yield();
  return std::exchange(*word, *word + addend);
}

unsigned Block::load_acquire(const unsigned* from, Site at) {
  enter(at);
  scheduler_.yield();
  return *from;
}

void Block::store_release(unsigned* to, unsigned value, Site at) {
  enter(at);
  scheduler_.yield();
  *to = value;
}

// ---- Matrix instructions

void Block::wgmma_fence(Site at) {
  converge_warpgroup("wgmma.fence", at, [&] { warp().wgmmas.fence(); });
}

void Block::wgmma(const WgmmaCall& call, Site at) {
  converge_warpgroup(
      "wgmma.mma_async", at,
      [&] {
        WgmmaQueue::LaneCalls calls;
        std::array<const Clock*, lanes> clocks;
        for (int l = 0; l < lanes; l++) {
          calls[l] = &scheduler_.argument<const WgmmaCall>(l);
          clocks[l] = &lane(l).clock;
        }
        warp().wgmmas.issue(calls, clocks, at);
      },
      const_cast<WgmmaCall*>(&call));
}

void Block::wgmma_commit(Site at) {
  converge_warpgroup("wgmma.commit_group", at, [&] {
    warp().wgmmas.commit();
    if (launch_.trace)
      launch_.trace->instant(launch_.block, scheduler_.warp(), "wgmma group", scheduler_.time(),
                             at);
  });
}

void Block::wgmma_wait(int pending_groups, Site at) {
  converge_warpgroup("wgmma.wait_group", at, [&] {
    WgmmaQueue& wgmmas = warp().wgmmas;
    const std::uint32_t done = wgmmas.wait(pending_groups);
    for (int l = 0; l < lanes; l++) lane(l).clock.learn_async(wgmmas.actor(), done);
    if (launch_.trace)
      launch_.trace->instant(launch_.block, scheduler_.warp(), "wgmma wait", scheduler_.time(), at);
  });
}

void Block::touch_registers(const void* registers, int bytes, Site at) {
  enter(at);
  warp().wgmmas.touch(scheduler_.lane(), registers, bytes);
}

void Block::in_flight_used(Site at) {
  enter(at);
  violate("computes with an accumulator of {0}, which is in flight", warp().wgmmas.oldest());
}

// ---- Reports

void Block::report(const std::string& what) const {
  throw Error(
      ErrorCode::launch_failed,
      llvm::formatv("{0}, block {1}, warp {2}, lane {3}, {4}: {5}", launch_.kernel, launch_.block,
                    at_thread_ / lanes, at_thread_ % lanes, text(at_), what));
}

std::string Block::waits(int thread) const {
  if (scheduler_.has_exited(thread)) return "exited";
  const WaitReason reason = scheduler_.reason(thread);
  const std::string place = " at " + text(scheduler_.site(thread));
  switch (reason.kind) {
    case WaitReason::lanes:
      return "waits for the other lanes" + place;
    case WaitReason::mbarrier:
      return llvm::formatv("waits for a phase of parity {0} of {1}{2}", reason.parity,
                           mbarriers_.at(reason.which).describe(), place);
    case WaitReason::named_barrier: {
      const NamedBarrier& barrier = named_barriers_[reason.which];
      return llvm::formatv("waits in named barrier {0}, where {1} of {2} threads have arrived{3}",
                           reason.which, barrier.arrivals() * lanes, barrier.threads, place);
    }
    case WaitReason::registers:
      return llvm::formatv("waits for {0} registers a thread, {1} are spare{2}", reason.which,
                           spare_registers_, place);
    case WaitReason::nothing:
      break;
  }
  return "runs";
}

// What the lanes of a warp wait for, a part for every run of lanes that wait for the same.
std::string Block::warp_waits(int warp) const {
  std::string all;
  for (int first = 0; first < lanes;) {
    const std::string what = waits(warp * lanes + first);
    int end = first + 1;
    while (end < lanes && waits(warp * lanes + end) == what) end++;
    if (end - first < lanes)
      all += end - first == 1 ? llvm::formatv("lane {0} ", first).str()
                              : llvm::formatv("lanes {0}-{1} ", first, end - 1).str();
    all += end < lanes ? what + "; " : what;
    first = end;
  }
  return all;
}

// One line for every run of warps that wait for the same.
void Block::report_deadlock() const {
  std::string what = llvm::formatv("{0}, block {1}: deadlock", launch_.kernel, launch_.block);
  for (int first = 0; first < scheduler_.warps();) {
    const std::string waits = warp_waits(first);
    int end = first + 1;
    while (end < scheduler_.warps() && warp_waits(end) == waits) end++;
    what += end - first == 1 ? llvm::formatv("\n  warp {0}: {1}", first, waits).str()
                             : llvm::formatv("\n  warps {0}-{1}: {2}", first, end - 1, waits).str();
    first = end;
  }
  throw Error(ErrorCode::launch_failed, what);
}

}  // namespace streamattn::emulator
