// The barriers of a block.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "emulator/mbarrier.h"
#include "emulator/shared_memory.h"
#include "emulator/threads.h"

namespace streamattn::emulator {

/// mbarriers and named barriers, 0 of which is that of __syncthreads.
class Barriers {
 public:
  Barriers(Threads& threads, SharedMemory& memory)
      : threads_(threads),
        memory_(memory),
        waits_in_(threads.warps(), -1),
        reduced_(threads.warps()) {}

  void init(unsigned barrier, unsigned arrivals, Site at);
  void fence_init(Site at);
  void arrive(unsigned barrier, unsigned expected_bytes, Site at);
  /// `of_cluster`: what other blocks have stored is seen, too.
  void wait(unsigned barrier, unsigned parity, bool of_cluster, Site at);
  bool test(unsigned barrier, unsigned parity, Site at);
  void named(int id, int threads, bool wait, Site at);
  bool named_any(int id, int threads, bool value, Site at);

  /// The mbarrier at a shared address, for the current thread or one who knows `clock`. Throws
  /// Violation where there is none that it may use.
  Mbarrier& mbarrier_at(unsigned address);
  Mbarrier& mbarrier_at(unsigned address, const Clock& clock);

  /// An arrival by nobody, who knows `clock`: of copies that are complete.
  void arrive_as(unsigned barrier, const Clock& clock);

  /// `bytes` have arrived by TMA for the mbarrier at `address`.
  void complete(unsigned address, int bytes);

  /// A load that completes on a barrier and that nobody has waited for.
  std::optional<Access> unseen_load() const;

  /// "a phase of parity 0 of the mbarrier at 1024 (...)", "in named barrier 1, where ...".
  std::string describe_wait(const WaitReason& reason) const;

 private:
  /// Warps arrive or synchronise as a whole.
  struct Named {
    int threads = 0;           // that it waits for in this generation
    std::vector<int> waiting;  // warps that synchronise
    std::vector<int> passing;  // warps that only arrived; one may come back to wait
    Site first = {};
    bool reduces = false, any = false;  // bar.red, and what it gives
    Clock clock;

    int arrivals() const { return static_cast<int>(waiting.size() + passing.size()); }
  };

  void arrive_named(int id, int threads, bool wait, std::optional<bool> reduced, Site at);
  void wait_named(int id);
  void complete(Named& barrier);
  void wake_waiters(unsigned address);

  Threads& threads_;
  SharedMemory& memory_;
  std::map<unsigned, Mbarrier> mbarriers_;  // by address
  std::array<Named, 16> named_;
  std::vector<int> waits_in_;  // the named barrier, of every warp; -1: none
  std::vector<char> reduced_;  // what the last bar.red gave, of every warp
};

}  // namespace streamattn::emulator
