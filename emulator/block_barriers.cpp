// Barriers of a block and the registers that its warpgroups hand on.
#include <algorithm>

#include "emulator/block.h"
#include "emulator/violation.h"

namespace streamattn::emulator {
namespace {

constexpr int lanes = Scheduler::lanes;

}  // namespace

// ---- mbarriers

// The mbarrier at `address`, for the current thread.
Mbarrier& Block::mbarrier_at(unsigned address) {
  auto found = mbarriers_.find(address);
  if (found == mbarriers_.end())
    violate("uses shared address {0} as an mbarrier, which nothing has initialised", address);
  if (!found->second.is_initialised_for(thread().clock))
    violate("uses {0}: no barrier orders its initialisation before this", found->second.describe());
  return found->second;
}

void Block::mbarrier_init(unsigned barrier, unsigned arrivals, Site at) {
  enter(at);
  if (barrier % 8 != 0 || arrivals == 0)
    violate("initialises an mbarrier at {0} with {1} arrivals", barrier, arrivals);
  const Access init = plain_access(at);
  if (!mbarriers_.try_emplace(barrier, barrier, arrivals, actors_++, init).second)
    violate("initialises the mbarrier at {0} once more", barrier);
  memory_.write(barrier / SharedMemory::granule * SharedMemory::granule, thread().clock, init);
}

void Block::fence_mbarrier_init(Site at) {
  enter(at);
  for (auto& [address, barrier] : mbarriers_) barrier.show_to_tma();
}

void Block::wake_waiters(unsigned address) {
  for (int t = 0; t < launch_.threads; t++) {
    const WaitReason reason = scheduler_.reason(t);
    if (reason.kind == WaitReason::mbarrier && reason.which == address) scheduler_.wake(t);
  }
}

void Block::mbarrier_arrive(unsigned barrier, unsigned expected_bytes, Site at) {
  enter(at);
  scheduler_.yield();
  Thread& t = enter(at);
  const bool ends = mbarrier_at(barrier).arrive(t.clock, expected_bytes);
  tick(t);
  if (ends) wake_waiters(barrier);
}

void Block::mbarrier_wait(unsigned barrier, unsigned parity, Site at) {
  enter(at);
  const std::int64_t begin = scheduler_.time();
  scheduler_.yield();
  Thread& t = enter(at);
  Mbarrier& waited = mbarrier_at(barrier);
  while (!waited.passes(parity)) scheduler_.block(at, {WaitReason::mbarrier, barrier, parity});
  t.clock.learn(waited.wait());
  if (launch_.trace && scheduler_.lane() == 0)
    launch_.trace->span(launch_.block, scheduler_.warp(), "mbarrier wait", begin, scheduler_.time(),
                        at);
}

// ---- Named barriers

void Block::named_barrier(int id, int threads, bool wait, Site at) {
  const std::int64_t begin = scheduler_.time();
  converge(wait ? "bar.sync" : "bar.arrive", at, [&] { arrive(id, threads, wait, at); });
  while (wait && warp().named_barrier == id)
    scheduler_.block(at, {WaitReason::named_barrier, static_cast<unsigned>(id)});
  if (launch_.trace && wait && scheduler_.lane() == 0)
    launch_.trace->span(launch_.block, scheduler_.warp(), "named barrier", begin, scheduler_.time(),
                        at);
}

void Block::sync_threads(Site at) { named_barrier(0, launch_.threads, /*wait=*/true, at); }

// The current warp arrives.
void Block::arrive(int id, int threads, bool wait, Site at) {
  if (id < 0 || id > 15 || threads <= 0 || threads % lanes != 0 || threads > launch_.threads)
    violate("uses named barrier {0} with {1} threads", id, threads);
  NamedBarrier& barrier = named_barriers_[id];
  if (barrier.arrivals() == 0) barrier.threads = threads, barrier.first = at;
  if (barrier.threads != threads)
    violate("arrives at named barrier {0} with {1} threads, where {2} has {3}", id, threads,
            text(barrier.first), barrier.threads);
  const int warp_index = scheduler_.warp();
  std::vector<int>& here = wait ? barrier.waiting : barrier.passing;
  if (std::find(here.begin(), here.end(), warp_index) != here.end())
    violate("arrives twice at named barrier {0}, which still waits for others", id);
  here.push_back(warp_index);
  if (wait) warp().named_barrier = id;
  for (int l = 0; l < lanes; l++) {
    barrier.clock.learn(lane(l).clock);
    tick(lane(l));
  }
  if (barrier.arrivals() * lanes == threads) complete(barrier);
}

void Block::complete(NamedBarrier& barrier) {
  for (int w : barrier.waiting) {
    warps_[w].named_barrier = -1;
    scheduler_.wake_warp(w);
    for (int l = 0; l < lanes; l++) threads_[w * lanes + l].clock.learn(barrier.clock);
  }
  barrier = {};
}

// ---- Registers

void Block::set_registers(int count, bool grow, Site at) {
  converge_warpgroup("setmaxnreg", at, [&] {
    Warp& w = warp();
    if (count % 8 != 0 || count < 24 || count > 256)
      violate("asks for {0} registers; multiples of 8 from 24 to 256 exist", count);
    if (!grow && count > w.registers)
      violate("gives registers back to keep {0} of {1}", count, w.registers);
    w.requested_registers = count;
    if (!grow) {
      spare_registers_ += (w.registers - count) * lanes;
      w.registers = count;
    }
    grant_registers();
  });
  while (warp().registers < count)
    scheduler_.block(at, {WaitReason::registers, static_cast<unsigned>(count)});
}

void Block::grant_registers() {
  for (int w = 0; w < scheduler_.warps(); w++) {
    const int needed = (warps_[w].requested_registers - warps_[w].registers) * lanes;
    if (needed <= 0 || needed > spare_registers_) continue;
    spare_registers_ -= needed;
    warps_[w].registers = warps_[w].requested_registers;
    scheduler_.wake_warp(w);
  }
}

}  // namespace streamattn::emulator
