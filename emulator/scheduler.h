// The threads of all running blocks as fibers, and the order in which they run.
#pragma once

#include <array>
#include <boost/context/fiber.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "emulator/interrupts.h"
#include "emulator/ptx/machine.h"

namespace streamattn::emulator {

/// What a fiber that cannot go on waits for.
struct WaitReason {
  enum Kind {
    nothing,
    lanes,
    mbarrier,
    named_barrier,
    registers,
    dependency,
    cluster
  } kind = nothing;
  unsigned which = 0;   // address, id or count
  unsigned parity = 0;  // of an mbarrier's phase
};

/// Runs threads, one at a time. At every point where a thread suspends, the next warp of any block
/// is drawn by a generator: equal seeds give equal runs. Warps are numbered over all blocks.
class Scheduler {
 public:
  static constexpr int lanes = 32;

  Scheduler(std::uint64_t seed, Interrupts& interrupts) : random_(seed), interrupts_(interrupts) {}

  /// Adds warps whose threads run `body`, and returns the number of the first.
  int add(int warps, const std::function<void()>& body);

  /// Takes away warps whose threads have exited.
  void remove(int first_warp, int warps);

  bool can_run() const;

  /// Draws a warp that can run; every ready lane of it runs until it suspends. `before` is told
  /// which warp it is. Throws what the threads throw; returns how they were interrupted, if they
  /// were, and current() is then the thread.
  Interruption run_slice(const std::function<void(int warp)>& before);

  int current() const { return current_; }
  int lane() const { return current_ % lanes; }
  int warp() const { return current_ / lanes; }

  /// Slices so far: the only clock there is.
  std::int64_t time() const { return time_; }

  /// Something has changed that others may wait for.
  void progress() { progress_time_ = time_; }
  std::int64_t slices_without_progress() const { return time_ - progress_time_; }

  unsigned draw(unsigned choices) { return static_cast<unsigned>(random_() % choices); }

  /// Lets others run.
  void yield();

  /// Suspends the calling thread until wake().
  void block(WaitReason reason);

  void wake(int thread);
  void wake_warp(int warp);

  /// Waits until all lanes of the warp are in this instruction; `together` runs once, in the last
  /// lane to come, and finds what the lanes passed as `argument` in argument(). Throws Violation
  /// if a lane is in another instruction.
  void converge(const char* instruction, Site site, void* argument,
                const std::function<void()>& together);

  /// What lane `lane` of the current warp passed to converge().
  template <class T>
  T& argument(int lane) {
    return *static_cast<T*>(warps_[warp()]->threads[lane].argument);
  }

  /// The instruction that a thread has come to last; null before the first one.
  void set_site(Site site) { thread(current_).site = site; }
  Site site(int thread) const { return this->thread(thread).site; }
  bool has_exited(int thread) const { return this->thread(thread).exited; }
  WaitReason reason(int thread) const { return this->thread(thread).reason; }

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
    std::array<Thread, lanes> threads;
  };

  Thread& thread(int t) { return warps_[t / lanes]->threads[t % lanes]; }
  const Thread& thread(int t) const { return warps_[t / lanes]->threads[t % lanes]; }
  void start(int thread, const std::function<void()>& body);
  Interruption run_warp(int warp);
  void suspend();

  std::mt19937_64 random_;
  Interrupts& interrupts_;
  std::vector<std::unique_ptr<Warp>> warps_;  // null: removed
  std::vector<int> present_;                  // those that are not
  boost::context::fiber scheduler_;
  std::exception_ptr failure_;
  int current_ = 0;
  std::int64_t time_ = 0, progress_time_ = 0;
};

}  // namespace streamattn::emulator
