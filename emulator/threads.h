// The threads of a block: who they are, what each knows, and what the lanes of a warp do together.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "emulator/access.h"
#include "emulator/scheduler.h"
#include "emulator/trace.h"
#include "streamattn/error.h"

namespace streamattn::emulator {

/// Which block it is.
struct BlockName {
  std::string kernel;
  unsigned index;          // of its launch
  std::uint32_t ordinal;   // of the program
  Trace* trace = nullptr;  // null: none is kept
};

/// Threads and warps are numbered within the block.
class Threads {
 public:
  static constexpr int lanes = Scheduler::lanes;

  struct Thread {
    Actor actor;
    std::uint32_t event = 1;
    std::uint32_t shown = 0;  // the event up to which others see what mbarriers it has initialised
    bool stores_again = false;  // to elements of outputs
    Clock clock;
  };

  /// Threads run `body`. They know what blocks in front of `complete_below` did.
  Threads(Scheduler& scheduler, BlockName name, int threads, std::uint32_t complete_below,
          const std::function<void()>& body);
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;
  ~Threads() { scheduler_.remove(first_warp_, warps()); }

  int count() const { return static_cast<int>(threads_.size()); }
  int warps() const { return count() / lanes; }
  int first_warp() const { return first_warp_; }  // as the scheduler counts
  const BlockName& name() const { return name_; }
  Scheduler& scheduler() const { return scheduler_; }

  // ---- Who is running
  int current() const { return scheduler_.current() - first_warp_ * lanes; }
  int warp() const { return current() / lanes; }
  int lane() const { return current() % lanes; }
  Thread& self() { return threads_[current()]; }
  Thread& of_lane(int l) { return threads_[warp() * lanes + l]; }
  Thread& operator[](int t) { return threads_[t]; }

  /// The current thread comes to an instruction.
  Thread& enter(Site at) {
    scheduler_.set_site(at);
    return self();
  }

  /// An access that the current thread asks for; done by itself, or by another actor.
  Access plain_access(Site at) { return access(AccessKind::plain, self().actor, self().event, at); }
  Access access(AccessKind kind, Actor actor, std::uint32_t event, Site at) const {
    return {kind, actor, event, at, name_.index, warp(), lane(), threads_[current()].stores_again};
  }

  /// What the thread does from now on is unknown to those who learn what it knew so far.
  static void tick(Thread& thread) { thread.clock.seen.learn(thread.actor, ++thread.event); }

  Actor new_actor() { return actors_++; }

  // ---- Waiting
  void block(WaitReason reason) { scheduler_.block(reason); }
  void wake(int thread) { scheduler_.wake(first_warp_ * lanes + thread); }
  void wake_warp(int warp) { scheduler_.wake_warp(first_warp_ + warp); }
  WaitReason reason(int thread) const { return scheduler_.reason(first_warp_ * lanes + thread); }
  Site site(int thread) const { return scheduler_.site(first_warp_ * lanes + thread); }
  bool has_exited(int thread) const { return scheduler_.has_exited(first_warp_ * lanes + thread); }
  bool have_exited() const;

  // ---- Instructions of a warp
  void converge(const char* instruction, Site at, const std::function<void()>& together,
                void* argument = nullptr);

  /// The same for instructions of a warpgroup: its warps need not be in step, but must come to the
  /// same ones in order.
  void converge_warpgroup(const char* instruction, Site at, const std::function<void()>& together,
                          void* argument = nullptr);

  void sync_warp(Site at);
  unsigned shuffle(unsigned value, unsigned from_lane, Site at);
  bool any(bool value, Site at);
  unsigned match(unsigned value, Site at);
  bool elect(Site at);

  // ---- Reports
  /// "kernel, block 0, warp 1, lane 2, parts/x.cuh:3: what".
  Error error(int thread, Site site, const std::string& what) const;

  /// Calls `action`; what it violates, `thread` at `site` is to blame for.
  void blame(int thread, Site site, const std::function<void()>& action) const;

  /// One line for every run of warps that are at the same; `where` says it of a thread.
  std::string describe(const std::function<std::string(int thread)>& where) const;

  void trace_instant(const char* what, Site at) const;
  void trace_arrival(const char* what, Site at) const;
  void trace_wait(const char* what, std::int64_t begin, Site at) const;

 private:
  struct Step {
    const char* instruction;
    Site site;
  };

  std::string describe_warp(int warp, const std::function<std::string(int thread)>& where) const;

  Scheduler& scheduler_;
  BlockName name_;
  Actor actors_;  // so far
  std::vector<Thread> threads_;
  int first_warp_;
  std::vector<std::size_t> steps_;                  // of each warp, warpgroup-wide ones
  std::vector<std::vector<Step>> warpgroup_steps_;  // of each warpgroup
};

}  // namespace streamattn::emulator
