// The matrix instructions of a block's warps.
#pragma once

#include <vector>

#include "emulator/threads.h"
#include "emulator/wgmma_queue.h"

namespace streamattn::emulator {

class Matrix {
 public:
  Matrix(Threads& threads, SharedMemory& memory);

  void fence(Site at);
  void issue(const WgmmaCall& call, Site at);
  void commit(Site at);
  void wait(int pending_groups, Site at);
  void touch(const void* registers, int bytes, Site at);
  [[noreturn]] void in_flight_used(Site at);

  /// What must not be under way when the current thread leaves the kernel.
  void check_exit();

 private:
  WgmmaQueue& queue() { return queues_[threads_.warp()]; }

  Threads& threads_;
  std::vector<WgmmaQueue> queues_;  // of every warp
};

}  // namespace streamattn::emulator
