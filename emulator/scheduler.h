// The threads of a block as fibers, and the order in which they run.
#pragma once

#include <boost/context/fiber.hpp>
#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "emulator/ptx/machine.h"

namespace streamattn::emulator {

/// What a fiber that cannot go on waits for.
struct WaitReason {
  enum Kind { nothing, lanes, mbarrier, named_barrier, registers } kind = nothing;
  unsigned which = 0;   // address, id or count
  unsigned parity = 0;  // of an mbarrier's phase
};

/// Runs the threads of one block, one at a time. At every point where a thread suspends, the next
/// warp is drawn by a generator: equal seeds give equal runs.
class Scheduler {
 public:
  static constexpr int lanes = 32;

  Scheduler(int threads, std::uint64_t seed);

  /// Runs `body` in every thread until all have left it. Between slices `background`, if it has
  /// something to do, is a candidate too: it returns whether it had. Throws what a body throws, and
  /// what `deadlock` throws when nothing can run.
  void run(const std::function<void()>& body, const std::function<bool()>& has_background,
           const std::function<void()>& background, const std::function<void()>& deadlock);

  int current() const { return current_; }
  int lane() const { return current_ % lanes; }
  int warp() const { return current_ / lanes; }
  int warps() const { return static_cast<int>(warps_.size()); }

  /// Slices so far: the only clock there is.
  std::int64_t time() const { return time_; }

  unsigned draw(unsigned choices) { return static_cast<unsigned>(random_() % choices); }

  /// Lets others run.
  void yield();

  /// Suspends the calling thread until wake().
  void block(Site site, WaitReason reason);

  void wake(int thread);
  void wake_warp(int warp);

  /// Waits until all lanes of the warp are in this instruction; `together` runs once, in the last
  /// lane to come, and finds what the lanes passed as `argument` in arguments(). Throws Violation
  /// if a lane is in another instruction.
  void converge(const char* instruction, Site site, void* argument,
                const std::function<void()>& together);

  /// What lane `lane` of the current warp passed to converge().
  template <class T>
  T& argument(int lane) {
    return *static_cast<T*>(threads_[warp() * lanes + lane].argument);
  }

  bool has_exited(int thread) const { return threads_[thread].exited; }
  Site site(int thread) const { return threads_[thread].site; }
  WaitReason reason(int thread) const { return threads_[thread].reason; }

 private:
  struct Thread {
    boost::context::fiber fiber;
    bool exited = false;
    Site site = {};
    WaitReason reason;
    void* argument = nullptr;
  };
  struct Warp {
    std::uint32_t ready = ~0U;  // lanes
    int arrived = 0;            // lanes that wait in converge()
    const char* instruction = nullptr;
    Site site = {};
    int first_lane = 0;
  };

  void start(int thread, const std::function<void()>& body);
  void run_warp(int warp);
  void suspend();

  std::mt19937_64 random_;
  std::vector<Thread> threads_;
  std::vector<Warp> warps_;
  boost::context::fiber scheduler_;
  std::exception_ptr failure_;
  int current_ = 0;
  int running_;  // threads that have not exited
  std::int64_t time_ = 0;
};

}  // namespace streamattn::emulator
