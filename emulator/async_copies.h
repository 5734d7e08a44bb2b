// Copies of 16 bytes that threads start (cp.async).
#pragma once

#include <vector>

#include "emulator/background.h"
#include "emulator/barriers.h"
#include "emulator/global_memory.h"
#include "emulator/shared_memory.h"
#include "emulator/threads.h"

namespace streamattn::emulator {

/// A copy is checked when it is issued. Its bytes arrive with the arrival at an mbarrier that waits
/// for it, when the background has that happen.
class AsyncCopies {
 public:
  AsyncCopies(Threads& threads, SharedMemory& shared, Barriers& barriers, GlobalMemory& global,
              Background& background)
      : threads_(threads),
        shared_(shared),
        barriers_(barriers),
        global_(global),
        background_(background),
        queues_(threads.count()) {}

  void copy(unsigned to, const void* from, bool exists, Site at);
  void arrive(unsigned barrier, Site at);

  /// What must not be under way when the current thread leaves the kernel.
  void check_exit();

 private:
  struct Copy {
    unsigned to;
    const std::byte* from;  // null: zeros
  };
  /// The copies of a thread that no arrival waits for yet.
  struct Queue {
    Actor actor = 0;  // 0: no copy yet
    std::uint32_t issued = 0;
    std::vector<Copy> copies;
    Site last = {};
  };

  void complete(const std::vector<Copy>& copies);

  Threads& threads_;
  SharedMemory& shared_;
  Barriers& barriers_;
  GlobalMemory& global_;
  Background& background_;
  std::vector<Queue> queues_;
};

}  // namespace streamattn::emulator
