// Initialisation, arrivals and waits.
#include "emulator/barriers.h"

#include <algorithm>

#include "emulator/violation.h"

namespace streamattn::emulator {
namespace {

constexpr int lanes = Threads::lanes;

}  // namespace

// ---- mbarriers

Mbarrier& Barriers::mbarrier_at(unsigned address) {
  return mbarrier_at(address, threads_.self().clock);
}

Mbarrier& Barriers::mbarrier_at(unsigned address, const Clock& clock) {
  auto found = mbarriers_.find(address);
  if (found == mbarriers_.end())
    violate("uses shared address {0} as an mbarrier, which nothing has initialised", address);
  if (!found->second.is_initialised_for(clock))
    violate("uses {0}: no barrier orders its initialisation before this", found->second.describe());
  return found->second;
}

void Barriers::init(unsigned barrier, unsigned arrivals, Site at) {
  const Clock& clock = threads_.enter(at).clock;
  if (barrier % 8 != 0 || arrivals == 0)
    violate("initialises an mbarrier at {0} with {1} arrivals", barrier, arrivals);
  const Access init = threads_.plain_access(at);
  if (!mbarriers_.try_emplace(barrier, barrier, arrivals, threads_.new_actor(), init).second)
    violate("initialises the mbarrier at {0} once more", barrier);
  memory_.give_to_mbarrier(barrier / SharedMemory::granule * SharedMemory::granule, clock, init);
}

void Barriers::fence_init(Site at) {
  Threads::Thread& thread = threads_.enter(at);
  for (auto& [address, barrier] : mbarriers_) barrier.show_to_tma(thread.actor, thread.event);
  thread.shown = thread.event;
  Threads::tick(thread);
}

void Barriers::wake_waiters(unsigned address) {
  threads_.scheduler().progress();
  for (int t = 0; t < threads_.count(); t++) {
    const WaitReason reason = threads_.reason(t);
    if (reason.kind == WaitReason::mbarrier && reason.which == address) threads_.wake(t);
  }
}

void Barriers::arrive(unsigned barrier, unsigned expected_bytes, Site at) {
  threads_.enter(at);
  threads_.scheduler().yield();
  Threads::Thread& thread = threads_.self();
  const bool ends = mbarrier_at(barrier).arrive(thread.clock, expected_bytes);
  Threads::tick(thread);
  if (ends) wake_waiters(barrier);
}

void Barriers::wait(unsigned barrier, unsigned parity, bool of_cluster, Site at) {
  threads_.enter(at);
  const std::int64_t begin = threads_.scheduler().time();
  threads_.scheduler().yield();
  Mbarrier& waited = mbarrier_at(barrier);
  while (!waited.passes(parity)) threads_.block({WaitReason::mbarrier, barrier, parity});
  if (!of_cluster && waited.counts_other_blocks())
    violate("waits for what other blocks have stored, without mbarrier_wait_cluster");
  threads_.self().clock.learn(waited.wait());
  threads_.trace_wait("mbarrier wait", begin, at);
}

bool Barriers::test(unsigned barrier, unsigned parity, Site at) {
  threads_.enter(at);
  threads_.scheduler().yield();
  Mbarrier& tested = mbarrier_at(barrier);
  const bool complete = tested.passes(parity);
  if (complete) threads_.self().clock.learn(tested.wait());
  return complete;
}

void Barriers::arrive_as(unsigned barrier, const Clock& clock) {
  if (mbarriers_.at(barrier).arrive(clock, 0)) wake_waiters(barrier);
}

void Barriers::complete(unsigned address, int bytes) {
  if (mbarriers_.at(address).complete(bytes)) wake_waiters(address);
}

std::optional<Access> Barriers::unseen_load() const {
  for (const auto& [address, barrier] : mbarriers_)
    if (auto load = barrier.unseen_load()) return load;
  return {};
}

// ---- Named barriers

void Barriers::named(int id, int threads, bool wait, Site at) {
  const std::int64_t begin = threads_.scheduler().time();
  threads_.converge(wait ? "bar.sync" : "bar.arrive", at,
                    [&] { arrive_named(id, threads, wait, std::nullopt, at); });
  if (!wait) return;
  wait_named(id);
  threads_.trace_wait("named barrier", begin, at);
}

bool Barriers::named_any(int id, int threads, bool value, Site at) {
  const std::int64_t begin = threads_.scheduler().time();
  threads_.converge(
      "bar.red", at,
      [&] {
        bool any = false;
        for (int l = 0; l < lanes; l++) any |= threads_.scheduler().argument<bool>(l);
        arrive_named(id, threads, /*wait=*/true, any, at);
      },
      &value);
  wait_named(id);
  threads_.trace_wait("named barrier", begin, at);
  return reduced_[threads_.warp()] != 0;
}

void Barriers::wait_named(int id) {
  while (waits_in_[threads_.warp()] == id)
    threads_.block({WaitReason::named_barrier, static_cast<unsigned>(id)});
}

// The current warp arrives.
void Barriers::arrive_named(int id, int threads, bool wait, std::optional<bool> reduced, Site at) {
  if (id < 0 || id > 15 || threads <= 0 || threads % lanes != 0 || threads > threads_.count())
    violate("uses named barrier {0} with {1} threads", id, threads);
  Named& barrier = named_[id];
  if (barrier.arrivals() == 0)
    barrier.threads = threads, barrier.first = at, barrier.reduces = reduced.has_value();
  if (barrier.reduces != reduced.has_value())
    violate("meets {0} in named barrier {1}: one of them reduces, the other does not",
            text(barrier.first), id);
  barrier.any |= reduced.value_or(false);
  if (barrier.threads != threads)
    violate("arrives at named barrier {0} with {1} threads, where {2} has {3}", id, threads,
            text(barrier.first), barrier.threads);
  const int warp = threads_.warp();
  std::vector<int>& here = wait ? barrier.waiting : barrier.passing;
  if (std::find(here.begin(), here.end(), warp) != here.end())
    violate("arrives twice at named barrier {0}, which still waits for others", id);
  here.push_back(warp);
  if (wait) waits_in_[warp] = id;
  for (int l = 0; l < lanes; l++) {
    barrier.clock.learn(threads_.of_lane(l).clock);
    Threads::tick(threads_.of_lane(l));
  }
  if (barrier.arrivals() * lanes == threads) complete(barrier);
}

void Barriers::complete(Named& barrier) {
  threads_.scheduler().progress();
  for (int w : barrier.waiting) {
    waits_in_[w] = -1;
    reduced_[w] = static_cast<char>(barrier.any);
    threads_.wake_warp(w);
    for (int l = 0; l < lanes; l++) threads_[w * lanes + l].clock.learn(barrier.clock);
  }
  barrier = {};
}

std::string Barriers::describe_wait(const WaitReason& reason) const {
  if (reason.kind == WaitReason::mbarrier)
    return llvm::formatv("for a phase of parity {0} of {1}", reason.parity,
                         mbarriers_.at(reason.which).describe());
  const Named& barrier = named_[reason.which];
  return llvm::formatv("in named barrier {0}, where {1} of {2} threads have arrived", reason.which,
                       barrier.arrivals() * lanes, barrier.threads);
}

}  // namespace streamattn::emulator
